/** What each of inotify's events means for the tree and for those who are told. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { type ByteString, fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { IN } from "../../ffi/inotify.ts";
import type { Touch } from "../../src/watching/debouncer.ts";
import { EventInterpreter, type Findings } from "../../src/watching/event_interpreter.ts";
import { UNWATCHED, type WatchNode, WatchTree } from "../../src/watching/watch_tree.ts";
import type { MoveTime } from "../../src/watching/watcher.ts";

const ROOT_WATCH = 1;
const DIRECTORY = IN.ISDIR;

/** Notes everything that is found, a line each. */
class World implements Findings {
  readonly lines: string[] = [];
  readonly forgotten: number[] = [];
  #marks = 0;
  readonly tree = new WatchTree((node) => this.forgotten.push(node.watch));
  readonly interpreter: EventInterpreter;
  now = 0;

  constructor(paths: Record<string, number> = {}, excludes?: (path: RelativePath) => boolean) {
    this.tree.setRootWatch(ROOT_WATCH);
    this.interpreter = new EventInterpreter(this.tree, this, excludes);
    for (const [path, watch] of Object.entries(paths)) {
      const names = path.split("/").map(fileName);
      const parent = names.slice(0, -1).reduce(
        (node, name) => this.tree.child(node, name) ?? node,
        this.tree.root,
      );
      this.tree.place(parent, names.at(-1) ?? fileName("?"), watch);
    }
  }

  touch(path: RelativePath, { event, below }: Touch): void {
    const details = [event, ...below === "nothing" ? [] : [below]];
    this.lines.push(`${path}: ${details.join(", ")}`);
  }
  moved(from: RelativePath, to: RelativePath, when?: MoveTime): void {
    const time = when ? ` from ${when.left} to ${when.arrived ?? "now"}` : "";
    this.lines.push(`${from} -> ${to}${time}`);
  }
  departed(path: RelativePath, mark: number): void {
    this.lines.push(`${path} departed at ${mark}`);
  }
  paired(mark: number): void {
    this.lines.push(`what departed at ${mark} has arrived`);
  }
  mark(): number {
    return ++this.#marks;
  }
  found(path: RelativePath): void {
    this.lines.push(`${path} found`);
  }
  movedOut(path: RelativePath, { event, below }: Touch): void {
    this.lines.push(`${path} moved out: ${event}, ${below}`);
  }
  arrived(parent: WatchNode, name: RelativePath, purpose: string): void {
    this.lines.push(`arm ${parent.watch}/${name}: ${purpose}`);
  }
  overflow(): void {
    this.lines.push("overflow");
  }
  rootChanged(unwatched: boolean): void {
    this.lines.push(unwatched ? "root unwatched" : "root changed");
  }
  watchGone(watch: number): void {
    this.lines.push(`watch ${watch} gone`);
  }

  /** What one event brings about. */
  on(watch: number, mask: number, name = "", cookie = 0): string[] {
    this.lines.length = 0;
    const event = { watch, mask, cookie, name: fromText(name) };
    this.interpreter.handle(event, this.now);
    return [...this.lines];
  }

  tellHalves(): string[] {
    this.lines.length = 0;
    this.interpreter.tellHalves();
    return [...this.lines];
  }

  pathOf(watch: number): string | undefined {
    const node = this.tree.byWatch(watch);
    return node && this.tree.pathOf(node);
  }
}

Deno.test("events that end a change are told apart from those that only keep the path waiting", () => {
  const world = new World({ a: 2 });
  assertEquals(world.on(2, IN.CREATE, "f"), ["a/f: other"]);
  assertEquals(world.on(2, IN.MODIFY, "f"), ["a/f: writing"]);
  assertEquals(world.on(2, IN.ATTRIB, "f"), ["a/f: other"]);
  assertEquals(world.on(2, IN.CLOSE_WRITE, "f"), ["a/f: closed"]);
  assertEquals(world.on(2, IN.DELETE, "f"), ["a/f: settled"]);
  assertEquals(world.on(ROOT_WATCH, IN.MOVED_TO, "g", 2), ["g: settled"]);
});

