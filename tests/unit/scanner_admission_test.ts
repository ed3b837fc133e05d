/** How many scans run at once, and in which order they are admitted. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Admission, RUNNING_MAX, type Ticket } from "../../src/scanning/admission.ts";

/** Enters, and tells whether a place was there at once. */
function enter(admission: Admission, admitted: (ticket: Ticket) => void): void {
  const place = admission.enter();
  if (place instanceof Promise) place.then(admitted);
  else admitted(place);
}

Deno.test("a place is given at once while there is one", () => {
  const admission = new Admission(2);
  assert(!(admission.enter() instanceof Promise));
  assert(!(admission.enter() instanceof Promise));
  assert(admission.enter() instanceof Promise);
  assertEquals([admission.running, admission.waiting], [2, 1]);
});

Deno.test("I7: a scan that takes long gives its place away, and goes on", async () => {
  const admission = new Admission(1);
  const slow = admission.enter() as Ticket;
  const next = admission.enter();
  slow.release();
  slow.release(); // as often as it is looked at
  await next;
  assertEquals([admission.running, admission.waiting], [2, 0]);
  assert(admission.enter() instanceof Promise, "one place was given away, not two");
  slow.done();
  slow.done();
  assertEquals([admission.running, admission.waiting], [1, 1]);
});

Deno.test("I6: however many are slow, no more than 64 run", () => {
  const admission = new Admission(1);
  for (let i = 0; i < 2 * RUNNING_MAX; i++) enter(admission, (ticket) => ticket.release());
  assertEquals([admission.running, admission.waiting], [RUNNING_MAX, RUNNING_MAX]);
});

Deno.test("I6: no more slow ones run than the scanner has room for", () => {
  const admission = new Admission(1);
  admission.most = 3;
  for (let i = 0; i < 10; i++) enter(admission, (ticket) => ticket.release());
  assertEquals([admission.running, admission.waiting], [3, 7]);
  admission.most = 4;
  assertEquals([admission.running, admission.waiting], [4, 6]);
});

Deno.test("a higher limit admits those who wait; a senseless one is corrected", async () => {
  const admission = new Admission(NaN);
  assertEquals(admission.limit, 1);
  enter(admission, () => {});
  const second = admission.enter();
  admission.limit = 2;
  await second;
  admission.limit = 1e9;
  assertEquals(admission.limit, RUNNING_MAX);
  admission.limit = -3;
  assertEquals(admission.limit, 1);
});

Deno.test("a property: first come, first served, and never more than the limit", async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.constant("enter" as const) },
    { weight: 2, arbitrary: fc.record({ end: fc.nat() }) },
    fc.record({ slow: fc.nat() }),
    fc.record({ limit: fc.integer({ min: 1, max: 6 }) }),
  );
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 200 }), async (steps) => {
    let limit = 3;
    const admission = new Admission(limit);
    const order: number[] = [];
    const running = new Map<Ticket, { slow: boolean }>();
    let entered = 0;
    for (const what of steps) {
      const tickets = [...running.keys()];
      if (what === "enter") {
        const mine = entered++;
        enter(admission, (ticket) => {
          order.push(mine);
          running.set(ticket, { slow: false });
          const counted = [...running.values()].filter(({ slow }) => !slow).length;
          // One that was lowered meanwhile lets those who run go on.
          assert(counted <= Math.max(limit, 6) && running.size <= RUNNING_MAX);
        });
      } else if ("end" in what) {
        const ticket = tickets[what.end % tickets.length];
        if (ticket !== undefined) running.delete(ticket);
        ticket?.done();
      } else if ("slow" in what) {
        const ticket = tickets[what.slow % tickets.length];
        if (ticket !== undefined) running.set(ticket, { slow: true });
        ticket?.release();
      } else {
        limit = what.limit;
        admission.limit = limit;
      }
      await Promise.resolve();
      const counted = [...running.values()].filter(({ slow }) => !slow).length;
      assertEquals(admission.running, running.size);
      assertEquals(admission.waiting, entered - order.length);
      assert(admission.waiting === 0 || counted >= limit, "nobody waits while there is a place");
    }
    assertEquals(order, order.toSorted((a, b) => a - b));
  }));
});

Deno.test("ten thousand who wait are admitted in their order", async () => {
  const admission = new Admission(1);
  const order: number[] = [];
  const first = admission.enter() as Ticket;
  const all = Array.from({ length: 10_000 }, async (_, i) => {
    const ticket = await admission.enter();
    order.push(i);
    ticket.done();
  });
  first.done();
  await Promise.all(all);
  assertEquals(order, Array.from({ length: 10_000 }, (_, i) => i));
  assertEquals([admission.running, admission.waiting], [0, 0]);
});
