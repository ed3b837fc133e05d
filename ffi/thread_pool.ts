/**
 * Blocking system calls run on Deno's pool of 32 threads, which everything else in the process shares.
 * A limit keeps slow disks from taking them all (I7).
 */

const LIMIT = 8;
/** Of them, for calls that go through the pieces of large files: a guest makes such a call last for minutes. */
const LIMIT_FOR_LARGE = 4;
/** In units of 512 bytes: 16 MiB, which are 4096 pieces at most. */
const LARGE_BLOCKS = 32_768;

const onAny = limitedTo(LIMIT);
const onLarge = limitedTo(LIMIT_FOR_LARGE);

/**
 * Runs `call` (a `…Blocking` symbol) when fewer than 8 others are running. `blocks`: of the file whose pieces it goes
 * through; large ones leave half of the threads to the others.
 */
export function onThreadPool<T>(call: () => Promise<T>, blocks = 0): Promise<T> {
  return blocks > LARGE_BLOCKS ? onLarge(() => onAny(call)) : onAny(call);
}

type Runner = <T>(call: () => Promise<T>) => Promise<T>;

function limitedTo(limit: number): Runner {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (call) => {
    if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await call();
    } finally {
      const next = waiting.shift();
      // The place is handed on, so that nobody slips in between.
      if (next === undefined) running--;
      else next();
    }
  };
}