Deno.test("both halves of a rename are told as one, and each name is looked at", () => {
  const world = new World({ a: 2 });
  assertEquals(world.on(2, IN.MOVED_FROM, "f", 7), []);
  assertEquals(world.on(ROOT_WATCH, IN.CLOSE_WRITE, "other"), [
    "a/f departed at 1",
    "other: closed",
  ]);
  assertEquals(world.on(ROOT_WATCH, IN.MOVED_TO, "g", 7), [
    "a/f: settled",
    "what departed at 1 has arrived",
    "a/f -> g",
    "g: settled",
  ]);
});

Deno.test("a new directory is told and armed", () => {
  const world = new World();
  assertEquals(world.on(ROOT_WATCH, IN.CREATE | DIRECTORY, "a"), [
    "a: settled",
    "arm 1/a: created",
  ]);
});

Deno.test("a watched directory that is removed is told; who emptied it was told before", () => {
  const world = new World({ a: 2 });
  assertEquals(world.on(2, IN.IGNORED), ["watch 2 gone"]);
  assertEquals(world.on(ROOT_WATCH, IN.DELETE | DIRECTORY, "a"), ["a: settled"]);
  assertEquals(world.tree.watched, 1);
});

Deno.test("a directory that is removed without having been watched is to be read again", () => {
  const world = new World({ polled: UNWATCHED });
  for (const name of ["polled", "unknown"]) {
    assertEquals(world.on(ROOT_WATCH, IN.DELETE | DIRECTORY, name), [`${name}: settled, moved`]);
  }
});

Deno.test("a directory that ends before it was armed again in its new place is to be read again", () => {
  const world = new World({ a: 2, "a/b": 3 });
  world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "a", 7);
  world.on(ROOT_WATCH, IN.MOVED_TO | DIRECTORY, "z", 7);
  assertEquals(world.on(2, IN.DELETE | DIRECTORY, "b"), ["z/b: settled, moved"]);
  world.tree.trust(world.tree.byWatch(2) ?? world.tree.root);
  world.tree.place(world.tree.byWatch(2) ?? world.tree.root, fileName("c"), 4);
  assertEquals(world.on(2, IN.DELETE | DIRECTORY, "c"), ["z/c: settled"]);
});

Deno.test("a directory that is renamed takes its watches along and is armed again", () => {
  const world = new World({ a: 2, "a/b": 3, x: 4 });
  assertEquals(world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "a", 7), [
    "arm 1/a: moved", // if something is there by now
  ]);
  assertEquals(world.pathOf(3), undefined);
  const told = world.on(3, IN.CLOSE_WRITE, "f");
  assertEquals(told, ["a departed at 1"], "what is in it has no path; its new place will be read");
  assertEquals(world.on(4, IN.MOVED_TO | DIRECTORY, "y", 7), [
    "a: settled, moved",
    "what departed at 1 has arrived",
    "a -> x/y",
    "x/y: settled",
    "arm 4/y: moved",
  ]);
  assertEquals(world.on(3, IN.CLOSE_WRITE, "f"), ["x/y/b/f: closed"]);
  assertEquals(world.forgotten, []);
});

Deno.test("a directory that was moved out is forgotten after a while, with everything below it", () => {
  const world = new World({ a: 2, "a/b": 3 });
  world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "a", 7);
  world.interpreter.expire(world.interpreter.nextExpiryAt - 1);
  assertEquals(world.forgotten, []);
  world.interpreter.expire(world.interpreter.nextExpiryAt);
  assertEquals(world.forgotten.sort(), [2, 3]);
  assertEquals(world.on(3, IN.CLOSE_WRITE, "f"), []);
});

