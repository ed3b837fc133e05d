/** Which paths wait for a scan, and when they are tried again. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import fc from "fast-check";
import { fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Retries } from "../../src/vclient/retries.ts";
import { ScanQueue } from "../../src/vclient/scan_queue.ts";

const path = (text: string) => fromText(text) as RelativePath;
const [A, B, C] = [path("a"), path("b"), path("c")];

Deno.test("a path waits once, in the order of coming, and is never scanned twice at a time", () => {
  const queue = new ScanQueue();
  for (const one of [A, B, A]) assert(queue.add(one));
  assertEquals(queue.take()?.path, A);
  assert(queue.add(A), "it changed while it is scanned");
  assertEquals([queue.take()?.path, queue.take()], [B, undefined]);
  assert(queue.done(A));
  assertEquals(queue.take()?.path, A);
});

Deno.test("that a path was closed by a writer is not forgotten until it is scanned", () => {
  const queue = new ScanQueue();
  queue.add(A, { closed: true, used: false });
  queue.add(A);
  assertEquals(queue.take(), { path: A, closed: true, used: false });
  queue.add(A);
  queue.add(A, { closed: true, used: false });
  queue.done(A);
  assertEquals(queue.take(), { path: A, closed: true, used: false });
  queue.add(A);
  queue.done(A);
  assertEquals(queue.take(), { path: A, closed: false, used: false });
});

Deno.test("I6: a full queue says so, and takes again when there is room", () => {
  const queue = new ScanQueue({ paths: 2, bytes: 1000 });
  assertEquals([A, B, C, A].map((one) => queue.add(one)), [true, true, false, true]);
  queue.take();
  assert(queue.add(C));
  assert(queue.add(A), "the one that runs needs no place yet");
  assertEquals(queue.done(A), false, "but then it does");
  const bytes = new ScanQueue({ paths: 100, bytes: 10 });
  assertEquals(["12345", "67890", "1"].map((one) => bytes.add(path(one))), [true, true, false]);
});

Deno.test("I6: a path of any length has room, but little beside it", () => {
  const queue = new ScanQueue({ paths: 10, bytes: 5 });
  const long = path("x".repeat(100));
  assertEquals([queue.add(long), queue.add(A), queue.take()?.path], [true, false, long]);
  assert(queue.add(A));
});

Deno.test("a property: whatever was added and not refused is scanned after it was added", () => {
  const action = fc.tuple(fc.constantFrom("add", "take", "done"), fc.constantFrom(A, B, C));
  fc.assert(fc.property(fc.array(action), fc.integer({ min: 1, max: 3 }), (actions, paths) => {
    const queue = new ScanQueue({ paths, bytes: 100 });
    const owed = new Set<RelativePath>();
    const running = new Set<RelativePath>();
    const take = () => {
      const taken = queue.take()?.path;
      if (taken === undefined) return false;
      assert(!running.has(taken), "not twice at a time");
      running.add(taken);
      owed.delete(taken);
      return true;
    };
    const done = (one: RelativePath) => {
      if (!running.delete(one)) return;
      if (!queue.done(one)) owed.delete(one); // said to be dropped
    };
    for (const [kind, one] of actions) {
      if (kind === "take") take();
      else if (kind === "done") done(one);
      else if (queue.add(one)) owed.add(one);
      assertLessOrEqual(queue.waiting, paths);
    }
    do running.forEach(done); while (take());
    assertEquals([...owed], []);
    assertEquals(queue.waiting + queue.running, 0);
  }));
});

Deno.test("pauses between attempts grow up to 15 s, and start anew when the scanner is back", () => {
  const retries = new Retries();
  const pauses: number[] = [];
  let now = 0;
  for (let attempt = 0; attempt < 8; attempt++) {
    assert(retries.later(A, 1000, now));
    assertEquals(retries.due(retries.nextDueAt - 1), []);
    pauses.push(retries.nextDueAt - now);
    now = retries.nextDueAt;
    assertEquals(retries.due(now), [A]);
    assertEquals(retries.due(now), [], "each once");
  }
  assertEquals(pauses, [1000, 2000, 4000, 8000, 15_000, 15_000, 15_000, 15_000]);
  retries.allNow(now);
  assertEquals([retries.nextDueAt, ...retries.due(now)], [now, A]);
  retries.later(A, 1000, now);
  assertEquals(retries.nextDueAt - now, 1000);
  assert(retries.later(B, 600_000, now), "limits that somebody has to raise");
  assertEquals(retries.due(now + 599_999), [A]);
});

Deno.test("what is settled is not tried again; beyond the limit there is no place", () => {
  const retries = new Retries(2);
  assertEquals([A, B, C, A].map((one) => retries.later(one, 100, 0)), [true, true, false, true]);
  retries.forget(A);
  assert(!retries.has(A) && retries.has(B));
  assert(retries.later(C, 100, 0));
  assertEquals(retries.due(1000), [B, C]);
  retries.forget(B);
  retries.forget(C);
  assertEquals([retries.size, retries.due(1e9).length, retries.nextDueAt], [0, 0, Infinity]);
});

Deno.test("I6: nor beyond a limit of bytes: a path is as long as its author likes", () => {
  const retries = new Retries(10, 5);
  const [four, two] = [path("four"), path("22")];
  assertEquals([four, two, A, four].map((one) => retries.later(one, 100, 0)), [
    true,
    false,
    true,
    true,
  ]);
  retries.forget(four);
  retries.forget(four);
  assert(retries.later(two, 100, 0));
  assert(!retries.later(four, 100, 0));
});

Deno.test("many paths together are tried seldom: each pause is twice the last, and longer than 15 s", () => {
  const retries = new Retries();
  const paths = Array.from({ length: 1000 }, (_, i) => path(`${i}`));
  let now = 0;
  for (const expected of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
    for (const one of paths) retries.later(one, 1000, now);
    assertEquals(retries.nextDueAt - now, expected);
    now = retries.nextDueAt;
    assertEquals(retries.due(now).length, paths.length);
  }
});

Deno.test("what only changed while it was scanned has a place also when all others are taken", () => {
  const retries = new Retries(1);
  assert(retries.later(A, 600_000, 0));
  assert(!retries.hasRoom(B) && !retries.later(B, 1000, 0));
  assert(retries.hasRoom(B, true) && retries.later(B, 50, 0, true));
  assertEquals(retries.due(50), [B]);
});
