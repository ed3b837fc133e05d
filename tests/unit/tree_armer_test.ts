/** Arming goes on in small steps while the tree changes; between two of them anything may happen. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { Inotify, type InotifyEvent } from "../../ffi/inotify.ts";
import { RENAME_EXCHANGE } from "../../ffi/platform.ts";
import { EventInterpreter } from "../../src/watching/event_interpreter.ts";
import { TreeArmer } from "../../src/watching/tree_armer.ts";
import { WatchSet } from "../../src/watching/watch_set.ts";
import { scratchDirectory } from "../support/scratch.ts";

/** The parts of a watcher below its loop, so that each step is the test's own. */
class Steps implements Disposable {
  readonly base = scratchDirectory("arming", "memory");
  readonly told: string[] = [];
  readonly inotify = new Inotify();
  readonly root: Directory;
  readonly watches: WatchSet;
  readonly armer: TreeArmer;
  readonly interpreter: EventInterpreter;
  #events: InotifyEvent[] = [];

  constructor(excludes?: (path: RelativePath) => boolean, mostWatches = Infinity) {
    Deno.mkdirSync(this.path("in"));
    Deno.mkdirSync(this.path("out"));
    this.root = Directory.openTrusted(fromText(this.path("in")));
    const tell = (line: string) => this.told.push(line);
    this.watches = new WatchSet(this.root, this.inotify, {
      mostWatches,
      catchUp: () => this.handleEvent(),
      unwatched: (path) => tell(`unwatched ${path}`),
    });
    this.armer = new TreeArmer(this.root, this.watches, {
      excludes,
      found: (path) => tell(`found ${path}`),
      armed: (path, purpose) => tell(`armed ${path} ${purpose}`),
      rootArmed: () => tell("root armed"),
      tooMuch: () => tell("too much"),
    });
    this.interpreter = new EventInterpreter(this.watches.tree, {
      touch: () => {},
      moved: () => {},
      departed: () => {},
      paired: () => {},
      mark: () => 0,
      found: () => {},
      movedOut: (path) => this.armer.after(() => tell(`moved out ${path}`)),
      arrived: (parent, name, purpose) => this.armer.request(parent, name, purpose),
      overflow: () => tell("overflow"),
      rootChanged: () => {},
      watchGone: (watch) => this.watches.watchGone(watch),
    }, excludes);
  }

  path(path: string): string {
    return `${this.base}/${path}`;
  }

  mkdir(...paths: string[]): void {
    for (const path of paths) Deno.mkdirSync(this.path(path), { recursive: true });
  }

  /** The smallest step that there is. */
  step(): void {
    this.armer.step(0);
  }

  finish(): void {
    while (this.armer.busy) this.step();
  }

  handleEvents(): void {
    while (this.handleEvent());
  }

