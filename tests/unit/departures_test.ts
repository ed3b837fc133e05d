/** What left its name for one that nobody told is met again by its inode, and its deletion waits as long as that may be. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Arrivals } from "../../src/gate/arrivals.ts";
import { Departures } from "../../src/gate/departures.ts";
import { MoveMemory } from "../../src/gate/move_memory.ts";

const path = (text: string) => fromText(text) as RelativePath;

function departed(...names: readonly string[]): Departures {
  const departures = new Departures();
  for (const [index, name] of names.entries()) {
    departures.add({ path: path(name), inodes: [index], mark: index }, 0);
  }
  return departures;
}

Deno.test("I3: what departed is met once, by any inode that it may have had", () => {
  const departures = new Departures();
  departures.add({ path: path("a"), inodes: [7, 8], mark: 3 }, 0);
  assertEquals(departures.take(9), undefined);
  assertEquals(departures.take(8)?.path, path("a"));
  assertEquals([departures.take(7), departures.size], [undefined, 0]);
});

Deno.test("I3: it may be met until all is watched that was made before, and while something is read", () => {
  const departures = departed("a", "d");
  const mayBeMet = (name: string, isReading = false) =>
    departures.mayBeMet(path(name), isReading, 0);
  assertEquals(["a", "d/below", "other"].map((name) => mayBeMet(name)), [true, true, false]);
  departures.ended(0);
  assertEquals([mayBeMet("a"), mayBeMet("a", true), mayBeMet("d/below")], [false, true, true]);
  departures.allEnded();
  assertEquals([mayBeMet("d/below"), mayBeMet("d/below", true)], [false, true]);
});

Deno.test("I7: a share in which there is always something to be read does not keep it for ever", () => {
  const departures = departed("a");
  assertEquals(departures.mayBeMet(path("a"), true, 29_999), true);
  assertEquals(departures.mayBeMet(path("a"), true, 30_000), false);
  assertEquals(departures.size, 0);
});

Deno.test("I3: a directory that all have renamed takes along what departed from it before that, and nothing later", () => {
  const departures = new Departures();
  departures.add({ path: path("d/a"), inodes: [1], mark: 1 }, 0);
  departures.add({ path: path("d/b"), inodes: [2], mark: 3 }, 0);
  departures.followed(
    new MoveMemory().followed({ from: path("d"), to: path("e"), isExchange: false }, 2),
  );
  assertEquals([departures.take(1)?.path, departures.take(2)?.path], [path("e/a"), path("d/b")]);
});

Deno.test("I3: what departed from a directory that all have renamed since ends like any other", () => {
  const departures = new Departures();
  departures.add({ path: path("d/a"), inodes: [1], mark: 1 }, 0);
  departures.followed(
    new MoveMemory().followed({ from: path("d"), to: path("e"), isExchange: false }, 2),
  );
  assertEquals(departures.mayBeMet(path("e/a"), false, 0), true);
  departures.ended(1);
  assertEquals(departures.mayBeMet(path("e/a"), false, 0), false);
  assertEquals(departures.mayBeMet(path("e/a"), true, 30_000), false);
});

Deno.test("I6: directories that get the same very long name one after the other take no more room than others", () => {
  const departures = new Departures();
  let mark = 0;
  const deep = Array.from({ length: 14 }, () => "x".repeat(250)).join("/");
  for (const directory of ["a", "b"]) {
    for (let i = 0; i < 450; i++) {
      departures.add({ path: path(`${directory}/${i}`), inodes: [++mark], mark }, 0);
    }
  }
  for (const directory of ["b", "a"]) {
    departures.followed(
      new MoveMemory().followed(
        { from: path(directory), to: path(deep), isExchange: false },
        ++mark,
      ),
    );
  }
  assertEquals(departures.size < 450, true);
  for (let i = 0; i < 10; i++) {
    departures.add({ path: path(`z${i}`), inodes: [++mark], mark }, 1000);
  }
  assertEquals(departures.take(mark)?.path, path("z9"));
});

Deno.test("I6: of very many, or very long ones, the first are forgotten", () => {
  const many = departed(...Array.from({ length: 5_000 }, (_, i) => `file${i}`));
  assertEquals([many.size < 1_001, many.take(0), many.take(4_999)?.path], [
    true,
    undefined,
    path("file4999"),
  ]);
  const long = departed(...Array.from({ length: 900 }, (_, i) => `${i}${"n".repeat(4_000)}`));
  assertEquals(long.size < 270, true);
});

Deno.test("I6: of very many that arrive, the first are forgotten", () => {
  const arrivals = new Arrivals();
  for (let inode = 0; inode < 5_000; inode++) arrivals.add(inode, path(`file${inode}`));
  arrivals.add(4_999, path("moved"));
  assertEquals([0, 4_998, 4_999].map((inode) => arrivals.of(inode)), [
    undefined,
    path("file4998"),
    path("moved"),
  ]);
});
