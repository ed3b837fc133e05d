/** Time: clocks that Deno does not offer (clock_gettime(2)), and waiting. */

import { check } from "./errno.ts";
import { libc } from "./libc.ts";

const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
const CLOCK_BOOTTIME = 7;
const timespec = new BigInt64Array(2);
const timespecBytes = new Uint8Array(timespec.buffer);

/** CLOCK_MONOTONIC in microseconds, as the service manager counts. */
export function monotonicUsec(): bigint {
  return microseconds(CLOCK_MONOTONIC);
}

/**
 * When the machine was started, in milliseconds since 1970: the same as long as it runs, to a few microseconds, unless
 * somebody sets the time. Without /proc, which hardened units hide.
 */
export function bootTimeMs(): number {
  return Number(microseconds(CLOCK_REALTIME) - microseconds(CLOCK_BOOTTIME)) / 1000;
}

function microseconds(clock: number): bigint {
  check(libc.clock_gettime(clock, timespecBytes), "clock_gettime");
  return (timespec[0] ?? 0n) * 1_000_000n + (timespec[1] ?? 0n) / 1000n;
}

/** Settles after `ms` milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Time as a module sees it: the machine's, or one that a test lets pass. */
export interface Clock {
  /** In milliseconds, monotonic. */
  now(): number;
  /** Calls back once, after `ms` milliseconds; what it returns takes that back. */
  after(ms: number, callback: () => void): () => void;
}

export const MACHINE_CLOCK: Clock = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};
