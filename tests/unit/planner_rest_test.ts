/**
 * Any producers, write-only ones, and those who are away for a while: whatever they do to one path, the planner comes to
 * rest, and what nobody deleted is still there.
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { FileStatus } from "../../ffi/file_status.ts";
import { plan } from "../../src/gate/planning/planner.ts";
import type {
  Findings,
  Observation,
  ReplicaRole,
  Seen,
  Step,
} from "../../src/gate/planning/situation.ts";
import {
  type DirectoryAt,
  type IndexEntry,
  recordOf,
  type ReplicaId,
  UNKNOWN_ENTRY,
  withDeletion,
  withMadeDirectory,
  withoutRecord,
  withoutRecords,
  withRecord,
} from "../../src/gate/replica_record.ts";
import { runs } from "../support/size.ts";

const EXPORT: ReplicaId = 0;
/** After so many rounds a path lets the others pass, and is looked at again: it never rests. */
const MOST_ROUNDS = 24;

class Place {
  isAway = false;
  seen: Seen = { kind: "absent" };
  content = "";
  /** Of a directory: something is in it that does not travel. */
  isFull = false;

  constructor(readonly id: ReplicaId, readonly role: ReplicaRole) {}

  get directory(): DirectoryAt | undefined {
    if (this.seen.kind !== "directory" || this.role === "diode") return undefined;
    return { id: this.id, status: this.seen.status };
  }
}

/** What one look at the path and the steps after it have found out. */
class Run implements Findings {
  readonly postponed = new Set<ReplicaId>();
  readonly judged = new Set<ReplicaId>();
  directoryStays = false;
  unchangedSinceExport = false;

  constructor(private readonly model: Model) {}

  equal(a: Observation, b: Observation): boolean {
    return this.model.place(a.replica).content === this.model.place(b.replica).content;
  }
}

class Model {
  readonly places: readonly Place[];
  entry: IndexEntry = UNKNOWN_ENTRY;
  #clock = 1n;
  #inode = 100;

  constructor({ producers, diodes }: Roles) {
    const roles: ReplicaRole[] = [
      "export",
      ...Array<ReplicaRole>(producers).fill("producer"),
      ...Array<ReplicaRole>(diodes).fill("diode"),
    ];
    this.places = roles.map((role, id) => new Place(id, role));
  }

  place(id: ReplicaId): Place {
    const place = this.places[id];
    if (place === undefined) throw new RangeError(`no replica ${id}`);
    return place;
  }

  #status(kind: FileStatus["kind"], size: number, mtimeNs: bigint): FileStatus {
    return {
      kind,
      mode: 0o644,
      uid: 1000,
      gid: 1000,
      links: 1,
      device: 1,
      mountId: 1,
      inode: this.#inode++,
      size,
      blocks: 8,
      mtimeNs,
      ctimeNs: this.#clock++,
    };
  }

  write(place: Place, content: string, mtimeNs: bigint): void {
    place.content = content;
    place.isFull = false;
    place.seen = { kind: "file", status: this.#status("file", content.length, mtimeNs) };
  }

  makeDirectory(place: Place, isFull: boolean): void {
    place.isFull = isFull;
    place.seen = { kind: "directory", status: this.#status("directory", 0, 0n) };
  }

  link(place: Place): void {
    place.seen = { kind: "obstacle", status: this.#status("other", 0, 0n) };
  }

  remove(place: Place): void {
    place.isFull = false;
    place.seen = { kind: "absent" };
  }

  /** What the disk and the index have. */
  state(): unknown {
    const records = this.entry.records.toSorted((a, b) => a.replica - b.replica);
    return { places: this.places.map(({ seen }) => seen), entry: { ...this.entry, records } };
  }

  /** Until there is nothing left to do. */
  settle(options: { readonly retryHeld?: boolean } = {}): void {
    const run = new Run(this);
    const steps: string[] = [];
    while (this.step(run, steps, options)) {
      assert(steps.length < MOST_ROUNDS, `it never comes to rest: ${steps.join(", ")}`);
    }
  }

  step(run: Run, steps: string[] = [], { retryHeld = false } = {}): boolean {
    const present = this.places.filter(({ isAway }) => !isAway);
    const observations = present.map(({ id, role, seen }): Observation => ({
      replica: id,
      role,
      seen,
      isBlocked: false,
    }));
    const step = plan(observations, this.entry, run, {
      conflictCopies: true,
      nowNs: 1_000_000n,
      retryHeld,
      infectedStays: true,
      orphansMayGo: this.places.every(({ role, isAway }) => role === "export" || !isAway),
    });
    steps.push(JSON.stringify(step));
    if (step.kind === "settled") return false;
    this.#perform(step, run);
    return true;
  }

  #perform(step: Exclude<Step, { kind: "settled" }>, run: Run): void {
    switch (step.kind) {
      case "compare":
        throw new Error("the model knows what is equal");
      case "adopt": {
        const { version, records } = this.entry;
        if (records.length === 0) run.unchangedSinceExport = step.replicas.includes(EXPORT);
        for (const id of step.replicas) {
          this.#record(this.place(id), step.newVersion ? version + 1 : version);
        }
        return;
      }
      case "judge":
        run.judged.add(step.author);
        return;
      case "offer": {
        const author = this.place(step.author);
        for (const loser of step.setAside) this.#setAside(this.place(loser));
        const isVersion = author.role !== "diode" || step.targets.length > 0;
        const version = isVersion ? this.entry.version + 1 : this.entry.version;
        this.#record(author, version);
        for (const id of step.targets) this.#copy(author, this.place(id), version, run);
        return;
      }
      case "distribute": {
        const { version } = this.entry;
        const source = this.place(step.source);
        this.#record(source, version);
        for (const id of step.targets) this.#copy(source, this.place(id), version, run);
        return;
      }
      case "set-aside":
        return this.#setAside(this.place(step.replica));
      case "remove": {
        for (const id of step.replicas) this.remove(this.place(id));
        const aware = this.#aware();
        const records = this.entry.records.filter(({ replica, status }) =>
          !aware.has(replica) || status !== "current"
        );
        this.entry = withDeletion({ ...this.entry, records });
        return;
      }
      case "forget":
        this.entry = withoutRecords(this.entry, new Set(step.replicas));
        if (step.isDeletion) this.entry = withDeletion(this.entry);
        return;
      case "make-directory": {
        const model = this.place(step.model).directory;
        for (const id of step.targets) {
          const target = this.place(id);
          this.makeDirectory(target, target.isFull);
          if (target.directory) {
            this.entry = withMadeDirectory(this.entry, model, target.directory);
          }
        }
        return;
      }
      case "remove-directory": {
        const places = step.replicas.map((id) => this.place(id));
        for (const place of places) if (!place.isFull) this.remove(place);
        run.directoryStays = places.some(({ isFull }) => isFull);
        if (run.directoryStays) return;
        this.entry = withDeletion(withoutRecords(this.entry, this.#aware()));
        return;
      }
    }
  }

  #aware(): Set<ReplicaId> {
    const aware = this.places.filter(({ role, isAway }) => !isAway && role !== "diode");
    return new Set(aware.map(({ id }) => id));
  }

  #record({ id, role, seen }: Place, version: number): void {
    if (seen.kind !== "file" && seen.kind !== "directory") return;
    const status = role === "diode" ? "own" : "current";
    this.entry = withRecord(this.entry, recordOf(id, seen.status, status, version));
  }

  #copy(from: Place, to: Place, version: number, run: Run): void {
    if (from.seen.kind !== "file") throw new Error("only a file is copied");
    if (to.isFull) {
      run.postponed.add(to.id);
      return;
    }
    this.write(to, from.content, from.seen.status.mtimeNs);
    this.#record(to, version);
  }

  #setAside(place: Place): void {
    this.remove(place);
    this.entry = withoutRecord(this.entry, place.id);
  }
}

