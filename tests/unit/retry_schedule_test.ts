/** Paths that could not be brought to rest are looked at again, however many they are. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import type { RelativePath } from "../../ffi/byte_string.ts";
import { RetrySchedule } from "../../src/gate/retry_schedule.ts";
import { sleep, waitFor } from "../support/wait.ts";

const A = "a" as RelativePath;
const B = "b" as RelativePath;

Deno.test("a path is looked at again in the queue that it came from; an earlier appointment stands", async () => {
  const looks: string[] = [];
  const retries = new RetrySchedule({
    lookAt: (path, queue) => void looks.push(`${path} of ${queue}`),
    reread: () => void looks.push("everything"),
  });
  retries.later(A, "ann", 1);
  retries.later(A, "bob", 100_000);
  retries.later(B, "bob", 2);
  assertEquals([A, B, "c" as RelativePath].map((path) => retries.isPending(path)), [
    true,
    true,
    false,
  ]);
  await waitFor("both are looked at", () => looks.length === 2);
  assertEquals(looks, ["a of ann", "b of bob"]);
  assertEquals(retries.isPending(A), false);
  retries.later(A, "bob", 1);
  await waitFor("a new appointment can be made", () => looks.length === 3);
  retries.later(A, "ann", 1);
  retries.stop();
  retries.later(B, "ann", 1);
  await sleep(20);
  assertEquals(looks.length, 3);
});
