/** The two halves of a rename find each other by their cookie, and nobody waits for ever. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { runs } from "../support/size.ts";
import { MovePairing } from "../../src/watching/move_pairing.ts";

Deno.test("what arrives is what departed with the same cookie", () => {
  const moves = new MovePairing<string>();
  moves.departed(7, "seven", 0);
  moves.departed(8, "eight", 0);
  assertEquals(moves.arrived(7), "seven");
  assertEquals(moves.arrived(8), "eight");
});

Deno.test("a cookie pairs once", () => {
  const moves = new MovePairing<string>();
  moves.departed(7, "seven", 0);
  moves.arrived(7);
  assertEquals(moves.arrived(7), undefined);
  assertEquals(moves.expired(1_000_000), []);
});

Deno.test("what arrives without having departed came from outside", () => {
  assertEquals(new MovePairing<string>().arrived(7), undefined);
});

Deno.test("what departed and does not arrive in time was moved out", () => {
  const moves = new MovePairing<string>(50);
  moves.departed(1, "one", 0);
  moves.departed(2, "two", 30);
  assertEquals(moves.nextExpiryAt, 50);
  assertEquals(moves.expired(49), []);
  assertEquals(moves.expired(50), ["one"]);
  assertEquals(moves.nextExpiryAt, 80);
  assertEquals(moves.expired(80), ["two"]);
  assertEquals(moves.nextExpiryAt, Infinity);
});

Deno.test("I6: of too many that wait the oldest gives up, and is not forgotten", () => {
  const moves = new MovePairing<number>(50, 3);
  const expelled = [1, 2, 3, 4, 5].map((cookie) => moves.departed(cookie, cookie, 0));
  assertEquals(expelled, [undefined, undefined, undefined, 1, 2]);
  assertEquals(moves.expired(50), [3, 4, 5]);
});

Deno.test("whatever the order, each departure ends once: paired, expired or expelled", () => {
  const step = fc.record({
    pauseMs: fc.nat({ max: 40 }),
    what: fc.constantFrom("departs", "arrives", "expires"),
    which: fc.nat({ max: 20 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const moves = new MovePairing<number>(50, 4);
      const ended: number[] = [];
      let cookie = 0;
      let now = 0;
      for (const { pauseMs, what, which } of steps) {
        now += pauseMs;
        if (what === "departs") {
          const expelled = moves.departed(++cookie, cookie, now);
          if (expelled !== undefined) ended.push(expelled);
        } else if (what === "arrives") {
          const item = moves.arrived(Math.max(0, cookie - which));
          if (item !== undefined) ended.push(item);
        } else {
          ended.push(...moves.expired(now));
          assert(moves.nextExpiryAt > now);
        }
      }
      ended.push(...moves.expired(Infinity));
      assertEquals(ended.sort((a, b) => a - b), Array.from({ length: cookie }, (_, i) => i + 1));
    }),
    runs(500),
  );
});
