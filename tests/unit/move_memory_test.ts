/** Renames in one share, one after the other, of files and of the directories that they are in. */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertLess } from "@std/assert";
import { fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { MoveMemory } from "../../src/gate/move_memory.ts";

const path = (text: string) => fromText(text) as RelativePath;

function remembering(...renames: readonly string[]): MoveMemory {
  const moves = new MoveMemory();
  for (const rename of renames) {
    const [from = "", to = ""] = rename.split(" ");
    moves.moved(path(from), path(to));
  }
  return moves;
}

const AFTER: readonly {
  readonly what: string;
  readonly renames: readonly string[];
  readonly name: string;
  readonly target: string | undefined;
}[] = [
  { what: "one rename", renames: ["a b"], name: "a", target: "b" },
  { what: "two", renames: ["a b", "b c"], name: "a", target: "c" },
  {
    what: "one, to a name that another file had left before",
    renames: ["b c", "a b"],
    name: "a",
    target: "b",
  },
  { what: "one of a directory above", renames: ["d e"], name: "d/x/y", target: "e/x/y" },
  { what: "two of directories above", renames: ["d e", "e f"], name: "d/x", target: "f/x" },
  {
    what: "one, and one of the directory that it came to",
    renames: ["x d/y", "d e"],
    name: "x",
    target: "e/y",
  },
  {
    what: "one out of a directory, which is renamed later",
    renames: ["d/x y", "d e"],
    name: "d/x",
    target: "y",
  },
  { what: "one out of a renamed directory", renames: ["d e", "e/x y"], name: "d/x", target: "y" },
  {
    what: "one there, another one, and one back",
    renames: ["a b", "c d", "b a"],
    name: "a",
    target: undefined,
  },
  { what: "an exchange", renames: ["a b", "b a"], name: "a", target: "b" },
  { what: "an exchange, of the other", renames: ["a b", "b a"], name: "b", target: "a" },
  {
    what: "an exchange of directories above",
    renames: ["d e", "e d"],
    name: "d/x",
    target: "e/x",
  },
  {
    what: "an exchange, and one from the name that it got",
    renames: ["a b", "b a", "b c"],
    name: "a",
    target: "c",
  },
  { what: "another file's", renames: ["a b", "c d"], name: "x", target: undefined },
];

for (const { what, renames, name, target } of AFTER) {
  Deno.test(`I3: where a file is after ${what}`, () => {
    const moves = remembering(...renames);
    assertEquals(moves.targetOf(path(name)), target === undefined ? undefined : path(target));
    if (target !== undefined) {
      assertEquals(moves.sourcesOf(path(target)).includes(path(name)), true);
    }
  });
}

Deno.test("I3: all former names of a file, the last first", () => {
  const moves = remembering("a b", "b d/c", "d e");
  assertEquals(moves.sourcesOf(path("e/c")), ["d/c", "b", "a"].map(path));
});

Deno.test("I3: what was renamed in, into and out of a directory that all have renamed bears its new name", () => {
  const moves = remembering("d/a d/b", "x d/y", "d/out out");
  const number = moves.moved(path("d"), path("e"));
  moves.followed({ from: path("d"), to: path("e"), isExchange: false }, number);
  assertEquals(
    ["e/a", "x", "e/out", "d", "d/a"].map((name) => moves.targetOf(path(name))),
    [path("e/b"), path("e/y"), path("out"), undefined, undefined],
  );
});

Deno.test("I3: a name that was given to something else, which was renamed as well, tells of both", () => {
  const moves = remembering("d e", "d f", "f/x g");
  assertEquals(moves.targetsOf(path("d/x")), [path("g"), path("e/x")]);
  assertEquals(moves.sourcesOf(path("e/x")), [path("d/x")]);
  const often = remembering(...Array.from({ length: 10 }, (_, i) => `d e${i}`));
  assertEquals(often.targetsOf(path("d")), [9, 8, 7, 6].map((i) => path(`e${i}`)));
});

Deno.test("I3: an earlier rename that is found out between the halves of an exchange leaves it one", () => {
  const moves = remembering("x a", "a b");
  moves.found(path("y"), path("b"), { left: 1 });
  moves.moved(path("b"), path("a"));
  assertEquals(moves.targetsOf(path("a")), [path("b")]);
  assertEquals(moves.targetsOf(path("b")), [path("a")]);
});

Deno.test("I3: what was exchanged in a directory that has departed has one former name", () => {
  const moves = remembering("other d/b");
  moves.moved(path("d/a"), path("d/b"), { left: 1.1, arrived: 1.2 });
  moves.moved(path("d/b"), path("d/a"), { left: 1.3, arrived: 1.4 });
  assertEquals(moves.targetsOf(path("other/x")), [path("d/a/x")]);
  assertEquals(moves.sourcesOf(path("d/a/x")), ["d/b/x", "other/x"].map(path));
});

Deno.test("I3: what was exchanged for something in a directory that has departed has one former name", () => {
  const moves = remembering("other d/b");
  const number = moves.mark();
  moves.moved(path("d/b"), path("out"), { left: 1.1 });
  moves.moved(path("out"), path("d/b"), { left: number + 2, arrived: 1.2 });
  assertEquals(moves.targetsOf(path("other/x")), [path("out/x")]);
  assertEquals(moves.targetsOf(path("out/x")), [path("d/b/x")]);
  assertEquals(moves.sourcesOf(path("out/x")), ["d/b/x", "other/x"].map(path));
});

Deno.test("I3: what was exchanged has one former name", () => {
  const moves = remembering("d e", "e d");
  assertEquals(moves.sourcesOf(path("e/x")), [path("d/x")]);
  assertEquals(moves.sourcesOf(path("d/x")), [path("e/x")]);
});

Deno.test("I3: what was renamed in a directory that came in the place of the renamed one stays as it was", () => {
  const moves = remembering("d/a d/b");
  const number = moves.moved(path("d"), path("e"));
  for (const [from, to] of [["z", "d/z"], ["e/b", "out"], ["d", "f"]] as const) {
    moves.moved(path(from), path(to));
  }
  moves.followed({ from: path("d"), to: path("e"), isExchange: false }, number);
  assertEquals(
    ["z", "d/z", "e/a", "e/b", "d"].map((name) => moves.targetOf(path(name))),
    [path("f/z"), path("f/z"), path("out"), path("out"), path("f")],
  );
});

Deno.test("I3: of two directories that were exchanged, of which all have renamed the one, the other keeps its name", () => {
  const moves = remembering("d/e d/n", "d/n x", "x d");
  const number = moves.moved(path("d"), path("x"));
  moves.mark();
  moves.followed({ from: path("d"), to: path("x"), isExchange: false }, number);
  assertEquals(["x/e", "x/e/letter"].map((name) => moves.targetOf(path(name))), [
    path("d"),
    path("d/letter"),
  ]);
  assertEquals(moves.sourcesOf(path("d/letter")).includes(path("x/e/letter")), true);
});

Deno.test("I3: what was in another directory while that had the name of one that all have renamed keeps its names", () => {
  const moves = remembering("d/x d/y", "d e", "e d", "d t", "e/z e/w", "e d");
  const number = moves.moved(path("d"), path("u"));
  moves.followed({ from: path("d"), to: path("u"), isExchange: false }, number);
  assertEquals(moves.targetsOf(path("e/a")), [path("u/a"), path("t/a")]);
  assertEquals(["u/x", "u/z"].map((name) => moves.targetOf(path(name))), [
    path("u/y"),
    path("u/w"),
  ]);
});

Deno.test("I3: what had the new name of a directory before is not taken for what is in it", () => {
  const moves = remembering("d/letter d/n", "x z");
  const number = moves.moved(path("d"), path("x"));
  moves.moved(path("x/n"), path("out"));
  moves.followed({ from: path("d"), to: path("x"), isExchange: false }, number);
  assertEquals(moves.targetOf(path("x/letter")), path("out"));
  assertEquals(moves.sourcesOf(path("out")), ["x/n", "x/letter"].map(path));
});

Deno.test("I3: of what all have exchanged each bears the other's name, as it always had", () => {
  const moves = remembering("d/a d/b", "x y", "y file");
  const number = moves.moved(path("d"), path("file"));
  moves.moved(path("file"), path("d"));
  moves.followed({ from: path("d"), to: path("file"), isExchange: true }, number);
  assertEquals(
    ["file/a", "x", "y", "d", "file"].map((name) => moves.targetOf(path(name))),
    [path("file/b"), path("d"), path("d"), undefined, undefined],
  );
  assertEquals(moves.sourcesOf(path("d")), ["y", "x"].map(path));
});

Deno.test("I3: what was renamed while it was known is found by the moment when it left its name", () => {
  const moves = remembering("d/a d/b");
  const mark = moves.mark();
  moves.moved(path("d"), path("e"));
  moves.moved(path("d/b"), path("f/c"), { left: mark }); // known only now
  moves.moved(path("f"), path("g"));
  assertEquals(moves.targetsOf(path("d/a")), [path("g/c"), path("e/a")]);
  assertEquals(moves.sourcesOf(path("g/c")), ["f/c", "d/b", "d/a"].map(path));
  assertEquals(moves.namesSince(path("d/b")).includes(path("f/c")), true);
});

Deno.test("I6: of a name that is renamed without end only the last steps are gone through", () => {
  const moves = remembering(...Array.from({ length: 1000 }, (_, i) => `${i} ${i + 1}`));
  assertEquals(moves.sourcesOf(path("1000")).length, 64);
});

Deno.test("I7: where a file is whose path has thousands of directories in it, renamed again and again, is known at once", () => {
  const below = `${"d/".repeat(4000)}file`;
  const moves = remembering(...Array.from({ length: 64 }, (_, i) => `${i} ${i + 1}`));
  const times = [1, 2, 3, 4, 5].map(() => {
    const startedAt = performance.now();
    assertEquals(moves.targetOf(path(`0/${below}`)), path(`64/${below}`));
    assertEquals(moves.sourcesOf(path(`64/${below}`)).length, 64);
    return performance.now() - startedAt;
  });
  // Half a second, if each of the directories is asked for by its path.
  assertLess(Math.min(...times), 60);
});