Deno.test("I3: what has departed is told at once, and that it was moved out once that is certain", () => {
  const world = new World();
  world.on(ROOT_WATCH, IN.MOVED_FROM, "a", 7);
  assertEquals(world.on(ROOT_WATCH, IN.MOVED_FROM, "b", 8), ["a departed at 1"]);
  assertEquals(world.on(ROOT_WATCH, IN.MOVED_TO, "c", 8), ["b: settled", "b -> c", "c: settled"]);
  world.on(ROOT_WATCH, IN.MOVED_FROM, "d", 9);
  for (let time = 0; time < 2; time++) {
    world.interpreter.expire(world.interpreter.nextExpiryAt - 1);
    assertEquals(world.lines, ["d departed at 3"]);
  }
  world.lines.length = 0;
  assertEquals(world.interpreter.departures, 2);
  world.interpreter.expire(world.interpreter.nextExpiryAt);
  assertEquals(world.lines, ["a", "d"].map((path) => `${path} moved out: settled, nothing`));
  assertEquals(world.interpreter.departures, 0);
});

Deno.test("I3: what departs from a directory that has departed itself is told by the name that it had", () => {
  const world = new World({ a: 2, "a/b": 3 });
  world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "a", 7);
  assertEquals(world.on(3, IN.MOVED_FROM, "f", 8), ["a departed at 1"]);
  assertEquals(world.on(ROOT_WATCH, IN.MOVED_TO, "g", 8), [
    "a/b/f: settled",
    `a/b/f -> g from ${1 / 64} to now`,
    "g: settled",
  ]);
  world.on(2, IN.MOVED_FROM | DIRECTORY, "b", 9);
  world.lines.length = 0;
  world.interpreter.expire(0);
  assertEquals(world.lines, [`a/b departed at ${1 / 64 + 63 / 64 / 64}`]);
});

Deno.test("I3: directories that depart from each other: what happened in the inner one came after what did before in the outer one", () => {
  const world = new World({ a: 2, "a/b": 3 });
  const departures = (watch: number, mask: number, name: string, cookie: number) => {
    world.on(watch, mask, name, cookie);
    world.lines.length = 0;
    world.interpreter.expire(0);
    return world.lines.map((line) => {
      const [path, mark] = line.split(" departed at ");
      return { path, mark: Number(mark) };
    });
  };
  const marks = [
    ...departures(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "a", 7),
    ...departures(2, IN.MOVED_FROM, "first", 8),
    ...departures(2, IN.MOVED_FROM | DIRECTORY, "b", 9),
    ...departures(3, IN.MOVED_FROM, "second", 10),
    ...departures(2, IN.MOVED_FROM, "third", 11),
  ];
  marks.sort((one, other) => one.mark - other.mark);
  assertEquals(marks.map(({ path }) => path), ["a/first", "a/b/second", "a/b", "a/third", "a"]);
});

Deno.test("I3: of a thousand things that depart from a directory that has, each has a moment of its own", () => {
  const world = new World({ a: 2 });
  world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "a", 7);
  const marks: number[] = [];
  for (let i = 0; i < 1000; i++) {
    world.on(2, IN.MOVED_FROM, `f${i}`, 100 + i);
    world.lines.length = 0;
    world.interpreter.expire(0);
    marks.push(Number(world.lines[0]?.split(" departed at ")[1]));
  }
  assertEquals(marks, [...new Set(marks)].sort((one, other) => one - other));
  assertEquals(marks.every((mark) => mark > 0 && mark < 1), true);
});

Deno.test("I3: what arrives in a directory that has departed has done so before that", () => {
  const world = new World({ a: 2 });
  world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "a", 7);
  world.on(ROOT_WATCH, IN.MOVED_FROM, "f", 8);
  assertEquals(world.on(2, IN.MOVED_TO, "g", 8), ["f: settled", `f -> a/g from 2 to ${1 / 64}`]);
});

