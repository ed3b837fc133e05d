/** Which path waits alone, and when its quiet time is nearly over. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import type { RelativePath } from "../../ffi/byte_string.ts";
import { LonePath } from "../../src/watching/lone_path.ts";

const A = "a" as RelativePath;
const B = "b" as RelativePath;

Deno.test("a path is alone while no other waits", () => {
  const lone = new LonePath(100);
  assertEquals(lone.path, undefined);
  lone.add(A);
  lone.add(A);
  assertEquals(lone.path, A);
  lone.add(B);
  assertEquals([lone.path, lone.soonAt(1000)], [undefined, Infinity]);
  lone.delete(A);
  assertEquals(lone.path, B);
  lone.clear();
  assertEquals(lone.path, undefined);
});

Deno.test("its end is near 1 ms before, once, and again when it was put off", () => {
  const lone = new LonePath(100);
  lone.add(A);
  assertEquals(lone.soonAt(1000), 999);
  lone.told(1000);
  assertEquals(lone.soonAt(1000), Infinity);
  assertEquals(lone.soonAt(1010), 1009);
});

Deno.test("in the first three quarters of a short quiet time its end is not near", () => {
  const lone = new LonePath(2);
  lone.add(A);
  assertEquals(lone.soonAt(1000), 999.5);
});
