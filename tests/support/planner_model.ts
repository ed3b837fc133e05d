/**
 * The planner's world in memory: one path in several shares and the export. What the planner asks for is done there and
 * noted in the index as `Reconciler` does it.
 */

// @ts-types="./assert.d.ts"
import { assert } from "@std/assert";
import { plan } from "../../src/gate/planning/planner.ts";
import type {
  Findings,
  Observation,
  ReplicaRole,
  Step,
} from "../../src/gate/planning/situation.ts";
import {
  baseIn,
  type IndexEntry,
  knownIn,
  matches,
  recordIn,
  recordOf,
  type RecordStatus,
  type ReplicaId,
  TRAVELLING_MODE,
  UNKNOWN_ENTRY,
  withDeletion,
  withMadeDirectory,
  withoutDirectory,
  withoutRecord,
  withoutRecords,
  withRecord,
} from "../../src/gate/replica_record.ts";
import { Disk, Place } from "./planner_disk.ts";

/** After so many rounds a path lets the others pass, and is looked at again: it never rests. */
const MOST_ROUNDS = 24;
/** Jobs of a path, each of which changes something, until it counts as one that never rests. */
const MOST_JOBS = 6;
/** Times of modification beyond it are in the future. */
const NOW_NS = 1_000_000n;

export interface Setting {
  readonly producers: number;
  readonly diodes: number;
  readonly infectedAction: "log" | "delete";
  readonly conflictCopies: boolean;
}

type StepOf<K extends Step["kind"]> = Extract<Step, { kind: K }>;

/** Whether the job looks at the path once more. */
type Next = "again" | "end";

/** What one look at the path and the steps after it have found out. */
class Job implements Findings {
  readonly postponed = new Set<ReplicaId>();
  readonly judged = new Set<ReplicaId>();
  directoryStays = false;
  unchangedSinceExport = false;

  constructor(private readonly model: PlannerModel, readonly retryHeld: boolean) {}

  equal(a: Observation, b: Observation): boolean {
    return this.model.place(a.replica).file?.content === this.model.place(b.replica).file?.content;
  }

  postpone({ id }: Place): void {
    this.postponed.add(id);
  }
}

export class PlannerModel {
  readonly disk = new Disk();
  readonly exported = new Place(0, "export");
  readonly guests: readonly Place[];
  entry: IndexEntry = UNKNOWN_ENTRY;
  hasScanner = true;
  /** Files of that name are. */
  isIgnored = false;
  /** A share was found empty, and counts as new. */
  hasNewShare = false;
  /** What was kept under other names. */
  readonly copies = new Set<string>();
  /** Steps that changed what a write-only producer has, other than by the removal of malware. */
  readonly diodeChanges: Step[] = [];
  readonly #infectedAction: Setting["infectedAction"];
  readonly #conflictCopies: boolean;
  readonly #onStep: (step: Step) => void;
  #nextId: ReplicaId;

  constructor(setting: Setting, onStep: (step: Step) => void) {
    const roles = [
      ...Array<ReplicaRole>(setting.producers).fill("producer"),
      ...Array<ReplicaRole>(setting.diodes).fill("diode"),
    ];
    this.guests = roles.map((role, at) => new Place(1 + at, role));
    this.#nextId = this.places.length;
    this.#infectedAction = setting.infectedAction;
    this.#conflictCopies = setting.conflictCopies;
    this.#onStep = onStep;
  }

  get places(): readonly Place[] {
    return [this.exported, ...this.guests];
  }

  place(id: ReplicaId): Place {
    const place = this.places.find((place) => place.id === id);
    if (place === undefined) throw new RangeError(`no replica ${id}`);
    return place;
  }

  /** Another share or export is in its place: nothing is known of it. */
  renew(place: Place): void {
    this.disk.remove(place);
    place.id = this.#nextId++;
  }

  isSomewhere(content: string): boolean {
    return this.copies.has(content) || this.places.some(({ file }) => file?.content === content);
  }

  /** What the disk and the index have. */
  state(): unknown {
    const records = this.entry.records.toSorted((a, b) => a.replica - b.replica);
    return { places: this.places.map(({ seen }) => seen), entry: { ...this.entry, records } };
  }

  /** Until there is nothing left to do: a failed step, for one, is tried again by another job. */
  settle({ retryHeld = false } = {}): void {
    let before: string | undefined;
    for (let jobs = 0; jobs < MOST_JOBS; jobs++) {
      this.steps(MOST_ROUNDS, { retryHeld, isToRest: true });
      const after = show(this.state());
      if (after === before) return;
      before = after;
    }
    assert(false, "each further look changes something");
  }

