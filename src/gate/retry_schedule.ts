/** When single paths are looked at again that could not be brought to rest. */

import type { RelativePath } from "../../ffi/byte_string.ts";
import { type Clock, MACHINE_CLOCK } from "../../ffi/clock.ts";
import { type PathLimits, PathTally } from "../collections/path_tally.ts";
import { restMs } from "../scheduling/rest.ts";

/** Of the paths that may wait for one queue; beyond them the disk is read again instead (I6). */
export interface RetryLimits extends PathLimits {
  /** After which time. */
  readonly rereadMs: number;
}

/**
 * For each path that waits for the same queue: whatever is asked for again and again must leave that queue time for what
 * it waits for itself.
 */
const MS_PER_PATH = 1;
const DEFAULT_LIMITS: RetryLimits = {
  paths: 10_000,
  bytes: 4 * 1024 * 1024,
  rereadMs: 10_000,
};

export interface RetryParts {
  /** It is time for `path`, in the queue that it came from. `false` if there is no room for it. */
  lookAt(path: RelativePath, queue: string): boolean;
  /** There were too many paths of a queue to remember them. */
  reread(queue: string): void;
}

/** What keeps a path from coming to rest. */
export interface Hindrance {
  /** Nothing becomes of it before a directory above it. */
  readonly isBlocked?: boolean;
  /** It lasts, as far as anybody knows, and what ends it is often told. */
  readonly isStuck?: boolean;
}

interface Appointment {
  /** Infinity while it is being looked at. */
  readonly at: number;
  readonly queue: string;
  readonly isBlocked: boolean;
  /** Since when it has been stuck, or blocked. */
  readonly stuckSince: number | undefined;
  /** Takes it back. */
  cancel(): void;
}

export class RetrySchedule {
  readonly #parts: RetryParts;
  readonly #appointments = new Map<RelativePath, Appointment>();
  /** Those of each queue: one guest's failures are not to take the others' places (I7). */
  readonly #tallies = new Map<string, PathTally>();
  /** By queue; each stands for the paths beyond the limit, and takes the reading back. */
  readonly #rereads = new Map<string, () => void>();
  /** By queue: since when there have been too many paths. */
  readonly #fullSince = new Map<string, number>();
  #stopped = false;

  constructor(
    parts: RetryParts,
    private readonly limits: RetryLimits = DEFAULT_LIMITS,
    private readonly clock: Clock = MACHINE_CLOCK,
  ) {
    this.#parts = parts;
  }

  /** Looks at `path` again after `delayMs`, or later if many wait; of two appointments the sooner stands. */
  later(
    path: RelativePath,
    queue: string,
    delayMs: number,
    { isBlocked = false, isStuck = false }: Hindrance = {},
  ): void {
    if (this.#stopped) return;
    const now = this.clock.now();
    const waiting = this.#tallyOf(queue).paths;
    const made = this.#appointments.get(path);
    const stuckSince = isStuck || isBlocked ? made?.stuckSince ?? now : undefined;
    const rareMs = stuckSince === undefined ? 0 : restMs(now - stuckSince, waiting);
    const afterMs = Math.max(delayMs, waiting * MS_PER_PATH, rareMs);
    const at = now + afterMs;
    if (made !== undefined && made.at <= at) return;
    this.settled(path);
    const tally = this.#tallyOf(queue);
    if (tally.isFull) return this.#rereadLater(queue);
    const cancel = this.clock.after(afterMs, () => this.#lookAt(path));
    this.#appointments.set(path, { at, queue, isBlocked, stuckSince, cancel });
    tally.add(path);
  }

  /** `path` has come to rest. */
  settled(path: RelativePath): void {
    const made = this.#appointments.get(path);
    if (made === undefined) return;
    made.cancel();
    this.#appointments.delete(path);
    const tally = this.#tallyOf(made.queue);
    tally.remove(path);
    if (tally.fullness <= 1 / 2) this.#fullSince.delete(made.queue);
  }

  #lookAt(path: RelativePath): void {
    const made = this.#appointments.get(path);
    if (made === undefined) return;
    // What is stuck keeps its place meanwhile: others would take it, and nobody know for how long it is.
    if (made.stuckSince === undefined) this.settled(path);
    else this.#appointments.set(path, { ...made, at: Infinity });
    if (!this.#parts.lookAt(path, made.queue)) this.settled(path);
  }

  #tallyOf(queue: string): PathTally {
    return this.#tallies.getOrInsertComputed(queue, () => new PathTally(this.limits));
  }

  #rereadLater(queue: string): void {
    if (this.#rereads.has(queue)) return;
    const now = this.clock.now();
    const since = this.#fullSince.get(queue) ?? now;
    this.#fullSince.set(queue, since);
    const afterMs = Math.max(this.limits.rereadMs, restMs(now - since, this.limits.paths));
    const cancel = this.clock.after(afterMs, () => {
      this.#rereads.delete(queue);
      this.#parts.reread(queue);
    });
    this.#rereads.set(queue, cancel);
  }

  /** Whether something is still to become of the path: it has an appointment and is not blocked. */
  isPending(path: RelativePath): boolean {
    return this.#appointments.get(path)?.isBlocked === false;
  }

  /** Whether there are paths of the queue that were not remembered, and are still to be found by reading. */
  hasForgotten(queue: string): boolean {
    return this.#rereads.has(queue);
  }

  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#rereads.values()) cancel();
    this.#rereads.clear();
    for (const { cancel } of this.#appointments.values()) cancel();
    this.#appointments.clear();
    this.#tallies.clear();
  }
}