  /** `false` if there was none. */
  handleEvent(): boolean {
    if (this.#events.length === 0) this.#events = this.inotify.read();
    const event = this.#events.shift();
    if (event !== undefined) this.interpreter.handle(event, 0);
    return event !== undefined;
  }

  /** The kernel's own count of watches. */
  get kernelWatches(): number {
    const lines = Deno.readTextFileSync(`/proc/self/fdinfo/${this.inotify.fd}`).split("\n");
    return lines.filter((line) => line.startsWith("inotify ")).length;
  }

  [Symbol.dispose](): void {
    this.armer.close();
    this.inotify.close();
    this.root.close();
    Deno.removeSync(this.base, { recursive: true });
  }
}

const MANY = Array.from({ length: 20 }, (_, i) => `${i}`);

Deno.test("I2: arming stops in a directory that is moved out meanwhile, and leaves no watch there", () => {
  for (let before = 1; before < 30; before++) {
    using steps = new Steps();
    steps.mkdir(...MANY.map((name) => `in/a/${name}/below`));
    steps.armer.rearm();
    for (let i = 0; i < before; i++) steps.step();
    Deno.renameSync(steps.path("in/a"), steps.path("out/a"));
    steps.handleEvents();
    steps.interpreter.expire(Infinity);
    steps.finish();
    steps.handleEvents();
    steps.interpreter.expire(Infinity);
    steps.finish();
    assertEquals(steps.watches.tree.watched, 1, `moved out after ${before} steps`);
    assertEquals(steps.kernelWatches, 1, `moved out after ${before} steps`);
  }
});

Deno.test("a directory that is renamed while it is armed is watched whole in its new place", () => {
  for (let before = 1; before < 30; before++) {
    using steps = new Steps();
    steps.mkdir("in/b", ...MANY.map((name) => `in/a/${name}/below`));
    steps.armer.rearm();
    for (let i = 0; i < before; i++) steps.step();
    Deno.renameSync(steps.path("in/a"), steps.path("in/b/c"));
    steps.finish();
    steps.handleEvents();
    steps.finish();
    assertEquals(steps.watches.tree.watched, 1 + 2 + 2 * MANY.length);
    assertEquals(steps.kernelWatches, 1 + 2 + 2 * MANY.length);
    const { tree } = steps.watches;
    const [name = ""] = MANY;
    const b = tree.child(tree.root, fileName("b"));
    const c = b && tree.child(b, fileName("c"));
    const first = c && tree.child(c, fileName(name));
    assertEquals(first && tree.pathOf(first), `b/c/${name}`);
  }
});

Deno.test("I3: what a directory's events tell of is known, though another one has its place before they are handled", () => {
  using steps = new Steps();
  steps.mkdir("in/a/below", "in/b");
  steps.armer.rearm();
  steps.finish();
  const { tree } = steps.watches;
  const a = tree.child(tree.root, fileName("a"));
  const below = a && tree.child(a, fileName("below"));
  assert(below !== undefined);
  Deno.renameSync(steps.path("in/a"), steps.path("in/c"));
  Deno.renameSync(steps.path("in/b"), steps.path("in/a"));
  for (const name of ["a", "c", "b"]) steps.armer.request(tree.root, fileName(name), "moved");
  steps.finish();
  assertEquals(tree.pathOf(below), "c/below");
  assertEquals([steps.watches.tree.watched, steps.kernelWatches], [4, 4]);
});

Deno.test("what is to be done afterwards is done when all is armed that was asked for before", () => {
  using steps = new Steps();
  steps.mkdir("in/a/below", "in/b");
  steps.armer.rearm();
  steps.finish();
  const { root } = steps.watches.tree;
  steps.told.length = 0;
  steps.armer.after(() => steps.told.push("at once"));
  steps.armer.request(root, fileName("a"), "moved");
  steps.armer.after(() => steps.told.push("after a"));
  steps.armer.request(root, fileName("b"), "moved");
  steps.finish();
  assertEquals(steps.told, ["at once", "armed a moved", "after a", "armed b moved"]);
  steps.armer.request(root, fileName("a"), "moved");
  steps.armer.after(() => steps.told.push("after a"));
  steps.armer.rearm();
  steps.finish();
  assertEquals(steps.told.slice(4), ["root armed"]);
});

Deno.test("I3: directories that are exchanged while they are armed are both watched in the end", () => {
  for (let before = 1; before < 6; before++) {
    for (let told = 0; told < 4; told++) {
      using steps = new Steps();
      steps.mkdir("in/a", "in/b");
      steps.armer.rearm();
      for (let i = 0; i < before; i++) steps.step();
      steps.root.rename(fileName("a"), steps.root, fileName("b"), RENAME_EXCHANGE);
      steps.finish();
      for (let i = 0; i < told; i++) steps.handleEvent();
      steps.finish();
      steps.handleEvents();
      steps.finish();
      const when = `exchanged after ${before} steps, ${told} events told before the rest`;
      assertEquals([steps.watches.tree.watched, steps.kernelWatches], [3, 3], when);
    }
  }
});

Deno.test("an excluded directory is not watched either if its parent had no place when it was told", () => {
  using steps = new Steps((path) => path.endsWith("excluded"));
  steps.mkdir("in/a", "in/b");
  steps.armer.rearm();
  steps.finish();
  Deno.renameSync(steps.path("in/a"), steps.path("out/a"));
  Deno.renameSync(steps.path("out/a"), steps.path("in/a"));
  steps.mkdir("in/a/excluded");
  steps.handleEvents();
  steps.finish();
  assertEquals([steps.watches.tree.watched, steps.kernelWatches], [3, 3]);
});

Deno.test("what was found in a created directory is told before it counts as armed", () => {
  using steps = new Steps();
  steps.armer.rearm();
  steps.finish();
  steps.mkdir("in/a/b");
  Deno.writeTextFileSync(steps.path("in/a/b/file"), "");
  steps.handleEvents();
  steps.finish();
  assertEquals(steps.told, ["root armed", "found a/b", "found a/b/file", "armed a created"]);
});

Deno.test("I6: requests for the same directory are one; the strongest purpose counts", () => {
  using steps = new Steps();
  steps.armer.rearm();
  steps.finish();
  steps.told.length = 0;
  steps.mkdir("in/a");
  const { root } = steps.watches.tree;
  for (const purpose of ["created", "moved", "retry", "created"] as const) {
    steps.armer.request(root, fileName("a"), purpose);
  }
  steps.finish();
  assertEquals(steps.told, ["armed a moved"]);
});

Deno.test("I6: more requests than can be kept ask for everything to be armed, and are not kept", () => {
  using steps = new Steps();
  steps.armer.rearm();
  steps.finish();
  const { root } = steps.watches.tree;
  for (let i = 0; i < 30_000; i++) steps.armer.request(root, fileName(`${i}`), "created");
  assert(steps.told.includes("too much"));
  steps.armer.rearm();
  steps.told.length = 0;
  steps.finish();
  assertEquals(steps.told, ["root armed"]);
});

Deno.test("I3, I6: a directory in the place of one that is polled and waits to be tried again is polled too", () => {
  using steps = new Steps(undefined, 1);
  steps.mkdir("in/a", "in/b");
  steps.armer.rearm();
  steps.finish();
  assertEquals(steps.watches.polled.size, 2);
  steps.armer.retry(10);
  for (const name of ["a", "b"]) {
    Deno.removeSync(steps.path(`in/${name}`));
    steps.mkdir(`in/${name}`);
  }
  steps.handleEvents();
  steps.finish();
  assertEquals(steps.watches.polled.size, 2);
});

Deno.test("arming everything again removes the watches of what is not there any more", () => {
  using steps = new Steps();
  steps.mkdir("in/stays/x", "in/goes/x", "in/moves/x");
  steps.armer.rearm();
  steps.finish();
  Deno.renameSync(steps.path("in/goes"), steps.path("out/gone"));
  Deno.renameSync(steps.path("in/moves"), steps.path("in/stays/moved"));
  while (steps.inotify.read().length > 0); // as if the queue had overflown
  steps.armer.rearm();
  steps.finish();
  assertEquals(steps.watches.tree.watched, 5);
  assertEquals(steps.kernelWatches, 5);
});
