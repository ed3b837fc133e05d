/** Alarms go off once, in time, and not any more when they were set anew or closed. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { Alarm } from "../../ffi/alarm.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { sleep, waitFor } from "../support/wait.ts";

async function withReactor(body: (reactor: Reactor) => Promise<void>): Promise<void> {
  const reactor = new Reactor();
  await body(reactor);
  await reactor.stop();
  reactor[Symbol.dispose]();
}

Deno.test("an alarm goes off once, never before its time", () =>
  withReactor(async (reactor) => {
    const times: number[] = [];
    using alarm = new Alarm(reactor, () => times.push(performance.now()));
    for (
      const [delayMs, exact] of [[30, true], [30, false], [0, true], [-5, false], [
        2.5,
        true,
      ]] as const
    ) {
      const dueAt = performance.now() + delayMs;
      alarm.set(dueAt, exact);
      assertEquals(alarm.dueAt, dueAt);
      const before = times.length;
      await waitFor("it goes off", () => times.length > before);
      assertEquals(alarm.dueAt, Infinity);
      await sleep(20);
      assertEquals(times.length, before + 1);
      assert((times.at(-1) ?? 0) >= dueAt, `${times.at(-1)} is before ${dueAt}`);
    }
  }));

Deno.test("only the time that was set last counts", () =>
  withReactor(async (reactor) => {
    let rings = 0;
    using alarm = new Alarm(reactor, () => rings++);
    alarm.set(performance.now() + 60_000);
    alarm.set(performance.now() + 1);
    await waitFor("the earlier one goes off", () => rings === 1);
    alarm.set(performance.now() + 1);
    alarm.set(performance.now() + 60_000);
    await sleep(50);
    assertEquals(rings, 1);
  }));

Deno.test("a closed alarm is silent", () =>
  withReactor(async (reactor) => {
    let rings = 0;
    const alarm = new Alarm(reactor, () => rings++);
    alarm.set(performance.now() + 5);
    alarm.close();
    alarm.close();
    await sleep(50);
    assertEquals(rings, 0);
  }));
