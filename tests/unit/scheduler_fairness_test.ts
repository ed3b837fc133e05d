/** One busy or stuck source leaves room for the others, and for everything else in the process (I7). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { nextTurn } from "../../ffi/reactor.ts";
import { Scheduler } from "../../src/scheduling/scheduler.ts";
import { sleep, waitFor } from "../support/wait.ts";

/** Its last look around has passed. */
const LOOKS_MS = 300;

Deno.test("I7: jobs that wait for nothing do not keep the event loop from its turn", async () => {
  const scheduler = new Scheduler(() => 4);
  let left = 200_000;
  scheduler.add(() => left-- > 0 ? () => Promise.resolve() : undefined);
  scheduler.wake();
  let turns = 0;
  while (scheduler.running > 0 || left > 0) {
    await nextTurn();
    turns++;
  }
  assert(turns > 5, `${turns} turns`);
  await sleep(LOOKS_MS);
});

Deno.test("I7: whoever has jobs that take long leaves a place to the others", async () => {
  const scheduler = new Scheduler(() => 3);
  const ends: (() => void)[] = [];
  scheduler.add(() => () => new Promise((resolve) => ends.push(resolve)));
  let served = 0;
  let wanted = 0;
  scheduler.add(() => {
    if (served >= wanted) return undefined;
    served++;
    return () => Promise.resolve();
  });
  scheduler.wake();
  assertEquals(scheduler.running, 3);
  await waitFor("they have taken long", async () => {
    wanted = 1;
    scheduler.wake();
    await nextTurn();
    return served === 1;
  });
  // Of a scanner's three threads the stuck source holds three for good, but never a fourth.
  assertEquals(scheduler.running, 3);
  ends.shift()?.();
  await nextTurn();
  assertEquals(scheduler.running, 2);
  wanted = 50;
  scheduler.wake();
  await waitFor("the other one is served", () => served === 50);
  const stopped = scheduler.stop();
  for (const end of ends) end();
  await stopped;
  await sleep(LOOKS_MS);
});
