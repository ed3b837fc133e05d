/** What clamd-vclient keeps of places at which something is mounted. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { CoveredPlaces } from "../../src/watching/covered_places.ts";
import { must } from "../support/command.ts";
import { scratchDirectory } from "../support/scratch.ts";

const path = (text: string) => fromText(text) as RelativePath;

Deno.test({
  name: "of what lies below a mount, the mount point is kept until that is gone, and told once",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const top = scratchDirectory("covered");
    Deno.mkdirSync(`${top}/a/mount/b/c`, { recursive: true });
    using root = Directory.openTrusted(fromText(top));
    const places = new CoveredPlaces();
    await must("mount", ["-t", "tmpfs", "none", `${top}/a/mount`]);
    try {
      assertEquals(places.add(root, path("a/mount/b/c")), path("a/mount"));
      for (const known of ["a/mount", "a/mount/x"]) {
        assertEquals(places.add(root, path(known)), undefined, known);
      }
      assertEquals(places.takeUncovered(root), []);
    } finally {
      await must("umount", [`${top}/a/mount`]);
    }
    assertEquals(places.takeUncovered(root), [path("a/mount")]);
    assertEquals(places.takeUncovered(root), []);
    assertEquals(places.size, 0);
  },
});

Deno.test("a place that is covered no more when it is told is taken for uncovered", () => {
  const top = scratchDirectory("uncovered");
  Deno.mkdirSync(`${top}/a`);
  using root = Directory.openTrusted(fromText(top));
  const places = new CoveredPlaces();
  for (const place of ["a", "gone/below"]) {
    assertEquals(places.add(root, path(place)), undefined);
  }
  assertEquals(places.takeUncovered(root), [path("a"), path("gone/below")]);
});

Deno.test("I6: no more than a number of places is kept, nor of bytes of their paths", () => {
  const places = new CoveredPlaces();
  for (let i = 0; i < 2_000; i++) places.add(undefined, path(`${i}`));
  assertEquals(places.size, 1_000);
  for (const name of ["x", "y", "z"]) {
    places.add(undefined, path(name.repeat(1_500_000)));
  }
  assertEquals(places.size, 2);
});
