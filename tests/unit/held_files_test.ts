/** Held files are tried again: all of them, not only the first ones, and only while there is a scanner. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { HeldFiles } from "../../src/gate/held_files.ts";
import { sleep, waitFor } from "../support/wait.ts";

/** A channel with held files, whose attempts begin when the test says so. */
class Bench implements Disposable {
  readonly waiting: RelativePath[] = [];
  readonly begun = new Set<RelativePath>();
  available = true;
  /** Nothing that is asked for is remembered. */
  isFull = false;
  readonly files: HeldFiles;

  /** How often it was asked which files are held. */
  asked = 0;

  constructor(readonly held: RelativePath[]) {
    this.files = new HeldFiles({
      paths: (limit, after) => {
        this.asked++;
        const from = after === undefined ? 0 : held.indexOf(after) + 1;
        return held.slice(from, from + limit);
      },
      isScannerAvailable: () => Promise.resolve(this.available),
      lookAt: (path) => !this.isFull && this.waiting.push(path) > 0,
    });
  }

  work(): void {
    for (const path of this.waiting.splice(0)) {
      if (this.files.begin(path)) this.begun.add(path);
    }
  }

  [Symbol.dispose](): void {
    this.files.stop();
  }
}

const paths = (count: number) =>
  Array.from({ length: count }, (_, number) => fromText(`file-${number}`) as RelativePath);

Deno.test("I3: when the scanner is back, all that is held is tried, however much it is", async () => {
  using bench = new Bench(paths(1_000));
  bench.files.start();
  bench.files.now();
  await waitFor("all are tried", () => {
    assert(bench.waiting.length <= 250, `I6: ${bench.waiting.length} at a time`);
    bench.work();
    return bench.begun.size === 1_000;
  });
});

Deno.test("nothing is tried while there is no scanner, and all is when it says that it is back", async () => {
  using bench = new Bench(paths(3));
  bench.available = false;
  bench.files.start();
  bench.files.now();
  await sleep(50);
  assertEquals(bench.waiting, []);
  bench.available = true;
  bench.files.now();
  await waitFor("all are asked for", () => bench.waiting.length === 3);
});

Deno.test("a look that nobody asked for is no attempt, and an attempt is one once", async () => {
  using bench = new Bench(paths(1));
  const [path] = bench.held;
  assert(path !== undefined);
  assert(!bench.files.begin(path));
  bench.files.start();
  bench.files.now();
  await waitFor("it is asked for", () => bench.waiting.length === 1);
  assert(bench.files.begin(path));
  assert(!bench.files.begin(path));
});

Deno.test("I6: the more files are held, the longer it rests between two attempts at all of them", async () => {
  using bench = new Bench(paths(5_000));
  bench.files.start();
  bench.files.now();
  await waitFor("all are tried", () => {
    bench.work();
    return bench.begun.size === 5_000;
  });
  await sleep(3_000);
  assertEquals(bench.waiting.length, 0, "tried again already");
});

Deno.test("idle: while nothing is held nothing is asked, and the first file is tried all the same", async () => {
  using bench = new Bench([]);
  bench.files.start();
  await waitFor("it looks once", () => bench.asked === 1);
  await sleep(2_500);
  assertEquals(bench.asked, 1);
  bench.held.push(...paths(1));
  bench.files.expect();
  await waitFor("it is asked for", () => bench.waiting.length === 1);
  bench.work();
  await waitFor("it is asked for again", () => bench.waiting.length === 1);
});

Deno.test("I6, I3: what finds no room in a full queue is not waited for, nor remembered, and is tried again", async () => {
  using bench = new Bench(paths(1_000));
  bench.isFull = true;
  bench.files.start();
  bench.files.now();
  await waitFor("all were asked for", () => bench.asked >= 6, 10_000);
  for (const path of bench.held) assert(!bench.files.begin(path), "it is remembered");
  bench.isFull = false;
  bench.files.now();
  await waitFor("all are tried", () => {
    bench.work();
    return bench.begun.size === 1_000;
  });
});

Deno.test("I6, I3: what was asked for and never came to an attempt holds up no later one", async () => {
  using bench = new Bench([]);
  bench.files.start();
  for (const first of [0, 40, 80]) {
    bench.held.splice(0, 40, ...paths(first + 40).slice(first));
    bench.files.now();
    await waitFor("they are asked for", () => bench.waiting.length === 40, 5_000);
    bench.waiting.length = 0; // the queue was full after all
  }
});