  /** One job, or the beginning of it. */
  steps(most: number, { retryHeld = false, isToRest = false } = {}): void {
    const job = new Job(this, retryHeld);
    for (let rounds = 0; rounds < most; rounds++) {
      if (this.#step(job) === "end") return;
    }
    assert(!isToRest, "it never comes to rest");
  }

  #step(job: Job): Next {
    const step = this.#plan(job);
    this.#onStep(step);
    if (step.kind === "settled") return "end";
    const changed = this.#diodeWatch();
    const next = this.#perform(step, job);
    if (changed()) this.diodeChanges.push(step);
    return next;
  }

  #plan(job: Job): Step {
    const known = this.entry.records.filter(({ replica }) =>
      this.places.some(({ id }) => id === replica)
    );
    this.#put({ ...this.entry, records: known });
    return plan(this.#present().map((place) => this.#observe(place)), this.entry, job, {
      conflictCopies: this.#conflictCopies,
      nowNs: NOW_NS,
      retryHeld: job.retryHeld,
      infectedStays: this.#infectedAction === "log",
      orphansMayGo: !this.hasNewShare && this.guests.every(({ isAway }) => !isAway),
    });
  }

  #observe({ id, role, seen, isBlocked }: Place): Observation {
    const ignored = role === "export" ? "obstacle" : "ignored";
    const isIgnored = this.isIgnored && seen.kind === "file";
    return {
      replica: id,
      role,
      seen: isIgnored ? { kind: ignored, status: seen.status } : seen,
      isBlocked,
    };
  }

  #present(): readonly Place[] {
    return this.places.filter(({ isAway }) => !isAway);
  }

  /** Whose deletions and absences are the channel's. */
  #aware(): readonly Place[] {
    return this.#present().filter(({ role }) => role !== "diode");
  }

  /** Tells later whether a write-only producer has anything else by then. */
  #diodeWatch(): () => boolean {
    const before = this.guests.filter(({ role }) => role === "diode")
      .map((place) => ({ place, inode: place.inode, mode: place.inode?.status.mode }));
    return () =>
      before.some(({ place, inode, mode }) => {
        const isRemovedMalware = place.inode === undefined && isInfected(inode);
        return !isRemovedMalware && (place.inode !== inode || inode?.status.mode !== mode);
      });
  }

  #put(entry: IndexEntry): void {
    this.entry = entry.records.length === 0 ? UNKNOWN_ENTRY : entry;
  }

  /** See `note` in `job.ts`. */
  #note(entry: IndexEntry, base: IndexEntry): void {
    const records = entry.records.filter((record) =>
      !base.records.includes(record) || recordIn(this.entry, record.replica) !== undefined
    );
    this.#put({ ...entry, records });
  }

  #perform(step: Exclude<Step, { kind: "settled" }>, job: Job): Next {
    switch (step.kind) {
      case "compare":
        throw new Error("the model knows what is equal");
      case "adopt":
        return this.#adopt(step, job);
      case "judge":
        return this.#judgeEarly(step, job);
      case "offer":
        return this.#offer(step, job);
      case "distribute":
        return this.#distribute(step, job);
      case "set-aside":
        return this.#setAside(step, job);
      case "remove":
        return this.#remove(step, job);
      case "forget":
        return this.#forget(step);
      case "make-directory":
        return this.#makeDirectory(step, job);
      case "remove-directory":
        return this.#removeDirectory(step, job);
    }
  }

  #adopt({ replicas, newVersion }: StepOf<"adopt">, job: Job): Next {
    const { entry } = this;
    const version = newVersion ? entry.version + 1 : entry.version;
    let adopted = entry;
    for (const place of replicas.map((id) => this.place(id))) {
      const { id, seen } = place;
      if (seen.kind !== "file" && seen.kind !== "directory") continue;
      adopted = withRecord(adopted, recordOf(id, seen.status, noted(place), version));
    }
    this.#put(adopted);
    if (replicas.includes(this.exported.id) && entry.records.length === 0) {
      job.unchangedSinceExport = true;
    }
    return "again";
  }

  #judgeEarly(step: StepOf<"judge">, job: Job): Next {
    const author = this.place(step.author);
    if (!this.#canRead(author, job)) return "again";
    job.judged.add(author.id);
    switch (this.#verdict(author)) {
      case "clean":
        break;
      case "held":
        job.postpone(author);
        break;
      case "infected":
        this.#onInfected(author, job);
        break;
    }
    return "again";
  }

  #offer(step: StepOf<"offer">, job: Job): Next {
    const { entry } = this;
    const author = this.place(step.author);
    if (!this.#canRead(author, job) || !this.#isJudgedClean(author, job)) return "again";
    const kept = this.#keepAll(step.setAside.map((id) => this.place(id)), job);
    if (kept === undefined) return "again";
    const isVersion = author.role !== "diode" || step.targets.length > 0;
    const version = isVersion ? entry.version + 1 : entry.version;
    const offered = withRecord(
      withoutRecords(entry, kept.union(new Set(step.forgotten))),
      recordOf(author.id, fileOf(author).status, noted(author), version),
    );
    const targets = step.targets.filter((id) => !kept.has(id)).map((id) => this.place(id));
    const updated = this.#publish(author, targets, offered, job);
    if (author.role === "diode" && targets.length > 0 && !hasTravelled(updated)) return "again";
    this.#note(updated, entry);
    return this.#isEverywhere(updated) ? "end" : "again";
  }

  #isEverywhere(entry: IndexEntry): boolean {
    return this.#present().every((place) => {
      const record = recordIn(entry, place.id);
      return record?.version === entry.version && record.status === noted(place);
    });
  }

  #distribute(step: StepOf<"distribute">, job: Job): Next {
    const { entry } = this;
    const source = this.place(step.source);
    if (!this.#canRead(source, job) || !this.#isJudgedClean(source, job)) return "again";
    const record = recordOf(source.id, fileOf(source).status, "current", entry.version);
    const targets = step.targets.map((id) => this.place(id));
    this.#note(this.#publish(source, targets, withRecord(entry, record), job), entry);
    return "again";
  }

  #canRead(place: Place, job: Job): boolean {
    if (!place.hindrances.has("read")) return true;
    job.postpone(place);
    return false;
  }

  #verdict(author: Place): "clean" | "held" | "infected" {
    const { content } = fileOf(author);
    if (content === "") return "clean";
    if (!this.hasScanner || isUnscannable(content)) return "held";
    return isMalware(content) ? "infected" : "clean";
  }

  /** What follows from another verdict is done. */
  #isJudgedClean(author: Place, job: Job): boolean {
    switch (this.#verdict(author)) {
      case "clean":
        return true;
      case "held":
        this.#noteOwn(author, "held", this.entry);
        job.postpone(author);
        return false;
      case "infected":
        this.#onInfected(author, job);
        return false;
    }
  }

  #noteOwn(author: Place, status: "held" | "infected", entry: IndexEntry): void {
    const record = recordOf(author.id, fileOf(author).status, status, baseIn(entry, author.id));
    this.#note(withRecord(entry, record), entry);
  }

  #onInfected(author: Place, job: Job): void {
    const { entry } = this;
    if (this.#infectedAction === "log") return this.#noteOwn(author, "infected", entry);
    this.#note(withoutRecord(this.#withLastVersion(entry, author), author.id), entry);
    if (author.hindrances.has("change")) {
      this.#noteOwn(author, "held", entry);
      job.postpone(author);
    } else this.disk.remove(author);
  }

  /** See `verdict_steps.ts`. */
  #withLastVersion(entry: IndexEntry, author: Place): IndexEntry {
    const { exported } = this;
    if (exported.file === undefined || exported === author) return entry;
    const isKnown = ({ id, role, file }: Place) => {
      const record = knownIn(entry, { id, role });
      return file !== undefined && record !== undefined && matches(record, file.status);
    };
    if (this.#aware().some((place) => place !== author && isKnown(place))) return entry;
    return withRecord(entry, recordOf(exported.id, exported.file.status, "current", entry.version));
  }

  #publish(from: Place, targets: readonly Place[], entry: IndexEntry, job: Job): IndexEntry {
    const { content, status: { mtimeNs, mode } } = fileOf(from);
    let updated = entry;
    for (const target of targets) {
      if (!target.isWritable || target.directory?.isFull) {
        job.postpone(target);
        continue;
      }
      this.disk.write(target, content, mtimeNs, mode & TRAVELLING_MODE);
      const record = recordOf(target.id, fileOf(target).status, "current", entry.version);
      updated = withRecord(updated, record);
    }
    return updated;
  }

  /** `undefined` if one of them cannot be kept. */
  #keepAll(losers: readonly Place[], job: Job): ReadonlySet<ReplicaId> | undefined {
    const kept = new Set<ReplicaId>();
    for (const loser of losers) {
      if (!this.#keep(loser, job)) return undefined;
      kept.add(loser.id);
    }
    return kept;
  }

  #keep(loser: Place, job: Job): boolean {
    if (loser.hindrances.has("change")) {
      job.postpone(loser);
      return false;
    }
    this.copies.add(fileOf(loser).content);
    this.disk.remove(loser);
    return true;
  }

  #setAside({ replica }: StepOf<"set-aside">, job: Job): Next {
    if (this.#keep(this.place(replica), job)) {
      this.#note(withoutRecord(this.entry, replica), this.entry);
    }
    return "again";
  }

  #remove({ replicas }: StepOf<"remove">, job: Job): Next {
    let updated = this.entry;
    let isComplete = true;
    for (const place of replicas.map((id) => this.place(id))) {
      if (place.file === undefined) continue;
      if (place.hindrances.has("change")) {
        isComplete = false;
        job.postpone(place);
        continue;
      }
      this.disk.remove(place);
      updated = withoutRecord(updated, place.id);
    }
    if (!isComplete) {
      this.#put(updated);
      return "end";
    }
    const aware = this.#aware();
    const records = updated.records.filter(({ replica, status }) =>
      status !== "current" || !aware.some(({ id }) => id === replica)
    );
    this.#put(withDeletion({ ...updated, records }));
    return "again";
  }

  #forget({ replicas, isDeletion }: StepOf<"forget">): Next {
    const left = withoutRecords(this.entry, new Set(replicas));
    this.#put(isDeletion ? withDeletion(left) : left);
    return "again";
  }

  #makeDirectory(step: StepOf<"make-directory">, job: Job): Next {
    const model = this.place(step.model);
    if (model.directory === undefined) throw new Error("no directory");
    const { status } = model.directory;
    const like = model.role === "diode" ? undefined : { id: model.id, status };
    let updated = this.entry;
    for (const target of step.targets.map((id) => this.place(id))) {
      if (!target.isWritable) {
        job.postpone(target);
        continue;
      }
      const made = this.#directoryAt(target, status.mode & TRAVELLING_MODE);
      updated = withMadeDirectory(updated, like, { id: target.id, status: made.status });
    }
    this.#put(updated);
    return "again";
  }

  /** The one that is there, or a new one. */
  #directoryAt(place: Place, mode: number) {
    if (place.directory !== undefined) this.disk.changeMode(place.directory, mode);
    else this.disk.makeDirectory(place, { mode });
    if (place.directory === undefined) throw new Error("no directory");
    return place.directory;
  }

  #removeDirectory(step: StepOf<"remove-directory">, job: Job): Next {
    const aware = this.#aware();
    const lacking = aware.filter(({ directory }) => directory === undefined);
    const places = step.replicas.map((id) => this.place(id));
    for (const place of places) {
      if (place.hindrances.has("change")) job.postpone(place);
      else if (!place.directory?.isFull) this.disk.remove(place);
    }
    if (places.some(({ id }) => job.postponed.has(id))) return "end";
    if (places.every(({ inode }) => inode === undefined)) {
      this.#put(withoutDirectory(this.entry, idsOf(aware)));
      return "again";
    }
    // Those who removed it get it again as if they had never had it.
    job.directoryStays = true;
    this.#put({ ...withoutRecords(this.entry, idsOf(lacking)), deleted: false });
    return "again";
  }
}

/** Contents say what a scanner will find. */
export const MALWARE = "X";
export const UNSCANNABLE = "U";
const isMalware = (content: string) => content.startsWith(MALWARE);
const isUnscannable = (content: string) => content.startsWith(UNSCANNABLE);
const isInfected = (inode: Place["inode"]) => inode?.kind === "file" && isMalware(inode.content);

const idsOf = (places: readonly Place[]) => new Set(places.map(({ id }) => id));

/** How the index notes what a replica has. */
function noted({ role }: Place): RecordStatus {
  return role === "diode" ? "own" : "current";
}

function fileOf({ file }: Place) {
  if (file === undefined) throw new Error("no file");
  return file;
}

/** Whether several replicas have the entry's version. */
function hasTravelled({ version, records }: IndexEntry): boolean {
  return records.filter((record) => record.version === version).length > 1;
}

/** As JSON, which has neither big integers nor sets. */
export function show(value: unknown): string {
  return JSON.stringify(value, (_, part) => {
    if (typeof part === "bigint") return `${part}n`;
    return part instanceof Set ? [...part] : part;
  });
}
