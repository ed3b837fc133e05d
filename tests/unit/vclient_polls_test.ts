/** Since when something must have changed to be told where no watch is. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { fromText, type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import { Polls } from "../../src/vclient/polls.ts";
import { plainFile } from "../support/file_status.ts";

const DIRECTORY = fromText("d") as RelativePath;
const START_MS = 1_000_000;

/** Readings with clocks that stand still until the test sets them. */
class Bench {
  wallMs = START_MS;
  steadyMs = 0;
  readonly polls: Polls;

  constructor(mostDirectories?: number) {
    this.polls = new Polls(BigInt(START_MS) * 1_000_000n, mostDirectories, {
      wall: () => this.wallMs,
      steady: () => this.steadyMs,
    });
  }

  pass(ms: number): void {
    this.wallMs += ms;
    this.steadyMs += ms;
  }

  /** Reads `directory`; since when, in milliseconds after the start. */
  read(directory: RelativePath = ROOT, ...inodes: readonly number[]): number {
    const poll = this.polls.begin(directory);
    for (const inode of inodes) poll.wasRead(plainFile({ inode }));
    poll.end();
    return Number(poll.sinceNs / 1_000_000n) - START_MS;
  }

  isNew(directory: RelativePath, inode: number): boolean {
    return this.polls.begin(directory).isNew(plainFile({ inode }));
  }
}

Deno.test("what changed since the last reading began is told, and some time before; never before the start", () => {
  const bench = new Bench();
  assertEquals(bench.read(), 0);
  bench.pass(10_000);
  assertEquals(bench.read(), 0);
  bench.pass(60_000);
  assertEquals(bench.read(), 0);
  assertEquals(bench.read(), 40_000);
});

Deno.test("a reading that did not come to its end does not count", () => {
  const bench = new Bench();
  bench.pass(60_000);
  bench.polls.begin(ROOT);
  assertEquals(bench.read(), 0);
});

Deno.test("a directory that was never read by itself was read with the whole tree", () => {
  const bench = new Bench();
  bench.pass(60_000);
  bench.read(ROOT, 1);
  assert(!bench.isNew(DIRECTORY, 1) && bench.isNew(DIRECTORY, 2));
  bench.pass(60_000);
  assertEquals(bench.read(DIRECTORY), 30_000);
  assertEquals(bench.read(DIRECTORY), 90_000);
  assertEquals(bench.read(), 30_000);
});

Deno.test("a clock that is set back hides nothing", () => {
  const bench = new Bench();
  bench.pass(100_000);
  bench.read();
  bench.wallMs -= 3_600_000;
  assertEquals(bench.read(), 70_000 - 3_600_000);
  bench.wallMs += 7_200_000;
  assertEquals(bench.read(), 70_000 - 3_600_000);
});

Deno.test("I6: directories are remembered up to a limit; beyond it they count as new when they change", () => {
  const bench = new Bench(3);
  const other = fromText("e") as RelativePath;
  bench.read(DIRECTORY, 1, 2);
  bench.read(other, 3, 4);
  bench.read(ROOT, 5, 6, 7, 8);
  assertEquals([1, 2].map((inode) => bench.isNew(DIRECTORY, inode)), [false, false]);
  assertEquals([3, 4].map((inode) => bench.isNew(other, inode)), [false, true]);
  assertEquals([5, 6, 7, 8].map((inode) => bench.isNew(ROOT, inode)), [false, false, false, true]);
});
