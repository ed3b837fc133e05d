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

interface Appointment {
  /** It waits for a directory above. */
  readonly isBlocked: boolean;
  /** Takes it back. */
  cancel(): void;
}

export class RetrySchedule {
  readonly #parts: RetryParts;
  readonly #appointments = new Map<RelativePath, Appointment>();
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
    if (this.#stopped || this.#appointments.has(path)) return;
    if (this.#appointments.size >= this.limits.paths) {
      this.#cancelReread ??= this.clock.after(this.limits.rereadMs, () => {
        this.#cancelReread = undefined;
        this.#parts.reread();
      });
      return;
    }
    const cancel = this.clock.after(delayMs, () => {
      this.#appointments.delete(path);
      this.#parts.lookAt(path, queue);
    });
    this.#appointments.set(path, { cancel, isBlocked });
  }

  /**
   * Whether something is still to become of the path: it has an appointment and is not blocked, or may be one of those
   * that were not remembered.
   */
  isPending(path: RelativePath): boolean {
    if (this.#cancelReread !== undefined) return true;
    return this.#appointments.get(path)?.isBlocked === false;
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelReread?.();
    for (const { cancel } of this.#appointments.values()) cancel();
    this.#appointments.clear();
  }
}
