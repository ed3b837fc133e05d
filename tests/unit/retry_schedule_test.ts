/** Paths that could not be brought to rest are looked at again, however many they are. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { RelativePath } from "../../ffi/byte_string.ts";
import { type RetryLimits, RetrySchedule } from "../../src/gate/retry_schedule.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { runs } from "../support/size.ts";

const A = "a" as RelativePath;
const B = "b" as RelativePath;

class Bench {
  readonly clock = new SimulatedClock();
  /** Each look, with its time. */
  readonly looks: string[] = [];
  /** Whether what is to be looked at is forgotten instead. */
  isFull = false;
  readonly retries: RetrySchedule;

  constructor(limits?: RetryLimits) {
    const look = (what: string) => void this.looks.push(`${this.clock.now()}: ${what}`);
    this.retries = new RetrySchedule(
      {
        lookAt: (path, queue) => {
          look(`${path} of ${queue}`);
          return !this.isFull;
        },
        reread: (queue) => look(`everything for ${queue}`),
      },
      limits,
      this.clock,
    );
  }
}

Deno.test("a path is looked at again in the queue that it came from; of two appointments the sooner stands", () => {
  const { clock, looks, retries } = new Bench();
  retries.later(A, "ann", 10);
  retries.later(A, "bob", 50);
  retries.later(B, "ann", 5000);
  retries.later(B, "bob", 20);
  assert(retries.isPending(A));
  clock.pass(100);
  assertEquals(looks, ["10: a of ann", "20: b of bob"]);
  assertEquals(clock.waiting, 0);
  assert(!retries.isPending(A));
  retries.later(A, "bob", 1);
  clock.pass(1);
  assertEquals(looks.at(-1), "101: a of bob");
});

Deno.test("I7: it is known whose paths were not remembered, until they are read", () => {
  const { clock, retries } = new Bench({ paths: 1, bytes: 100_000, rereadMs: 10 });
  for (const path of [A, B]) retries.later(path, "bob", 5000);
  assertEquals([retries.hasForgotten("bob"), retries.hasForgotten("ann")], [true, false]);
  clock.pass(100);
  assert(!retries.hasForgotten("bob"));
});

Deno.test("after the end nothing is looked at, and no timer is left", () => {
  const { clock, looks, retries } = new Bench({ paths: 1, bytes: 100_000, rereadMs: 10 });
  retries.later(A, "ann", 1);
  retries.later(B, "ann", 1);
  retries.stop();
  retries.later(B, "ann", 1);
  assertEquals(clock.waiting, 0);
  clock.pass(100);
  assertEquals(looks, []);
});

Deno.test("I6, I3: more retries than can be kept end in reading everything again, once", () => {
  const { clock, looks, retries } = new Bench({ paths: 2, bytes: 100_000, rereadMs: 50 });
  for (let name = 0; name < 10; name++) retries.later(`${name}` as RelativePath, "ann", 20);
  assertEquals(clock.waiting, 3);
  clock.pass(1000);
  assertEquals(looks, ["20: 0 of ann", "20: 1 of ann", "50: everything for ann"]);
  retries.later(A, "bob", 1);
  clock.pass(1);
  assertEquals(looks.at(-1), "1001: a of bob", "there is room again");
});

Deno.test("I7: the more paths wait for one queue, the rarer each of them is looked at", () => {
  const MANY = 1000;
  const { clock, looks, retries } = new Bench();
  for (let name = 0; name < MANY; name++) retries.later(`${name}` as RelativePath, "ann", 100);
  retries.later(A, "bob", 100);
  clock.pass(100);
  assert(looks.length < 200, `${looks.length} of ${MANY} at once`);
  assertEquals(looks.at(-1), "100: a of bob");
  clock.pass(MANY);
  assertEquals(looks.length, MANY + 1);
});

Deno.test("I7: one share's retries beyond the limit leave the others theirs", () => {
  const { clock, looks, retries } = new Bench({ paths: 2, bytes: 100_000, rereadMs: 50 });
  for (let name = 0; name < 3; name++) retries.later(`${name}` as RelativePath, "ann", 20);
  retries.later(A, "bob", 10);
  clock.pass(10);
  assertEquals(looks, ["10: a of bob"]);
  // One that is taken over by another share makes room.
  retries.later("0" as RelativePath, "bob", 1);
  retries.later("3" as RelativePath, "ann", 2);
  clock.pass(100);
  assertEquals(looks.slice(1), [
    "11: 0 of bob",
    "12: 3 of ann",
    "20: 1 of ann",
    "50: everything for ann",
  ]);
});

