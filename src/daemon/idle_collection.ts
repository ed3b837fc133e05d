/**
 * Gives memory back while a program rests. V8 collects garbage when it needs room: a program that has had much to do,
 * and then nothing, would keep all that it once needed.
 */

import process from "node:process";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Clock, MACHINE_CLOCK } from "../../ffi/clock.ts";
import { trimNativeHeap } from "../../ffi/native_heap.ts";

const LOOK_MS = 5000;
/** Processor time in a second up to which a program rests. */
const RESTING_MS = 10;
/** A collection takes about 1 ms a MiB of what stays: it has to be worth it. */
const GROWTH = 1.5;
const LEAST_GROWTH = 16 * 1024 * 1024;

export interface Heap {
  /** What the heap takes, garbage included, in bytes. */
  size(): number;
  /** What the process has used of processors since its start, in ms. */
  processorMs(): number;
  /** Collects all garbage, and gives the pages back. Nothing else happens meanwhile. */
  collect(): void;
}

let collect: (() => void) | undefined;

const V8_HEAP: Heap = {
  size: () => getHeapStatistics().total_heap_size,
  processorMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  collect: () => {
    collect ??= collector();
    collect();
    trimNativeHeap();
  },
};

/** V8's own function for tests is the only way in; contexts that are made once the flag is set have it. */
function collector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc");
}

/** Looks every 5 s whether the program rests with a heap that has grown, until it is disposed. */
export function collectWhileIdle(heap = V8_HEAP, clock: Clock = MACHINE_CLOCK): Disposable {
  let kept = heap.size();
  let lookedAt = clock.now();
  let processorMs = heap.processorMs();
  const look = () => {
    const busyMs = heap.processorMs() - processorMs;
    const seconds = (clock.now() - lookedAt) / 1000;
    if (busyMs <= RESTING_MS * seconds && heap.size() >= GROWTH * kept + LEAST_GROWTH) {
      heap.collect();
      kept = heap.size();
    }
    lookedAt = clock.now();
    processorMs = heap.processorMs();
    cancel = clock.after(LOOK_MS, look);
  };
  let cancel = clock.after(LOOK_MS, look);
  return { [Symbol.dispose]: () => cancel() };
}
