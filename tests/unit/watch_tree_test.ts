/** Which watch stands for which directory, and what becomes of that when directories move. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { runs } from "../support/size.ts";
import { asRelativePath, fileName, fromText, ROOT } from "../../ffi/byte_string.ts";
import { UNWATCHED, type WatchNode, WatchTree } from "../../src/watching/watch_tree.ts";

const ROOT_WATCH = 1;

class Fixture {
  readonly forgotten: number[] = [];
  readonly tree = new WatchTree((node) => this.forgotten.push(node.watch));

  constructor(paths: Record<string, number> = {}) {
    this.tree.setRootWatch(ROOT_WATCH);
    for (const [path, watch] of Object.entries(paths)) this.place(path, watch);
  }

  at(path: string): WatchNode {
    let node = this.tree.root;
    for (const name of path === "" ? [] : path.split("/")) {
      const child = this.tree.child(node, fileName(name));
      assert(child !== undefined, `nothing is known at ${path}`);
      node = child;
    }
    return node;
  }

  place(path: string, watch: number) {
    const slash = path.lastIndexOf("/");
    const parent = this.at(path.slice(0, Math.max(0, slash)));
    return this.tree.place(parent, fileName(path.slice(slash + 1)), watch);
  }

  pathOf(watch: number): string | undefined {
    const node = this.tree.byWatch(watch);
    return node === undefined ? undefined : this.tree.pathOf(node);
  }
}

Deno.test("a watch leads to the path of its directory", () => {
  const known = new Fixture({ a: 2, "a/b": 3, "a/b/c": 4 });
  assertEquals(known.pathOf(ROOT_WATCH), "");
  assertEquals(known.pathOf(4), "a/b/c");
  assertEquals(known.pathOf(5), undefined);
  assertEquals(known.tree.watched, 4);
  assertEquals(known.tree.pathIn(known.at("a/b"), fileName("x")), "a/b/x");
  assertEquals(known.tree.pathIn(known.tree.root, fileName("x")), "x");
});

Deno.test("a directory that moves keeps its watch, and so does everything below it", () => {
  const known = new Fixture({ a: 2, "a/b": 3, "a/b/c": 4, x: 5 });
  assertEquals(known.pathOf(4), "a/b/c");
  const moving = known.at("a/b");
  known.tree.detach(moving);
  assertEquals(known.pathOf(4), undefined);
  assert(!known.tree.isAttached(known.tree.byWatch(4) ?? moving));
  assert(known.tree.attach(moving, known.at("x"), fileName("y")));
  assertEquals(known.pathOf(3), "x/y");
  assertEquals(known.pathOf(4), "x/y/c");
  assertEquals(known.forgotten, []);
});

Deno.test("the same directory met under another name moves there", () => {
  const known = new Fixture({ a: 2, "a/b": 3, "a/b/c": 4 });
  assertEquals(known.place("z", 3)?.fresh, true);
  assertEquals(known.pathOf(4), "z/c");
  assertEquals(known.tree.child(known.at("a"), fileName("b")), undefined);
  assertEquals(known.tree.watched, 4);
});

Deno.test("the same directory met where it is known is nothing new", () => {
  const known = new Fixture({ a: 2 });
  assertEquals(known.place("a", 2)?.fresh, false);
});

Deno.test("another directory under a known name takes its place, and what was below goes", () => {
  const known = new Fixture({ a: 2, "a/b": 3 });
  assertEquals(known.place("a", 9)?.fresh, true);
  assertEquals(known.forgotten.sort(), [2, 3]);
  assertEquals(known.pathOf(9), "a");
  assertEquals(known.tree.watched, 2);
});

Deno.test("a directory that moves over another one takes its place", () => {
  const known = new Fixture({ a: 2, "a/b": 3, z: 4, "z/y": 5 });
  const moving = known.at("a");
  known.tree.detach(moving);
  known.tree.attach(moving, known.tree.root, fileName("z"));
  assertEquals(known.pathOf(3), "z/b");
  assertEquals(known.forgotten.sort(), [4, 5]);
});

Deno.test("no directory comes to lie below itself", () => {
  const known = new Fixture({ a: 2, "a/b": 3, "a/b/c": 4 });
  assertEquals(known.place("a/b/c/d", 2), undefined);
  assertEquals(known.place("a/b/d", 3), undefined);
  assert(!known.tree.attach(known.at("a"), known.at("a/b/c"), fileName("d")));
  assertEquals(known.pathOf(4), "a/b/c");
});

Deno.test("a directory without a watch has a place, and gets its watch there", () => {
  const known = new Fixture({ a: UNWATCHED });
  assertEquals(known.tree.watched, 1);
  assertEquals(known.place("a", UNWATCHED)?.fresh, false);
  const node = known.at("a");
  assertEquals(known.place("a", 7), { node, fresh: true });
  assertEquals(known.pathOf(7), "a");
});

Deno.test("a directory whose watch the kernel removed keeps its place until its name ends", () => {
  const known = new Fixture({ a: 2 });
  const node = known.at("a");
  known.tree.watchEnded(node);
  assertEquals(known.tree.byWatch(2), undefined);
  assertEquals(known.at("a"), node);
  known.tree.remove(node);
  assert(known.tree.isForgotten(node));
});

Deno.test("a removed tree is forgotten whole, one by one, however deep and wide it is", () => {
  const known = new Fixture({ a: 2 });
  let deepest = known.at("a");
  for (let watch = 10; watch < 20_000; watch++) {
    deepest = known.tree.place(deepest, fileName("d"), watch)?.node ?? deepest;
  }
  for (let watch = 20_000; watch < 200_000; watch++) {
    known.tree.place(known.at("a"), fileName(`w${watch}`), watch);
  }
  known.tree.remove(known.at("a"));
  assertEquals(known.forgotten.length, 1 + 19_990 + 180_000);
  assertEquals(known.tree.watched, 1);
});

Deno.test("what is not met again between the beginning and the end of a sweep goes", () => {
  const known = new Fixture({ a: 2, "a/b": 3, c: 4, "c/d": 5, e: UNWATCHED, f: UNWATCHED });
  known.tree.beginSweep();
  known.place("a", 2);
  known.place("f", UNWATCHED);
  known.place("new", 6);
  known.tree.endSweep();
  assertEquals(known.forgotten.sort(), [UNWATCHED, 3, 4, 5]);
  assertEquals(known.pathOf(2), "a");
  assertEquals(known.pathOf(6), "new");
  known.at("f");
});

Deno.test("after any changes each watch is found where its path says, and each that went was told once", () => {
  const names = fc.constantFrom("a", "b", "c");
  const paths = fc.array(names, { minLength: 1, maxLength: 4 });
  const change = fc.record({
    what: fc.constantFrom("place", "move", "remove", "sweep"),
    from: paths,
    to: paths,
    watch: fc.integer({ min: UNWATCHED, max: 12 }).filter((watch) => watch !== ROOT_WATCH),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const known = new Fixture();
      const { tree } = known;
      const met = new Set<WatchNode>();
      const find = (path: readonly string[]): WatchNode | undefined =>
        path.reduce<WatchNode | undefined>(
          (node, name) => node && tree.child(node, fileName(name)),
          tree.root,
        );
      for (const { what, from, to, watch } of changes) {
        const parent = find(to.slice(0, -1));
        const name = fileName(to.at(-1) ?? "a");
        const node = find(from);
        if (what === "place" && parent !== undefined) {
          const placed = tree.place(parent, name, watch);
          if (placed !== undefined) {
            met.add(placed.node);
            assertEquals(tree.pathOf(placed.node), to.join("/"));
          }
        } else if (what === "move" && node !== undefined && parent !== undefined) {
          tree.detach(node);
          if (!tree.attach(node, parent, name)) tree.remove(node);
        } else if (what === "remove" && node !== undefined) {
          tree.remove(node);
        } else if (what === "sweep") {
          tree.beginSweep();
          tree.endSweep();
          assertEquals(tree.watched, 1);
        }
      }
      const alive = [...met].filter((node) => !tree.isForgotten(node));
      for (const node of alive) {
        const path = asRelativePath(fromText(tree.pathOf(node) ?? "?"));
        assertEquals(find((path ?? "?").split("/")), node);
        if (node.watch !== UNWATCHED) assertEquals(tree.byWatch(node.watch), node);
      }
      assertEquals(tree.watched, 1 + alive.filter(({ watch }) => watch !== UNWATCHED).length);
      assertEquals(known.forgotten.length, met.size - alive.length);
      assertEquals(tree.pathOf(tree.root), ROOT);
    }),
    runs(500),
  );
});
