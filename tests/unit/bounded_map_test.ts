/** I6: a map that forgets what was set longest ago. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { BoundedMap } from "../../src/collections/bounded_map.ts";

Deno.test("what was set longest ago is forgotten first, and what is set again last", () => {
  const map = new BoundedMap<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  map.set("a", 3);
  map.set("c", 4);
  assertEquals([...map.keys()], ["a", "c"]);
  assertEquals(["a", "b", "c"].map((key) => map.get(key)), [3, undefined, 4]);
});

Deno.test("what is only asked for is forgotten as soon as if it were not", () => {
  const map = new BoundedMap<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  assertEquals([map.get("a"), map.has("a")], [1, true]);
  map.set("c", 3);
  assert(!map.has("a"));
});

Deno.test("what was set last is held, even if it alone is more than may be held", () => {
  const map = new BoundedMap<string, true>(10, 4, (key) => key.length);
  map.set("ab", true);
  map.set("longer", true);
  assertEquals([...map.keys()], ["longer"]);
  map.set("ab", true);
  assertEquals([...map.keys()], ["ab"]);
});

Deno.test("it holds as much as it may of what was set last, whatever was deleted or set again", () => {
  const [most, mostBytes] = [5, 12];
  const value = fc.string({ maxLength: 5 });
  const step = fc.record({ key: fc.nat(8), value: fc.option(value, { nil: undefined }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const map = new BoundedMap<number, string>(most, mostBytes, (_, text) => text.length);
      let model: { key: number; value: string }[] = [];
      for (const { key, value } of steps) {
        const others = model.filter((entry) => entry.key !== key);
        if (value === undefined) {
          assertEquals(map.delete(key), others.length < model.length);
          model = others;
        } else {
          map.set(key, value);
          model = [...others, { key, value }];
          while (model.length > most || sizeOf(model) > mostBytes) model.shift();
        }
        assertEquals([...map.keys()], model.map((entry) => entry.key));
        for (const entry of model) assertEquals(map.get(entry.key), entry.value);
      }
      map.clear();
      assertEquals([map.size, map.has(0)], [0, false]);
      map.set(0, "as long as may be"); // nothing of before counts
      map.set(1, "");
      assertEquals([...map.keys()], [1]);
    }),
  );
});

function sizeOf(entries: readonly { value: string }[]): number {
  return entries.reduce((sum, { value }) => sum + value.length, 0);
}
