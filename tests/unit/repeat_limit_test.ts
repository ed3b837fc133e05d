/** The same trouble is told once a minute, however often it comes. */

// @ts-types="../support/assert.d.ts"
import { assert } from "@std/assert";
import { RepeatLimit } from "../../src/logging/repeat_limit.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";

const MINUTE_MS = 60_000;

Deno.test("trouble is told at once, and again only after a minute", () => {
  const clock = new SimulatedClock();
  const limit = new RepeatLimit(10, clock);
  assert(limit.admits("disk full"));
  assert(!limit.admits("disk full"));
  clock.pass(MINUTE_MS - 1);
  assert(!limit.admits("disk full"));
  clock.pass(1);
  assert(limit.admits("disk full"));
});

Deno.test("what was not told puts nothing off: the minute counts from the last time that it was", () => {
  const clock = new SimulatedClock();
  const limit = new RepeatLimit(10, clock);
  assert(limit.admits("disk full"));
  for (let told = 1; told <= 3; told++) {
    clock.pass(MINUTE_MS / 2);
    assert(!limit.admits("disk full"));
    clock.pass(MINUTE_MS / 2);
    assert(limit.admits("disk full"), `after ${told} minutes`);
  }
});

Deno.test("one kind of trouble does not hide another", () => {
  const clock = new SimulatedClock();
  const limit = new RepeatLimit(10, clock);
  assert(limit.admits("disk full"));
  clock.pass(MINUTE_MS / 2);
  assert(limit.admits("no descriptors"));
  assert(!limit.admits("disk full"));
  clock.pass(MINUTE_MS / 2);
  assert(limit.admits("disk full"));
  assert(!limit.admits("no descriptors"));
});

Deno.test("I6: only so many kinds are remembered; the one told longest ago is news again", () => {
  const limit = new RepeatLimit(2, new SimulatedClock());
  for (const kind of ["a", "b", "c"]) assert(limit.admits(kind));
  assert(!limit.admits("b"));
  assert(!limit.admits("c"));
  assert(limit.admits("a"));
  assert(limit.admits("b"));
});
