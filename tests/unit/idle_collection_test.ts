/** Memory is given back when a program rests, and only then. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { getHeapStatistics } from "node:v8";
import { collectWhileIdle, type Heap } from "../../src/daemon/idle_collection.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";

const MIB = 1024 * 1024;

class SimulatedHeap implements Heap {
  collections = 0;
  usedMs = 0;
  live = 10 * MIB;
  garbage = 0;

  size(): number {
    return this.live + this.garbage;
  }

  processorMs(): number {
    return this.usedMs;
  }

  collect(): void {
    this.collections++;
    this.garbage = 0;
  }
}

function simulated() {
  const heap = new SimulatedHeap();
  const clock = new SimulatedClock();
  return { heap, clock, collecting: collectWhileIdle(heap, clock) };
}

Deno.test("a program that had much to do, and rests, collects its garbage once", () => {
  const { heap, clock } = simulated();
  heap.garbage = 100 * MIB;
  for (let second = 0; second < 20; second++) {
    heap.usedMs += 900;
    clock.pass(1000);
  }
  assertEquals(heap.collections, 0, "it is at work");
  clock.pass(10_000);
  assertEquals(heap.collections, 1);
  clock.pass(3600_000);
  assertEquals(heap.collections, 1);
});

Deno.test("little garbage beside much that is alive is left alone", () => {
  const { heap, clock } = simulated();
  heap.live = 200 * MIB;
  clock.pass(10_000);
  assertEquals(heap.collections, 1, "it cannot know");
  heap.garbage = 100 * MIB;
  clock.pass(3600_000);
  assertEquals(heap.collections, 1);
  heap.garbage = 120 * MIB;
  clock.pass(10_000);
  assertEquals(heap.collections, 2);
});

Deno.test("after its end nothing is looked at", () => {
  const { heap, clock, collecting } = simulated();
  heap.garbage = 100 * MIB;
  collecting[Symbol.dispose]();
  clock.pass(3600_000);
  assertEquals(heap.collections, 0);
  assertEquals(clock.waiting, 0);
});

Deno.test("what V8 has kept is given back", () => {
  const clock = new SimulatedClock();
  using _ = collectWhileIdle(undefined, clock);
  // Alive until the heap is measured: what is garbage before, V8 may have given back on its own.
  let garbage: unknown[] | undefined = Array.from({ length: 2_000_000 }, (_, i) => ({ i }));
  const before = getHeapStatistics().total_heap_size;
  assertEquals(garbage.length, 2_000_000);
  garbage = undefined;
  // The clock makes of what was used until now next to nothing a second.
  clock.spend(3_600_000);
  clock.pass(10_000);
  const after = getHeapStatistics().total_heap_size;
  assert(after < before - 16 * MIB, `${before / MIB} MiB before, ${after / MIB} MiB after`);
});
