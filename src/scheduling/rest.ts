/**
 * What is in vain, is so the more seldom, the longer that goes on: by a part of that time, so that nothing comes later than
 * it might have by more than that. Where few paths are, ten seconds are the most.
 */

const PART_OF_TIME = 1 / 4;
const MS_PER_STUCK_PATH = 30;
const FEW_MS = 10_000;

/** For how long what has been in vain for `vainMs` rests, one of `count`. */
export function restMs(vainMs: number, count: number): number {
  return Math.min(vainMs * PART_OF_TIME, Math.max(count * MS_PER_STUCK_PATH, FEW_MS));
}
