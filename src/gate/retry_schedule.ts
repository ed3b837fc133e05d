/** When single paths are looked at again that could not be brought to rest. */

import type { RelativePath } from "../../ffi/byte_string.ts";

export interface RetryLimits {
  /** Paths that may wait; beyond them the disk is read again instead (I6). */
  readonly paths: number;
  /** After which time. */
  readonly rereadMs: number;
}

const DEFAULT_LIMITS: RetryLimits = { paths: 10_000, rereadMs: 10_000 };

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
  #stopped = false;

  constructor(parts: RetryParts, private readonly limits: RetryLimits = DEFAULT_LIMITS) {
    this.#parts = parts;
  }

  /** Looks at `path` again after `delayMs`; an earlier appointment stands. */
  later(path: RelativePath, queue: string, delayMs: number): void {
    if (this.#stopped || this.#timers.has(path)) return;
    if (this.#timers.size >= this.limits.paths) {
      this.#rereadTimer ??= setTimeout(() => {
        this.#rereadTimer = undefined;
        this.#parts.reread();
      }, this.limits.rereadMs);
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(path);
      this.#parts.lookAt(path, queue);
    }, delayMs);
    this.#timers.set(path, timer);
  }

  /** Whether the path has an appointment, or may be one of those that were not remembered. */
  isPending(path: RelativePath): boolean {
    return this.#rereadTimer !== undefined || this.#timers.has(path);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#rereadTimer);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
