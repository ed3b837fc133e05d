/**
 * I3: the watcher's state machines together, against a simulated kernel: whatever guests do to a tree, and
 * whatever of it happens before, between and after a watch is set, an event is read and a path is told, in
 * the end everything is watched where it is, and whoever looked at what was told when it was told knows what is there.
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  type FileName,
  fileName,
  isWithin,
  join,
  nameOf,
  parentOf,
  type RelativePath,
  ROOT,
} from "../../ffi/byte_string.ts";
import { type Below, Debouncer, type TouchEvent } from "../../src/watching/debouncer.ts";
import { EventInterpreter } from "../../src/watching/event_interpreter.ts";
import { RearmSchedule } from "../../src/watching/rearm_schedule.ts";
import { TreeArmer } from "../../src/watching/tree_armer.ts";
import { type WatchableDirectory, WatchSet } from "../../src/watching/watch_set.ts";
import type { RereadReason } from "../../src/watching/watcher.ts";
import { type Call, type Inode, SimulatedKernel } from "../support/simulated_kernel.ts";
import { runs } from "../support/size.ts";

const DEBOUNCE_MS = 10;
const NAMES = ["a", "b", "excluded"].map(fileName);

function excludes(directory: RelativePath): boolean {
  return nameOf(directory) === "excluded";
}

/** What a sink knows that looks at what it is told when it is told. */
class Sink {
  known = new Map<RelativePath, string>();

  constructor(private readonly root: Inode) {}

  changed(path: RelativePath): void {
    const seen = this.#find(path)?.describe();
    if (seen === undefined) this.known.delete(path);
    else this.known.set(path, seen);
  }

  reread(directory: RelativePath, reason: RereadReason | Below): void {
    const found = this.truth(directory);
    for (const path of this.known.keys()) {
      if (isWithin(path, directory) && !found.has(path)) this.known.delete(path);
    }
    if (directory !== ROOT) this.changed(directory);
    if (reason === "created") return; // whatever else is there is told one by one
    for (const [path, seen] of found) this.known.set(path, seen);
  }

  /** What is there below a directory, but for what is excluded. */
  truth(path: RelativePath = ROOT): Map<RelativePath, string> {
    const found = new Map<RelativePath, string>();
    const top = this.#find(path);
    if (top !== undefined) addBelow(top, path, found);
    return found;
  }

  #find(path: RelativePath): Inode | undefined {
    if (path === ROOT) return this.root;
    return this.#find(parentOf(path))?.entries.get(nameOf(path));
  }
}

function addBelow(inode: Inode, path: RelativePath, found: Map<RelativePath, string>): void {
  if (path !== ROOT) found.set(path, inode.describe());
  if (path !== ROOT && excludes(path)) return;
  for (const [name, child] of inode.entries) addBelow(child, join(path, name), found);
}

interface Circumstances {
  readonly tellsKinds: boolean;
  readonly mostEvents: number;
  readonly mostWatches: number;
  readonly mostWaitingPaths: number;
}

/** The parts of a watcher, put together as `TreeWatch` does, each step of which is the test's own. */
class Model {
  readonly kernel = new SimulatedKernel();
  readonly inside: Inode;
  readonly sink: Sink;
  readonly watches: WatchSet;
  readonly #root: WatchableDirectory;
  readonly #armer: TreeArmer;
  readonly #interpreter: EventInterpreter;
  readonly #debouncer: Debouncer;
  readonly #rearms = new RearmSchedule(DEBOUNCE_MS);
  #now = 0;
  #telling = false;
  #rootArmed = false;
  #polled: RelativePath[] = [];

