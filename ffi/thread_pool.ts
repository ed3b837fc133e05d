/**
 * Blocking system calls run on Deno's pool of 32 threads, which everything else in the process shares.
 * A limit keeps slow disks from taking them all (I7).
 */

const LIMIT = 8;

let running = 0;
const waiting: (() => void)[] = [];

/** Runs `call` (a `…Blocking` symbol) when fewer than 8 others are running. */
export async function onThreadPool<T>(call: () => Promise<T>): Promise<T> {
  if (running >= LIMIT) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    return await call();
  } finally {
    const next = waiting.shift();
    // The place is handed on, so that nobody slips in between.
    if (next === undefined) running--;
    else next();
  }
}
