/** A queue of which the first is taken, however long it is. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Fifo } from "../../src/collections/fifo.ts";

Deno.test("what came first is taken first, and what waits is as it came", () => {
  // Far beyond the length at which room is given back.
  const burst = fc.record({ pushed: fc.nat(3000), taken: fc.nat(3000) });
  fc.assert(
    fc.property(fc.array(burst, { maxLength: 8 }), (bursts) => {
      const fifo = new Fifo<number>();
      const model: number[] = [];
      let number = 0;
      for (const { pushed, taken } of bursts) {
        for (let left = pushed; left > 0; left--) {
          fifo.push(++number);
          model.push(number);
        }
        for (const item of model.splice(0, taken)) assertEquals(fifo.shift(), item);
        assertEquals([fifo.length, fifo.first], [model.length, model[0]]);
        assertEquals([...fifo], model);
      }
      while (fifo.length > 0) assertEquals(fifo.shift(), model.shift());
      assertEquals([fifo.shift(), fifo.first], [undefined, undefined]);
    }),
  );
});
