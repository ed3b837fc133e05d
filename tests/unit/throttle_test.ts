/** What may be asked for at any time, and is done now and then. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { Throttle } from "../../src/scheduling/throttle.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";

Deno.test("it is done at once, then once for all who ask meanwhile, and not after the end", () => {
  const clock = new SimulatedClock();
  const done: number[] = [];
  const throttle = new Throttle(100, () => done.push(clock.now()), clock);
  for (let i = 0; i < 3; i++) throttle.request();
  assertEquals(done, [0]);
  clock.pass(100);
  assertEquals(done, [0, 100]);
  clock.pass(500);
  assertEquals(done, [0, 100], "nobody has asked");
  for (let i = 0; i < 2; i++) throttle.request();
  throttle.close();
  throttle.request();
  clock.pass(500);
  assertEquals([done, clock.waiting], [[0, 100, 600], 0]);
});