Deno.test("a directory that was met elsewhere before its arrival was told is not forgotten", () => {
  const world = new World({ a: 2, x: 4 });
  world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "a", 7);
  world.tree.place(world.tree.byWatch(4) ?? world.tree.root, fileName("y"), 2);
  world.interpreter.expire(Infinity);
  assertEquals(world.pathOf(2), "x/y");
});

Deno.test("a directory that moves in from outside is armed", () => {
  const world = new World();
  assertEquals(world.on(ROOT_WATCH, IN.MOVED_TO | DIRECTORY, "a", 9), [
    "a: settled",
    "arm 1/a: moved",
  ]);
  assertEquals(world.tellHalves(), ["a found"]);
});

Deno.test("I3: of what is exchanged with something outside, the departure is told before the arrival", () => {
  const world = new World({ a: 2 });
  assertEquals(world.on(2, IN.MOVED_TO, "f", 8), ["a/f: settled"]);
  assertEquals(world.on(2, IN.MOVED_FROM, "f", 9), []);
  assertEquals(world.tellHalves(), ["a/f departed at 1", "a/f found"]);
});

Deno.test("what arrives from outside is told before it, or something else, leaves", () => {
  const world = new World({ a: 2 });
  world.on(2, IN.MOVED_TO, "f", 8);
  assertEquals(world.on(2, IN.MOVED_FROM, "g", 9), ["a/f found"]);
  world.on(2, IN.MOVED_TO, "h", 10);
  world.on(2, IN.MOVED_FROM, "h", 11);
  assertEquals(world.on(2, IN.MOVED_FROM, "h", 12), ["a/h departed at 2", "a/h found"]);
  assertEquals(world.tellHalves(), ["a/h departed at 3"]);
});

Deno.test("two directories that exchange their names both get another one", () => {
  const world = new World({ a: 2, b: 3 });
  world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "a", 7);
  assertEquals(world.on(ROOT_WATCH, IN.MOVED_TO | DIRECTORY, "b", 7).at(-1), "arm 1/b: moved");
  world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "b", 8);
  assertEquals(world.on(ROOT_WATCH, IN.MOVED_TO | DIRECTORY, "a", 8).at(-1), "arm 1/a: moved");
  assertEquals([world.pathOf(2), world.pathOf(3)], ["b", "a"]);
});

Deno.test("I3: a directory that was made a moment before is exchanged for another one", () => {
  const world = new World({ a: 2, "a/c": 3 });
  world.on(ROOT_WATCH, IN.CREATE | DIRECTORY, "b");
  world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "a", 7);
  world.on(ROOT_WATCH, IN.MOVED_TO | DIRECTORY, "b", 7);
  world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "b", 8);
  world.on(ROOT_WATCH, IN.MOVED_TO | DIRECTORY, "a", 8);
  assertEquals(world.pathOf(3), "b/c");
});

Deno.test("an empty directory whose place another one has got is forgotten, once that was no exchange", () => {
  const world = new World({ a: 2, b: 3 });
  world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "a", 7);
  world.on(ROOT_WATCH, IN.MOVED_TO | DIRECTORY, "b", 7);
  assertEquals([world.pathOf(2), world.forgotten], ["b", []]);
  world.interpreter.expire(world.interpreter.nextExpiryAt);
  assertEquals([world.pathOf(2), world.forgotten], ["b", [3]]);
});

Deno.test("I6: of very many that lose their places in a moment, the first are forgotten at once", () => {
  const numbers = Array.from({ length: 100 }, (_, i) => i);
  const world = new World(
    Object.fromEntries(numbers.flatMap((i) => [[`from${i}`, 1000 + i], [`to${i}`, 2000 + i]])),
  );
  for (const i of numbers) {
    world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, `from${i}`, i);
    world.on(ROOT_WATCH, IN.MOVED_TO | DIRECTORY, `to${i}`, i);
  }
  assertEquals(world.forgotten, numbers.slice(0, 36).map((i) => 2000 + i));
  world.interpreter.expire(Infinity);
  assertEquals(world.forgotten, numbers.map((i) => 2000 + i));
});

