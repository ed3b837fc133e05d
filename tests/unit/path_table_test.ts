/** What lies below a path that something is kept for. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { fromText, isWithin, type RelativePath } from "../../ffi/byte_string.ts";
import { PathTable } from "../../src/gate/path_table.ts";
import { runs } from "../support/size.ts";

const paths = fc.array(fc.constantFrom("a", "b", "ab"), { minLength: 1, maxLength: 4 })
  .map((names) => fromText(names.join("/")) as RelativePath);

Deno.test("the nearest is that of the longest path at or above one, of those that count", () => {
  const change = fc.record({ path: paths, value: fc.option(fc.nat(9)) });
  fc.assert(
    fc.property(fc.array(change), paths, fc.nat(9), (changes, path, least) => {
      const table = new PathTable<number>();
      const model = new Map<RelativePath, number>();
      for (const { path, value } of changes) {
        if (value === null) {
          table.delete(path);
          model.delete(path);
        } else {
          table.set(path, value);
          model.set(path, value);
        }
      }
      assertEquals([...table.keys()], [...model.keys()]);
      assertEquals([...table.values()], [...model.values()]);
      assertEquals(table.size, model.size);
      assertEquals(table.get(path), model.get(path));
      const counting = [...model].filter(([above, value]) =>
        isWithin(path, above) && value >= least
      );
      const [, expected] = counting.toSorted(([a], [b]) => b.length - a.length)[0] ?? [];
      assertEquals(table.nearest(path, (value) => value >= least), expected);
    }),
    runs(500),
  );
});
