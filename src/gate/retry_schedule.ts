/** When single paths are looked at again that could not be brought to rest. */

import type { RelativePath } from "../../ffi/byte_string.ts";
import { type Clock, MACHINE_CLOCK } from "../../ffi/clock.ts";

export interface RetryLimits {
  /** Paths that may wait for one queue; beyond them the disk is read again instead (I6). */
  readonly paths: number;
  /** After which time. */
  readonly rereadMs: number;
}

/**
 * For each path that waits for the same queue: whatever is asked for again and again must leave that queue time for what
 * it waits for itself.
 */
const MS_PER_PATH = 1;

const DEFAULT_LIMITS: RetryLimits = { paths: 10_000, rereadMs: 10_000 };

export interface RetryParts {
  /** It is time for `path`, in the queue that it came from. */
  lookAt(path: RelativePath, queue: string): void;
  /** There were too many paths of a queue to remember them. */
  reread(queue: string): void;
}

interface Appointment {
  readonly at: number;
  readonly queue: string;
  /** It waits for a directory above. */
  readonly isBlocked: boolean;
  /** Takes it back. */
  cancel(): void;
}

export class RetrySchedule {
  readonly #parts: RetryParts;
  readonly #appointments = new Map<RelativePath, Appointment>();
  /** How many of them each queue has: one guest's failures are not to take the others' places (I7). */
  readonly #counts = new Map<string, number>();
  /** By queue; each stands for the paths beyond the limit, and takes the reading back. */
  readonly #rereads = new Map<string, () => void>();
  #stopped = false;

  constructor(
    parts: RetryParts,
    private readonly limits: RetryLimits = DEFAULT_LIMITS,
    private readonly clock: Clock = MACHINE_CLOCK,
  ) {
    this.#parts = parts;
  }

  /**
   * Looks at `path` again after `delayMs`, or later if many wait; of two appointments the sooner stands. `isBlocked`:
   * nothing becomes of it before a directory above it.
   */
  later(path: RelativePath, queue: string, delayMs: number, isBlocked = false): void {
    if (this.#stopped) return;
    const afterMs = Math.max(delayMs, this.#countOf(queue) * MS_PER_PATH);
    const at = this.clock.now() + afterMs;
    const made = this.#appointments.get(path);
    if (made !== undefined) {
      if (made.at <= at) return;
      made.cancel();
      this.#forget(path, made.queue);
    }
    if (this.#countOf(queue) >= this.limits.paths) return this.#rereadLater(queue);
    const cancel = this.clock.after(afterMs, () => {
      this.#forget(path, queue);
      this.#parts.lookAt(path, queue);
    });
    this.#appointments.set(path, { at, queue, cancel, isBlocked });
    this.#counts.set(queue, this.#countOf(queue) + 1);
  }

  #countOf(queue: string): number {
    return this.#counts.get(queue) ?? 0;
  }

  #forget(path: RelativePath, queue: string): void {
    this.#appointments.delete(path);
    this.#counts.set(queue, this.#countOf(queue) - 1);
  }

  #rereadLater(queue: string): void {
    if (this.#rereads.has(queue)) return;
    const cancel = this.clock.after(this.limits.rereadMs, () => {
      this.#rereads.delete(queue);
      this.#parts.reread(queue);
    });
    this.#rereads.set(queue, cancel);
  }

  /**
   * Whether something is still to become of the path: it has an appointment and is not blocked, or may be one of those
   * that were not remembered.
   */
  isPending(path: RelativePath): boolean {
    if (this.#rereads.size > 0) return true;
    return this.#appointments.get(path)?.isBlocked === false;
  }

  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#rereads.values()) cancel();
    this.#rereads.clear();
    for (const { cancel } of this.#appointments.values()) cancel();
    this.#appointments.clear();
    this.#counts.clear();
  }
}
