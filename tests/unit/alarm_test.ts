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
    for (const delayMs of [30, 0, -5, 2.5]) {
      const dueAt = performance.now() + delayMs;
      alarm.set(dueAt);
      assertEquals(alarm.dueAt, dueAt);
      const before = times.length;
      await waitFor("it goes off", () => times.length > before);
      assertEquals(alarm.dueAt, Infinity);
      await sleep(20);
      assertEquals(times.length, before + 1);
      assert((times.at(-1) ?? 0) >= dueAt, `${times.at(-1)} is before ${dueAt}`);
    }
  }));

Deno.test("an alarm mostly says that it is about to go off, once, and never afterwards", () =>
  withReactor(async (reactor) => {
    const rings: string[] = [];
    using alarm = new Alarm(reactor, () => rings.push("due"), {
      onSoon: () => rings.push("soon"),
      soonMs: 3,
    });
    await waitFor("it says so", async () => {
      rings.length = 0;
      alarm.set(performance.now() + 5, true);
      await waitFor("it goes off", () => rings.includes("due"));
      await sleep(5);
      const said = rings.join(", ");
      assert(["due", "soon, due"].includes(said), said); // a busy machine is late
      return said === "soon, due";
    });
  }));

Deno.test("an alarm says nothing before where it was not asked to", () =>
  withReactor(async (reactor) => {
    const rings: string[] = [];
    using alarm = new Alarm(reactor, () => rings.push("due"), {
      onSoon: () => rings.push("soon"),
      soonMs: 3,
    });
    for (const tellsSoon of [true, false]) alarm.set(performance.now() + 20, tellsSoon);
    await waitFor("it goes off", () => rings.length > 0);
    assertEquals(rings, ["due"]);
  }));

Deno.test("an alarm that is closed, or set anew, when it is about to go off, does not", () =>
  withReactor(async (reactor) => {
    for (const later of [undefined, performance.now() + 60_000]) {
      let rings = 0;
      let saidSo = false;
      while (!saidSo) {
        const onSoon = () => {
          saidSo = true;
          if (later === undefined) alarm.close();
          else alarm.set(later);
        };
        using alarm = new Alarm(reactor, () => rings++, { onSoon, soonMs: 3 });
        rings = 0;
        alarm.set(performance.now() + 5, true);
        await sleep(20);
      }
      assertEquals(rings, 0);
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