Deno.test("I3, I6: every path is looked at in time, with everything if it could not be kept", () => {
  const LIMITS = { paths: 3, bytes: 100_000, rereadMs: 50 };
  const LONGEST_MS = 100;
  const request = fc.record({
    path: fc.constantFrom(..."abcdef").map((name) => name as RelativePath),
    delayMs: fc.nat(LONGEST_MS),
    pauseMs: fc.nat(60),
  });
  fc.assert(
    fc.property(fc.array(request, { maxLength: 30, size: "max" }), (requests) => {
      const clock = new SimulatedClock();
      /** By when each path has to be looked at. */
      const due = new Map<RelativePath, number>();
      const retries = new RetrySchedule(
        {
          lookAt: (path) => {
            due.delete(path);
            return true;
          },
          reread: () => due.clear(),
        },
        LIMITS,
        clock,
      );
      for (const { path, delayMs, pauseMs } of requests) {
        if (!due.has(path)) due.set(path, clock.now() + LONGEST_MS);
        retries.later(path, "ann", delayMs);
        assert(retries.isPending(path) || retries.hasForgotten("ann"));
        assert(clock.waiting <= LIMITS.paths + 1, `${clock.waiting} timers`);
        clock.pass(pauseMs);
        for (const [late, at] of due) assert(at > clock.now(), `${late} was not looked at`);
      }
      clock.pass(LONGEST_MS);
      assertEquals([...due.keys()], []);
    }),
    runs(500),
  );
});

const STUCK = { isStuck: true };
const MANY: readonly RelativePath[] = Array.from(
  { length: 1000 },
  (_, name) => `${name}` as RelativePath,
);

/** Retries of paths that stay as they are, as long as `isStuck`, and how often each is looked at. */
class StuckPaths {
  readonly clock = new SimulatedClock();
  isStuck = true;
  looks = 0;
  readings = 0;
  readonly retries: RetrySchedule;

  constructor(private readonly paths: readonly RelativePath[], limits?: RetryLimits) {
    this.retries = new RetrySchedule(
      {
        lookAt: (path) => {
          this.look(path);
          return true;
        },
        reread: () => {
          this.readings++;
          this.begin();
        },
      },
      limits,
      this.clock,
    );
  }

  begin(): void {
    for (const path of this.paths) this.look(path);
  }

  look(path: RelativePath): void {
    this.looks++;
    if (this.isStuck) this.retries.later(path, "ann", 10_000, STUCK);
    else this.retries.settled(path);
  }
}

const HOUR_MS = 3_600_000;

Deno.test("I6: what many paths wait for in vain is tried less and less often, but never much later than it might have been", () => {
  const stuck = new StuckPaths(MANY);
  stuck.begin();
  stuck.clock.pass(HOUR_MS);
  assert(stuck.looks < HOUR_MS / 25, `${stuck.looks} looks`);
  for (const afterMs of [20_000, 60_000, HOUR_MS]) {
    const freed = new StuckPaths(MANY);
    freed.begin();
    freed.clock.pass(afterMs);
    freed.isStuck = false;
    freed.clock.pass(10_000 + afterMs / 4);
    assertEquals(freed.clock.waiting, 0, `those that were stuck for ${afterMs} ms`);
  }
});

Deno.test("I3: a few paths are tried every ten seconds, however long that is in vain", () => {
  const stuck = new StuckPaths([A]);
  stuck.begin();
  stuck.clock.pass(HOUR_MS);
  assertEquals(stuck.looks, 1 + HOUR_MS / 10_000);
});

Deno.test("I6: what something above blocks for long is tried less and less often, at most ten seconds apart", () => {
  const clock = new SimulatedClock();
  let looks = 0;
  const retries = new RetrySchedule(
    {
      lookAt: () => {
        looks++;
        retries.later(A, "ann", 100, { isBlocked: true });
        return true;
      },
      reread: () => {},
    },
    undefined,
    clock,
  );
  retries.later(A, "ann", 100, { isBlocked: true });
  clock.pass(1000);
  assert(looks >= 7, "often at first: it mostly takes a moment");
  clock.pass(HOUR_MS);
  assert(looks < 1.2 * HOUR_MS / 10_000, `${looks} looks`);
  assert(looks > HOUR_MS / 10_000);
  assert(!retries.isPending(A), "nothing becomes of it by itself");
});

Deno.test("I6: where more are stuck than can be kept, everything is read less and less often, too", () => {
  const stuck = new StuckPaths(MANY, { paths: MANY.length / 2, bytes: 100_000, rereadMs: 10_000 });
  stuck.begin();
  stuck.clock.pass(HOUR_MS);
  assert(stuck.readings < HOUR_MS / 14_000, `${stuck.readings} readings`);
  stuck.isStuck = false;
  stuck.clock.pass(HOUR_MS);
  assertEquals(stuck.clock.waiting, 0);
  // What comes later begins anew.
  const before = stuck.readings;
  stuck.isStuck = true;
  stuck.begin();
  stuck.clock.pass(10_000);
  assertEquals(stuck.readings, before + 1);
});

Deno.test("I6: a path that came to rest, or was forgotten in its queue, makes room", () => {
  const bench = new Bench({ paths: 1, bytes: 100_000, rereadMs: 50 });
  const { clock, looks, retries } = bench;
  retries.later(A, "ann", 20, STUCK);
  clock.pass(20);
  retries.later(B, "ann", 20); // a is being looked at, and has its place still
  retries.settled(A);
  assertEquals(clock.waiting, 1);
  clock.pass(50);
  bench.isFull = true;
  retries.later(A, "ann", 20, STUCK);
  clock.pass(20);
  assert(!retries.isPending(A));
  retries.later(B, "ann", 20);
  clock.pass(20);
  assertEquals(looks, ["20: a of ann", "70: everything for ann", "90: a of ann", "110: b of ann"]);
  retries.later(B, "ann", 20);
  retries.settled(B);
  assertEquals(clock.waiting, 0, "what is at rest is not looked at again");
});
