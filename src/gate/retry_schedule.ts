/** When paths are looked at again that could not be brought to rest: single ones, and all that is held. */

import type { RelativePath } from "../../ffi/byte_string.ts";

const FIRST_HELD_MS = 1000;
/** Held files wait no longer than this for another attempt (DESIGN.md, Verdicts). */
const LAST_HELD_MS = 15_000;
const MOST_TIMERS = 10_000;

export class RetrySchedule {
  readonly #lookAt: (path: RelativePath) => void;
  readonly #timers = new Map<RelativePath, ReturnType<typeof setTimeout>>();
  #retryHeld: (() => Promise<number>) | undefined;
  #heldTimer: ReturnType<typeof setTimeout> | undefined;
  #heldDelayMs = FIRST_HELD_MS;
  #stopped = false;

  constructor(lookAt: (path: RelativePath) => void) {
    this.#lookAt = lookAt;
  }

  /** Looks at `path` again after `delayMs`; an earlier appointment stands. */
  later(path: RelativePath, delayMs: number): void {
    if (this.#stopped || this.#timers.has(path)) return;
    if (this.#timers.size >= MOST_TIMERS) {
      // The queue is bounded too, and falls back to reading the disk.
      this.#lookAt(path);
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(path);
      this.#lookAt(path);
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