  constructor({ tellsKinds, mostEvents, mostWatches, mostWaitingPaths }: Circumstances) {
    const { kernel } = this;
    kernel.tellsKinds = tellsKinds;
    kernel.mostEvents = mostEvents;
    kernel.mostWatches = mostWatches;
    for (const name of ["inside", "outside"]) {
      for (const _ of kernel.makeDirectory(kernel.top, fileName(name)));
    }
    const inside = kernel.top.entries.get(fileName("inside"));
    assert(inside !== undefined);
    this.inside = inside;
    this.sink = new Sink(inside);
    this.#root = kernel.open(inside);
    this.#debouncer = new Debouncer(DEBOUNCE_MS, { paths: mostWaitingPaths, bytes: Infinity });
    const touch = (path: RelativePath, event: TouchEvent, below: Below) => {
      if (this.#telling) this.#debouncer.touch(path, this.#now, { event, below });
    };
    this.watches = new WatchSet(this.#root, kernel, {
      mostWatches: Infinity,
      catchUp: () => this.#catchUp(),
      unwatched: (path) => touch(path, "other", "moved"),
    });
    this.#armer = new TreeArmer(this.#root, this.watches, {
      excludes,
      found: (path) => touch(path, "other", "nothing"),
      armed: (path, purpose) => {
        if (purpose === "retry") this.#polled.push(path);
        else touch(path, "settled", purpose);
      },
      rootArmed: () => this.#rootArmed = true,
      tooMuch: () => this.#rearms.want("limit", this.#now),
    });
    this.#interpreter = new EventInterpreter(this.watches.tree, {
      touch: (path, { event, below }) => touch(path, event, below),
      moved: () => {},
      departed: () => {},
      paired: () => {},
      mark: () => 0,
      found: () => {},
      movedOut: (path, { event, below }) => this.#armer.after(() => touch(path, event, below)),
      arrived: (parent, name, purpose) => this.#armer.request(parent, name, purpose),
      overflow: () => this.#rearms.want("overflow", this.#now),
      rootChanged: () => assert(false, "nothing happens to the root"),
      watchGone: (watch) => this.watches.watchGone(watch),
    }, excludes);
  }

  start(): void {
    this.#rearm();
  }

  #rearm(): void {
    this.#rearms.begin(this.#now);
    this.#armer.rearm();
  }

  #catchUp(): boolean {
    const events = this.kernel.read(Infinity);
    for (const event of events) this.#interpreter.handle(event, this.#now);
    return events.length > 0;
  }

  handleEvents(most: number): void {
    for (const event of this.kernel.read(most)) this.#interpreter.handle(event, this.#now);
    if (this.kernel.waitingEvents === 0) this.#interpreter.expire(this.#now);
  }

  arm(steps: number): void {
    for (let step = 0; step < steps && this.#armer.busy; step++) this.#armer.step(0);
    if (!this.#rootArmed) return;
    this.#rootArmed = false;
    this.#rearms.end(this.#now);
    this.#telling = true;
    this.sink.reread(ROOT, "overflow");
  }

  pass(ms: number): void {
    this.#now += ms;
    if (this.kernel.waitingEvents === 0) this.#interpreter.expire(this.#now);
    if (this.#rearms.dueAt <= this.#now) this.#rearm();
  }

  tell(most: number): void {
    for (const path of this.#polled.splice(0)) this.sink.reread(path, "unwatched");
    for (const due of this.#debouncer.due(this.#now, most)) {
      if (due.kind === "everything") {
        this.sink.reread(ROOT, "limit");
      } else {
        this.sink.changed(due.path);
        if (due.below !== "nothing") this.sink.reread(due.path, due.below);
      }
    }
  }

  /** What a round of polling does. */
  poll(): void {
    if (this.watches.polled.has(this.watches.tree.root)) this.#rearm();
    else this.#armer.retry(1000);
  }

  get #isQuiet(): boolean {
    return this.kernel.waitingEvents === 0 && !this.#armer.busy && !this.#rearms.isWanted &&
      this.#debouncer.size === 0 && this.#polled.length === 0 && this.#telling &&
      this.#interpreter.nextExpiryAt === Infinity;
  }

  /** Until nothing is left to do but to poll. */
  settle(): void {
    for (let rounds = 0; !this.#isQuiet; rounds++) {
      assert(rounds < 1000, "it never comes to rest");
      this.handleEvents(Infinity);
      this.arm(10);
      this.tell(Infinity);
      this.pass(DEBOUNCE_MS);
    }
  }

  assertAllKnown(): void {
    assertEquals([...this.sink.known].sort(), [...this.sink.truth()].sort());
  }

  /** Every directory at its path, and nothing else. */
  assertAllWatched(): void {
    const { kernel, watches: { tree } } = this;
    const directories = new Map<RelativePath, Inode>([[ROOT, this.inside]]);
    for (const [path, inode] of directories) {
      for (const [name, child] of inode.entries) {
        const below = join(path, name);
        if (child.kind === "directory" && !excludes(below)) directories.set(below, child);
      }
    }
    for (const [path, { watch }] of directories) {
      const node = watch === undefined ? undefined : tree.byWatch(watch);
      assertEquals(node && tree.pathOf(node), path);
    }
    assertEquals([kernel.watched.size, tree.watched], [directories.size, directories.size]);
    assertEquals(kernel.openDescriptors, 1, "descriptors are left open");
  }
}

/** Numbers stand for what is there when it is done: the first, second … directory or entry. */
type Act =
  | {
    readonly kind: "make directory" | "create";
    readonly directory: number;
    readonly name: FileName;
  }
  | { readonly kind: "write" | "change mode" | "remove" | "hold"; readonly entry: number }
  | {
    readonly kind: "rename";
    readonly entry: number;
    readonly directory: number;
    readonly name: FileName;
  }
  | { readonly kind: "exchange"; readonly entry: number; readonly other: number }
  | { readonly kind: "release" };

type Turn =
  | { readonly kind: "events" | "arm" | "tell"; readonly count: number }
  | { readonly kind: "time"; readonly ms: number }
  | { readonly kind: "watches"; readonly most: number }
  | { readonly kind: "poll" };

interface Step {
  readonly act: Act | Turn;
  /** What happens between the parts of a system call. */
  readonly between: readonly Turn[];
}

/** Does one thing after another. */
class Guests {
  #held: Inode[] = [];

  constructor(private readonly kernel: SimulatedKernel) {}

  call(act: Act): Call | undefined {
    const { kernel } = this;
    switch (act.kind) {
      case "make directory":
        return kernel.makeDirectory(this.#directory(act.directory), act.name);
      case "create":
        return kernel.create(this.#directory(act.directory), act.name);
      case "release":
        this.#held.splice(0).forEach((inode) => kernel.release(inode));
        return undefined;
    }
    const inode = this.#entry(act.entry);
    if (inode === undefined) return undefined;
    switch (act.kind) {
      case "write":
        return kernel.write(inode);
      case "change mode":
        return kernel.changeMode(inode);
      case "remove":
        return inode.kind === "file" ? kernel.unlink(inode) : kernel.removeDirectory(inode);
      case "hold":
        kernel.hold(inode);
        this.#held.push(inode);
        return undefined;
      case "rename":
        return kernel.rename(inode, this.#directory(act.directory), act.name);
      case "exchange": {
        const other = this.#entry(act.other);
        return other && kernel.exchange(inode, other);
      }
    }
  }

  /** All that is there inside and outside, but these two themselves. */
  #entries(): Inode[] {
    const all = [...this.kernel.top.entries.values()];
    for (const inode of all) all.push(...inode.entries.values());
    return all;
  }

  #entry(number: number): Inode | undefined {
    const entries = this.#entries().slice(this.kernel.top.entries.size);
    return entries[number % entries.length];
  }

  #directory(number: number): Inode {
    const directories = this.#entries().filter(({ kind }) => kind === "directory");
    return directories[number % directories.length] ?? this.kernel.top;
  }
}

const number = fc.nat(40);
const name = fc.constantFrom(...NAMES, ...NAMES.slice(0, 2), ...NAMES.slice(0, 2));
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    arbitrary: fc.record({
      kind: fc.constant("make directory" as const),
      directory: number,
      name,
    }),
    weight: 5,
  },
  {
    arbitrary: fc.record({ kind: fc.constant("create" as const), directory: number, name }),
    weight: 3,
  },
  {
    arbitrary: fc.record({
      kind: fc.constantFrom("write" as const, "change mode" as const, "hold" as const),
      entry: number,
    }),
    weight: 3,
  },
  {
    arbitrary: fc.record({ kind: fc.constant("remove" as const), entry: number }),
    weight: 3,
  },
  {
    arbitrary: fc.record({
      kind: fc.constant("rename" as const),
      entry: number,
      directory: number,
      name,
    }),
    weight: 6,
  },
  {
    arbitrary: fc.record({ kind: fc.constant("exchange" as const), entry: number, other: number }),
    weight: 2,
  },
  { arbitrary: fc.record({ kind: fc.constant("release" as const) }), weight: 1 },
);
const commonTurn: fc.Arbitrary<Turn> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("events" as const, "arm" as const, "tell" as const),
    count: fc.integer({ min: 1, max: 6 }),
  }),
  fc.record({ kind: fc.constant("time" as const), ms: fc.constantFrom(1, 10, 60, 200) }),
);
const turn: fc.Arbitrary<Turn> = fc.oneof(
  { arbitrary: commonTurn, weight: 12 },
  {
    arbitrary: fc.record({
      kind: fc.constant("watches" as const),
      most: fc.constantFrom(1, 3, 5, Infinity),
    }),
    weight: 1,
  },
  { arbitrary: fc.record({ kind: fc.constant("poll" as const) }), weight: 1 },
);