interface Roles {
  readonly producers: number;
  readonly diodes: number;
}

const ROLES: readonly Roles[] = [
  { producers: 0, diodes: 1 },
  { producers: 0, diodes: 2 },
  { producers: 1, diodes: 0 },
  { producers: 1, diodes: 1 },
  { producers: 2, diodes: 1 },
  { producers: 3, diodes: 0 },
];

const who = fc.nat(3);
const operation = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      who,
      content: fc.constantFrom("", "a", "b", "cc"),
      time: fc.bigInt({ min: 1n, max: 3n }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("mkdir" as const), who, isFull: fc.boolean() }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom("remove" as const, "link" as const, "away" as const, "back" as const),
      who,
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("steps" as const), who: fc.nat(5) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("settle" as const), who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("forget" as const), who }) },
);

type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

function perform(model: Model, operation: Operation): void {
  // The host may do the same in the export.
  const place = model.places[operation.who % model.places.length];
  if (place === undefined) return;
  switch (operation.kind) {
    case "write":
      return model.write(place, operation.content, operation.time);
    case "mkdir":
      return model.makeDirectory(place, operation.isFull);
    case "remove":
      return model.remove(place);
    case "link":
      return model.link(place);
    case "away":
      place.isAway = true;
      return;
    case "back":
      place.isAway = false;
      return;
    case "forget":
      model.entry = UNKNOWN_ENTRY;
      return;
    case "settle":
      return model.settle();
    case "steps": {
      const run = new Run(model);
      for (let i = 0; i < operation.who && model.step(run); i++);
    }
  }
}

/** Nothing is removed or replaced by them. */
const harmless = operation.filter(({ kind }) =>
  kind === "mkdir" || kind === "away" || kind === "back" || kind === "steps" || kind === "settle"
);

for (const roles of ROLES) {
  const { producers, diodes } = roles;
  Deno.test(`I6: with ${producers} producers and ${diodes} write-only ones every path comes to rest`, () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 20 }), (operations) => {
        const model = new Model(roles);
        for (const one of operations) perform(model, one);
        model.settle();
        for (const place of model.places) place.isAway = false;
        model.settle();
        const before = model.state();
        model.settle();
        assertEquals(model.state(), before, "another look changes nothing");
      }),
      runs(5_000),
    );
  });
}

for (const roles of ROLES) {
  const { producers, diodes } = roles;
  Deno.test(`I3: with ${producers} producers and ${diodes} write-only ones a directory that nobody removed is everywhere`, () => {
    fc.assert(
      fc.property(fc.array(harmless, { maxLength: 12 }), who, (operations, by) => {
        const model = new Model(roles);
        const author = model.places[1 + by % (producers + diodes)];
        if (author === undefined) return;
        model.makeDirectory(author, false);
        for (const one of operations) {
          // What the host itself makes in the export is nobody's.
          const isHosts = one.kind === "mkdir" && one.who % model.places.length === EXPORT;
          if (!isHosts) perform(model, one);
        }
        for (const place of model.places) place.isAway = false;
        model.settle();
        const lacking = model.places.filter(({ role, seen }) =>
          role !== "diode" && seen.kind !== "directory"
        );
        assertEquals(lacking, []);
      }),
      runs(2_000),
    );
  });
}
