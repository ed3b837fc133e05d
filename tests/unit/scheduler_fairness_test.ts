/** One busy or stuck source leaves room for the others, and for everything else in the process (I7). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { nextTurn } from "../../ffi/reactor.ts";
import { Scheduler } from "../../src/scheduling/scheduler.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { sleep, waitFor } from "../support/wait.ts";

/** Its last look around has passed. */
const LOOKS_MS = 100;

Deno.test("I7: jobs that wait for nothing do not keep the event loop from its turn", async () => {
  const scheduler = new Scheduler({ places: () => 4 });
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

/** A source whose jobs end when the test says so. */
function stuckSource() {
  const ends: (() => void)[] = [];
  const take = () => () => new Promise<void>((resolve) => ends.push(resolve));
  return { take, ends };
}

/** A source of `wanted` jobs that end at once. */
function quickSource(wanted: number) {
  const source = {
    wanted,
    served: 0,
    take: () =>
      source.served < source.wanted ? () => Promise.resolve(void source.served++) : undefined,
  };
  return source;
}

Deno.test("I7: whoever has jobs that take long leaves a place to the others", async () => {
  const scheduler = new Scheduler({ places: () => 10 });
  const stuck = stuckSource();
  const quick = quickSource(0);
  scheduler.add(stuck.take);
  scheduler.add(quick.take);
  scheduler.wake();
  assertEquals(scheduler.running, 10);
  await sleep(2_200); // they have taken long
  quick.wanted = 50;
  scheduler.wake();
  await waitFor("the other one is served", () => quick.served === 50);
  // Of a scanner's ten threads the stuck source holds ten for good, but never another one.
  assertEquals(scheduler.running, 10);
  stuck.ends.shift()?.();
  await nextTurn();
  assertEquals(scheduler.running, 9);
  const stopped = scheduler.stop();
  for (const end of stuck.ends) end();
  await stopped;
  await sleep(LOOKS_MS);
});

Deno.test("I7: two sources of stuck jobs together leave others a place, however few there are", async () => {
  for (const places of [4, 10]) {
    const clock = new SimulatedClock();
    const scheduler = new Scheduler({ places: () => places }, clock);
    const stuck = [stuckSource(), stuckSource()];
    const quick = quickSource(0);
    for (const { take } of [...stuck, quick]) scheduler.add(take);
    scheduler.wake();
    for (let i = 0; i < 100; i++) {
      await nextTurn();
      clock.pass(2_100); // they have taken long
    }
    quick.wanted = 50;
    scheduler.wake();
    await nextTurn();
    await waitFor("the third is served", () => quick.served === 50);
    const stopped = scheduler.stop();
    for (const end of stuck.flatMap(({ ends }) => ends)) end();
    await stopped;
  }
});

Deno.test("I7: two sources that begin as many long jobs as they may keep no third one waiting for their end", async () => {
  const clock = new SimulatedClock();
  const scheduler = new Scheduler({ places: () => 64 }, clock);
  const stuck = [stuckSource(), stuckSource()];
  const quick = quickSource(0);
  for (const { take } of [...stuck, quick]) scheduler.add(take);
  for (let i = 0; i < 100; i++) {
    scheduler.wake();
    await nextTurn();
  }
  clock.pass(2_100);
  quick.wanted = 50;
  scheduler.wake();
  await waitFor("the third is served", () => quick.served === 50);
  const stopped = scheduler.stop();
  for (const end of stuck.flatMap(({ ends }) => ends)) end();
  await stopped;
});

Deno.test("I7: who had jobs that took long leaves a place to the others for some time after them, too", async () => {
  const clock = new SimulatedClock();
  const scheduler = new Scheduler({ places: () => 10 }, clock);
  const stuck = stuckSource();
  scheduler.add(stuck.take);
  scheduler.add(() => undefined);
  scheduler.wake();
  assertEquals(scheduler.running, 10);
  clock.pass(5_000);
  const endAll = async () => {
    for (const end of stuck.ends.splice(0, stuck.ends.length)) end();
    await nextTurn();
    await nextTurn();
  };
  for (let wave = 0; wave < 3; wave++) {
    await endAll();
    assertEquals(scheduler.running, 9);
  }
  clock.pass(60_000);
  await endAll();
  const stopped = scheduler.stop();
  while (scheduler.running > 0) await endAll();
  await stopped;
});

Deno.test("I7: with few places, stuck jobs do not hold up their own source either", async () => {
  const scheduler = new Scheduler({ places: () => 2 });
  const stuck = stuckSource();
  const quick = quickSource(20);
  let begun = 0;
  scheduler.add(() => begun++ < 6 ? stuck.take() : quick.take());
  scheduler.add(() => undefined);
  scheduler.wake();
  await waitFor("it goes on", () => quick.served === 20);
  for (const end of stuck.ends) end();
  await scheduler.stop();
  await sleep(LOOKS_MS);
});

Deno.test("few quick jobs run at a time; those that wait for something make room, up to the limit", async () => {
  const scheduler = new Scheduler({ places: () => 8, quick: () => 2 });
  const stuck = stuckSource();
  scheduler.add(stuck.take);
  scheduler.wake();
  assertEquals(scheduler.running, 2);
  await waitFor("all places are taken", () => scheduler.running === 8);
  await sleep(LOOKS_MS);
  assertEquals(scheduler.running, 8);
  const stopped = scheduler.stop();
  for (const end of stuck.ends) end();
  await stopped;
  await sleep(LOOKS_MS);
});
