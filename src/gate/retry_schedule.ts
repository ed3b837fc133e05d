/** When single paths are looked at again that could not be brought to rest. */

import type { RelativePath } from "../../ffi/byte_string.ts";
import { type Clock, MACHINE_CLOCK } from "../../ffi/clock.ts";

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
  /** What takes an appointment back, by path. */
  readonly #cancels = new Map<RelativePath, () => void>();
  /** Those of them that wait for a directory above. */
  readonly #blocked = new Set<RelativePath>();
  /** Stands for the paths beyond the limit. */
  #cancelReread: (() => void) | undefined;
  #stopped = false;

  constructor(
    parts: RetryParts,
    private readonly limits: RetryLimits = DEFAULT_LIMITS,
    private readonly clock: Clock = MACHINE_CLOCK,
  ) {
    this.#parts = parts;
  }

  /**
   * Looks at `path` again after `delayMs`; an earlier appointment stands. `isBlocked`: nothing becomes of it before a
   * directory above it.
   */
  later(path: RelativePath, queue: string, delayMs: number, isBlocked = false): void {
    if (this.#stopped || this.#cancels.has(path)) return;
    if (this.#cancels.size >= this.limits.paths) {
      this.#cancelReread ??= this.clock.after(this.limits.rereadMs, () => {
        this.#cancelReread = undefined;
        this.#parts.reread();
      });
      return;
    }
    const cancel = this.clock.after(delayMs, () => {
      this.#cancels.delete(path);
      this.#blocked.delete(path);
      this.#parts.lookAt(path, queue);
    });
    this.#cancels.set(path, cancel);
    if (isBlocked) this.#blocked.add(path);
  }

  /**
   * Whether something is still to become of the path: it has an appointment and is not blocked, or may be one of those
   * that were not remembered.
   */
  isPending(path: RelativePath): boolean {
    if (this.#cancelReread !== undefined) return true;
    return this.#cancels.has(path) && !this.#blocked.has(path);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelReread?.();
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
    this.#blocked.clear();
  }
}