function perform(model: Model, turn: Turn): void {
  switch (turn.kind) {
    case "events":
      return model.handleEvents(turn.count);
    case "arm":
      return model.arm(turn.count);
    case "tell":
      return model.tell(turn.count);
    case "time":
      return model.pass(turn.ms);
    case "watches":
      model.kernel.mostWatches = turn.most;
      return;
    case "poll":
      return model.poll();
  }
}

function isTurn(act: Act | Turn): act is Turn {
  return ["events", "arm", "tell", "time", "watches", "poll"].includes(act.kind);
}

interface History {
  readonly before: readonly Act[];
  readonly steps: readonly Step[];
  readonly circumstances: Circumstances;
}

function live({ before, steps, circumstances }: History): void {
  const model = new Model(circumstances);
  const guests = new Guests(model.kernel);
  for (const act of before) for (const _ of guests.call(act) ?? []);
  model.start();
  for (const { act, between } of steps) {
    if (isTurn(act)) {
      perform(model, act);
      continue;
    }
    const turns = between.values();
    for (const _ of guests.call(act) ?? []) {
      const { value } = turns.next();
      if (value !== undefined) perform(model, value);
    }
  }
  guests.call({ kind: "release" });
  model.kernel.mostEvents = Infinity;
  model.settle();
  // What cannot be watched is known when it has been polled.
  model.poll();
  model.settle();
  model.assertAllKnown();
  model.kernel.mostWatches = Infinity;
  model.poll();
  model.settle();
  model.assertAllKnown();
  model.assertAllWatched();
}

