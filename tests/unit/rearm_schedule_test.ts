/** A flood of lost events is answered by reading everything again, but not all the time. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { RearmSchedule } from "../../src/watching/rearm_schedule.ts";
import { runs } from "../support/size.ts";

Deno.test("arming waits for a debounce after the loss", () => {
  const rearms = new RearmSchedule(1000);
  assertEquals(rearms.dueAt, Infinity);
  rearms.want("overflow", 5);
  assertEquals(rearms.dueAt, 1005);
});

Deno.test("without a debounce it still waits a little", () => {
  const rearms = new RearmSchedule(0);
  rearms.want("overflow", 0);
  assertEquals(rearms.dueAt, 100);
});

Deno.test("more losses do not put it off, and do not make a second one", () => {
  const rearms = new RearmSchedule(1000);
  rearms.want("overflow", 0);
  for (let now = 1; now < 5000; now += 100) rearms.want("limit", now);
  assertEquals(rearms.dueAt, 1000);
  rearms.begin(5000);
  assertEquals(rearms.end(5001), "overflow");
  assertEquals(rearms.dueAt, Infinity);
});

Deno.test("an episode is reported once, and ends when nothing is lost while everything is armed", () => {
  const rearms = new RearmSchedule(100);
  assertEquals(rearms.want("overflow", 0), true);
  assertEquals(rearms.want("overflow", 1), false);
  rearms.begin(100);
  assertEquals(rearms.want("overflow", 150), false);
  rearms.end(200);
  assertEquals(rearms.want("overflow", 250), false);
  rearms.begin(300);
  rearms.end(400);
  assertEquals(rearms.want("overflow", 500), true);
});

Deno.test("a loss while everything is being armed has it armed once more, afterwards", () => {
  const rearms = new RearmSchedule(100);
  rearms.want("overflow", 0);
  rearms.begin(100);
  rearms.want("overflow", 110);
  assertEquals(rearms.dueAt, Infinity);
  rearms.end(150);
  assertEquals(rearms.dueAt, 250);
});

Deno.test("what went wrong while everything was armed is armed once more, whether that comes to its end or not", () => {
  const rearms = new RearmSchedule(100);
  rearms.begin(0);
  rearms.abandon("overflow", 50);
  assertEquals(rearms.dueAt, 150);
  rearms.end(60);
  assert(rearms.isWanted);
});

Deno.test("I7: arming takes half of the time at most, however long it takes", () => {
  const rearms = new RearmSchedule(100);
  rearms.want("overflow", 0);
  rearms.begin(100);
  rearms.end(5100);
  rearms.want("overflow", 5100);
  assertEquals(rearms.dueAt, 10_100);
});

Deno.test("I3, I7: whatever is lost and when, everything is armed afterwards, half of the time at most", () => {
  const step = fc.record({
    lost: fc.boolean(),
    pauseMs: fc.nat({ max: 400 }),
    tookMs: fc.nat({ max: 1000 }),
    lostMeanwhile: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.nat({ max: 1000 }), fc.array(step, { maxLength: 60 }), (debounceMs, steps) => {
      const rearms = new RearmSchedule(debounceMs);
      let now = 0;
      let isLost = false;
      /** When the first loss happened that has not been made good. */
      let lostAt = 0;
      let lastTookMs = 0;
      for (const { lost, pauseMs, tookMs, lostMeanwhile } of steps) {
        now += pauseMs;
        if (lost) {
          rearms.want("overflow", now);
          if (!isLost) lostAt = now;
          isLost = true;
        }
        assertEquals(rearms.isWanted, isLost);
        assertEquals(rearms.dueAt < Infinity, isLost);
        if (rearms.dueAt > now) continue;
        assert(now - lostAt >= lastTookMs, "it arms more than half of the time");
        rearms.begin(now);
        const begunAt = now;
        isLost = false;
        now += tookMs;
        if (lostMeanwhile) {
          rearms.want("overflow", now);
          [isLost, lostAt] = [true, now];
          assertEquals(rearms.dueAt, Infinity, "two run at a time");
        }
        assertEquals(rearms.end(now), "overflow");
        lastTookMs = now - begunAt;
      }
    }),
    runs(500),
  );
});
