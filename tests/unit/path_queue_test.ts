/** Paths that wait to be looked at: none is worked on twice at a time, and none is forgotten without a word. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { RelativePath } from "../../ffi/byte_string.ts";
import { PathQueue } from "../../src/gate/path_queue.ts";
import { runs } from "../support/size.ts";

const A = "a" as RelativePath;
const B = "b" as RelativePath;

Deno.test("a path waits once in its share's queue, and paths come in their order", () => {
  const queue = new PathQueue();
  for (const path of [A, B, A]) queue.add("ann", path);
  assertEquals([queue.take("ann"), queue.take("ann"), queue.take("ann")], [A, B, undefined]);
  assertEquals(queue.take("bob"), undefined);
});

Deno.test("I3: a path is pending while it waits or is worked on, and it is known whose were forgotten", () => {
  const queue = new PathQueue({ paths: 1, bytes: 100 });
  queue.add("ann", A);
  assertEquals([queue.isPending(A), queue.isPending(B)], [true, false]);
  queue.take("ann");
  assert(queue.isPending(A));
  queue.done(A);
  assert(!queue.isPending(A));
  for (const path of [A, B]) queue.add("bob", path);
  assert(!queue.isPending(B));
  assertEquals([queue.hasForgotten("bob"), queue.hasForgotten("ann")], [true, false]);
  queue.take("bob");
  queue.done(A);
  queue.takeOverflow("bob");
  assert(!queue.hasForgotten("bob"));
});

Deno.test("I7: what two tell of while it is worked on waits for both, however full the other's queue is", () => {
  const queue = new PathQueue({ paths: 1, bytes: 100 });
  queue.add("bob", A);
  queue.take("bob");
  for (const guest of ["ann", "bob"]) queue.add(guest, A);
  queue.add("bob", B);
  queue.done(A);
  assertEquals([queue.take("ann"), queue.take("bob")], [A, B]);
});

Deno.test("I7: a path can be taken from one queue for another, and then is one of that", () => {
  const queue = new PathQueue();
  queue.add("ann/unread", A);
  assertEquals(queue.take("ann/unread", "ann"), A);
  assertEquals(queue.runningFor(A), "ann");
  queue.repeatRunning();
  queue.done(A);
  assertEquals([queue.take("ann/unread"), queue.take("ann")], [undefined, A]);
});

Deno.test("I3: what is worked on can be asked for once more, all at once", () => {
  const queue = new PathQueue();
  for (const path of [A, B]) queue.add("ann", path);
  queue.take("ann");
  assertEquals([queue.isRunning(A), queue.isRunning(B)], [true, false]);
  assertEquals([queue.runningFor(A), queue.runningFor(B)], ["ann", undefined]);
  queue.repeatRunning();
  queue.done(A);
  assertEquals([queue.runningFor(A), queue.take("bob")], [undefined, undefined]);
  assertEquals([queue.take("ann"), queue.take("ann")], [B, A]);
});

Deno.test("I3: a path that is told while it is worked on is looked at once more", () => {
  const queue = new PathQueue();
  queue.add("ann", A);
  queue.take("ann");
  queue.add("ann", A);
  queue.add("bob", A);
  assertEquals([queue.take("ann"), queue.take("bob")], [undefined, undefined]);
  queue.done(A);
  assertEquals([queue.take("ann"), queue.take("bob")], [A, undefined]);
  queue.done(A);
  assertEquals([queue.take("ann"), queue.take("bob")], [undefined, A]);
});

Deno.test("I6: a full queue asks for the share to be read again, once it has run empty", () => {
  const queue = new PathQueue({ paths: 1, bytes: 100 });
  assert(queue.add("ann", A));
  assert(!queue.add("ann", B));
  assert(queue.add("bob", B));
  assertEquals(queue.takeOverflow("ann"), false);
  queue.take("ann");
  assertEquals([queue.takeOverflow("bob"), queue.takeOverflow("ann")], [false, true]);
  assertEquals(queue.takeOverflow("ann"), false);
});

Deno.test("I3, I6: whatever the order, each path that was told is looked at afterwards, or its share is read", () => {
  const SHARES = ["ann", "bob", ""];
  const MOST = 3;
  const step = fc.record({
    what: fc.constantFrom("add", "take", "done"),
    share: fc.constantFrom(...SHARES),
    path: fc.constantFrom(...["a", "b", "c", "d", "e"].map((name) => name as RelativePath)),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new PathQueue({ paths: MOST, bytes: 1000 });
      const running: RelativePath[] = [];
      /** Told, and no look at them has begun since, nor a reading. */
      const owed = new Set<RelativePath>();
      const take = (share: string) => {
        const path = queue.take(share);
        if (path === undefined) {
          if (queue.takeOverflow(share)) owed.clear(); // then everything is read
          return;
        }
        assert(!running.includes(path), "two jobs for one path");
        running.push(path);
        owed.delete(path);
      };
      const finish = () => {
        const path = running.shift();
        if (path !== undefined) queue.done(path);
      };
      for (const { what, share, path } of steps) {
        if (what === "take") take(share);
        else if (what === "done") finish();
        else {
          queue.add(share, path);
          owed.add(path);
        }
        for (const one of SHARES) assert(queue.fullness(one) <= 1, "longer than its limit");
      }
      while (running.length > 0 || queue.size > 0) {
        SHARES.forEach(take);
        finish();
      }
      SHARES.forEach(take);
      assertEquals([...owed], []);
    }),
    runs(1000),
  );
});