const step: fc.Arbitrary<Step> = fc.record({
  act: fc.oneof(act, turn),
  between: fc.oneof(
    { arbitrary: fc.constant([]), weight: 2 },
    { arbitrary: fc.array(commonTurn, { maxLength: 3 }), weight: 1 },
  ),
});

function histories(circumstances: fc.Arbitrary<Circumstances>): fc.Arbitrary<History> {
  return fc.record({
    before: fc.array(act, { maxLength: 15, size: "max" }),
    steps: fc.array(step, { maxLength: 60, size: "max" }),
    circumstances,
  });
}

const usual = {
  tellsKinds: fc.boolean(),
  mostEvents: fc.constant(Infinity),
  mostWatches: fc.constant(Infinity),
  mostWaitingPaths: fc.constant(Infinity),
};

Deno.test("I3: whatever happens when to a tree, all of it is watched and known in the end", () => {
  fc.assert(fc.property(histories(fc.record(usual)), live), runs(4_000));
});

Deno.test("I3, I6: also where events are lost, and more paths wait than are kept apart", () => {
  const circumstances = fc.record({
    ...usual,
    mostEvents: fc.integer({ min: 1, max: 12 }),
    mostWaitingPaths: fc.integer({ min: 1, max: 12 }),
  });
  fc.assert(fc.property(histories(circumstances), live), runs(4_000));
});

Deno.test("I3, I6: also where not all of it can be watched", () => {
  const circumstances = fc.record({ ...usual, mostWatches: fc.integer({ min: 0, max: 3 }) });
  fc.assert(fc.property(histories(circumstances), live), runs(4_000));
});