Deno.test("I3: of an exchange whose first half was met before it was told, both names are armed at the end", () => {
  // Met already: what was a, under the name b. What was b is not watched.
  const world = new World({ b: 2 });
  assertEquals(world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "a", 7), []);
  assertEquals(world.on(ROOT_WATCH, IN.MOVED_TO | DIRECTORY, "b", 7).at(-1), "arm 1/b: moved");
  // Armed in between. Then the half that takes the name b from what was there before.
  assertEquals(world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "b", 8), ["arm 1/b: moved"]);
  assertEquals(world.on(ROOT_WATCH, IN.MOVED_TO | DIRECTORY, "a", 8).at(-1), "arm 1/a: moved");
});

Deno.test("an event that is older than what is known of its place does no harm", () => {
  // Known already: a now lies in b. Still to be told: b came out of a, and a went into b.
  const world = new World({ b: 3, "b/a": 2 });
  world.on(2, IN.MOVED_FROM | DIRECTORY, "b", 7);
  world.on(ROOT_WATCH, IN.MOVED_TO | DIRECTORY, "b", 7);
  assertEquals(world.pathOf(3), "b");
  assertEquals(world.pathOf(2), "b/a");
  // The reverse: a directory is told to arrive in one that is known to lie below it by now.
  world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "b", 8);
  assertEquals(world.on(2, IN.MOVED_TO | DIRECTORY, "c", 8), [
    "b: settled, moved",
  ]);
  assertEquals(world.forgotten.sort(), [2, 3]);
});

Deno.test("excluded directories are told themselves, but never armed, and lose their watches", () => {
  const world = new World({ a: 2 }, (path) => path.startsWith("ignored"));
  assertEquals(world.on(ROOT_WATCH, IN.CREATE | DIRECTORY, "ignored1"), ["ignored1: settled"]);
  world.on(ROOT_WATCH, IN.MOVED_FROM | DIRECTORY, "a", 7);
  assertEquals(world.on(ROOT_WATCH, IN.MOVED_TO | DIRECTORY, "ignored2", 7), [
    "a: settled, moved",
    "a -> ignored2",
    "ignored2: settled",
  ]);
  assertEquals(world.forgotten, [2]);
});

Deno.test("lost events, and what becomes of the root, are passed on", () => {
  const world = new World({ a: 2 });
  assertEquals(world.on(-1, IN.Q_OVERFLOW), ["overflow"]);
  assertEquals(world.on(ROOT_WATCH, IN.MOVE_SELF), ["root changed"]);
  assertEquals(world.on(ROOT_WATCH, IN.DELETE_SELF), ["root changed"]);
  assertEquals(world.on(ROOT_WATCH, IN.UNMOUNT), ["watch 1 gone", "root unwatched"]);
  assertEquals(world.on(2, IN.UNMOUNT), ["watch 2 gone"]);
});

Deno.test("events of unknown watches, of a directory itself and of impossible names are passed over", () => {
  const world = new World({ a: 2 });
  assertEquals(world.on(99, IN.CLOSE_WRITE, "f"), []);
  assertEquals(world.on(2, IN.ATTRIB | DIRECTORY), []);
  for (const name of ["..", ".", "x/y"]) assertEquals(world.on(2, IN.CLOSE_WRITE, name), []);
});

Deno.test("I6: of a rename at an enormous path no copy is kept; both names are still looked at", () => {
  const world = new World();
  let parent = world.tree.root;
  for (let watch = 2; watch < 30; watch++) {
    parent = world.tree.place(parent, fileName("x".repeat(255)), watch)?.node ?? parent;
  }
  assertEquals(world.on(29, IN.MOVED_FROM, "f", 7).length, 1);
  const path = `${world.tree.pathOf(parent)}/g` as ByteString;
  assertEquals(world.on(29, IN.MOVED_TO, "g", 7), [`${path}: settled`]);
});
