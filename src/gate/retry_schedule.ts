/** When paths are looked at again that could not be brought to rest: single ones, and all that is held. */

import type { RelativePath } from "../../ffi/byte_string.ts";

const FIRST_HELD_MS = 1000;
/** Held files wait no longer than this for another attempt (DESIGN.md, Verdicts). */
const LAST_HELD_MS = 15_000;
/** Beyond it the disk is read again instead (I6). */
const MOST_TIMERS = 10_000;
const REREAD_MS = 10_000;

export interface RetryParts {
  /** It is time for `path`, in the queue that it came from. */
  lookAt(path: RelativePath, queue: string): void;
  /** There were too many paths to remember them. */
  reread(): void;
}

export class RetrySchedule {
  readonly #parts: RetryParts;
  readonly #timers = new Map<RelativePath, ReturnType<typeof setTimeout>>();
  /** Stands for the paths beyond the limit. */
  #rereadTimer: ReturnType<typeof setTimeout> | undefined;
  #retryHeld: (() => Promise<number>) | undefined;
  #heldTimer: ReturnType<typeof setTimeout> | undefined;
  #heldDelayMs = FIRST_HELD_MS;
  #stopped = false;

  constructor(parts: RetryParts) {
    this.#parts = parts;
  }

  /** Looks at `path` again after `delayMs`; an earlier appointment stands. */
  later(path: RelativePath, queue: string, delayMs: number): void {
    if (this.#stopped || this.#timers.has(path)) return;
    if (this.#timers.size >= MOST_TIMERS) {
      this.#rereadTimer ??= setTimeout(() => {
        this.#rereadTimer = undefined;
        this.#parts.reread();
      }, REREAD_MS);
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(path);
      this.#parts.lookAt(path, queue);
    }, delayMs);
    this.#timers.set(path, timer);
  }

  /** Begins to try held files again. `retry` tells how many there are. */
  startHeld(retry: () => Promise<number>): void {
    this.#retryHeld = retry;
    this.#scheduleHeld();
  }

  /** The scanner is back: held files are tried at once. */
  heldNow(): void {
    this.#heldDelayMs = FIRST_HELD_MS;
    if (this.#retryHeld === undefined || this.#stopped) return;
    clearTimeout(this.#heldTimer);
    this.#heldTimer = setTimeout(() => this.#runHeld(), 0);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#heldTimer);
    clearTimeout(this.#rereadTimer);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #scheduleHeld(): void {
    if (this.#stopped) return;
    this.#heldTimer = setTimeout(() => this.#runHeld(), this.#heldDelayMs);
  }

  async #runHeld(): Promise<void> {
    const held = await this.#retryHeld?.() ?? 0;
    this.#heldDelayMs = held === 0 ? FIRST_HELD_MS : Math.min(this.#heldDelayMs * 2, LAST_HELD_MS);
    clearTimeout(this.#heldTimer);
    this.#scheduleHeld();
  }
}
