/** When a tree is read again for files that cannot be scanned, and are too many to be remembered. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess } from "@std/assert";
import { Repairs } from "../../src/vclient/repairs.ts";

const LEAST_MS = 15_000;
const HOUR_MS = 3_600_000;

/** The readings of the first `forMs` milliseconds, each of which is in vain; the pauses before them. */
function pausesIn(forMs: number, files: number, tookMs = 0): number[] {
  const repairs = new Repairs(LEAST_MS);
  const pauses: number[] = [];
  repairs.want(0);
  for (let now = 0; now < forMs;) {
    const pauseMs = repairs.pauseMs(now);
    pauses.push(pauseMs);
    now += pauseMs;
    repairs.begin(now);
    for (let i = 0; i < files; i++) repairs.offered();
    repairs.want(now);
    now += tookMs;
    repairs.end(now);
  }
  return pauses;
}

Deno.test("it is read the more seldom, the longer that is in vain", () => {
  const pauses = pausesIn(HOUR_MS, 20_000);
  assertEquals(pauses.slice(0, 4), [LEAST_MS, LEAST_MS, LEAST_MS, LEAST_MS]);
  assertEquals(pauses, pauses.toSorted((a, b) => a - b));
  assertEquals(pauses.at(-1), 20_000 * 30);
  assertLess(pauses.length, 25);
});

Deno.test("but not for ever, where the files are few", () => {
  assertEquals(pausesIn(HOUR_MS, 10).at(-1), LEAST_MS);
});

Deno.test("a reading that takes long is no more than a fifth of the time", () => {
  const pauses = pausesIn(HOUR_MS, 10, 10_000);
  assertEquals(pauses.slice(0, 3), [LEAST_MS, 40_000, 40_000]);
});

Deno.test("only the first file without a place is news, until there are places again", () => {
  const repairs = new Repairs(LEAST_MS);
  assertEquals([repairs.want(0), repairs.want(1)], [true, false]);
  repairs.begin(2);
  repairs.end(3);
  assertEquals(repairs.want(4), false);
  repairs.forget();
  assertEquals(repairs.want(5), true);
});

Deno.test("none is due while one runs, nor after one that left nothing", () => {
  const repairs = new Repairs(LEAST_MS);
  repairs.want(0);
  assert(repairs.isDue);
  repairs.begin(1);
  repairs.want(2);
  assert(repairs.isRunning && !repairs.isDue);
  repairs.end(3);
  assert(repairs.isDue);
  repairs.begin(4);
  repairs.end(5);
  assert(!repairs.isDue);
});

Deno.test("when the scanner is back the pauses begin anew", () => {
  const repairs = new Repairs(LEAST_MS);
  repairs.want(0);
  repairs.begin(0);
  for (let i = 0; i < 20_000; i++) repairs.offered();
  repairs.end(0);
  assertEquals(repairs.pauseMs(HOUR_MS), 600_000);
  repairs.beginAnew(HOUR_MS);
  assertEquals(repairs.pauseMs(HOUR_MS), LEAST_MS);
});
