/**
 * Which changed paths have been quiet for long enough to be told. Pure: events and a clock in, paths out.
 *
 * A path is due when nothing has happened to it for the debounce time. One that never comes to rest is due
 * all the same, at the latest a maximum wait after its first event, or where it is being written, after its
 * first settled one. Beyond its limits the debouncer stops keeping paths apart and asks for everything to be
 * read again (I6).
 */

import type { RelativePath } from "../../ffi/byte_string.ts";

export interface Touch {
  readonly event: TouchEvent;
  readonly below: Below;
  /** What became of the name, or that something was done to what is called so. */
  readonly name?: "given" | "given up" | "used";
}

/**
 * `closed`: after it was open for writing; `settled`: another event that ends a change (moved, deleted). `writing`: a
 * program is at it, and is waited for. `other`: created, attributes.
 */
export type TouchEvent = "closed" | "settled" | "writing" | "other";

/** What may have changed below the path without being told: weakest first. See `RereadReason`. */
export type Below = "nothing" | "created" | "moved";
const STRENGTH: readonly Below[] = ["nothing", "created", "moved"];

export type Due =
  | {
    readonly kind: "path";
    readonly path: RelativePath;
    readonly below: Below;
    /** It was closed after it was open for writing. */
    readonly closed: boolean;
    /** It was used, and since then its name was neither given nor given up: it is there, or had another name before. */
    readonly used: boolean;
  }
  /** Too much was waiting to be kept apart. */
  | { readonly kind: "everything" };

export interface DebouncerLimits {
  readonly paths: number;
  /** Of all waiting paths together: a path may be as long as a guest likes. */
  readonly bytes: number;
}

const DEFAULT_LIMITS: DebouncerLimits = { paths: 50_000, bytes: 16 * 1024 * 1024 };

/** In debounces and in milliseconds; whichever is less. */
const MOST_DEBOUNCES = 10;
const MOST_MS = 10_000;

interface Waiting {
  readonly begunAt: number;
  dueAt: number;
  /** Infinity before its first settled event. */
  settledAt: number;
  isWritten: boolean;
  closed: boolean;
  below: Below;
  /** Its name was given to it meanwhile: to whatever was made so, all that happened then has happened. */
  isNew: boolean;
  isUsed: boolean;
}

export class Debouncer {
  /** In the order of their due times: whoever is put off goes to the end. */
  readonly #waiting = new Map<RelativePath, Waiting>();
  readonly #maximumWaitMs: number;
  #bytes = 0;
  /** Of those below which something has moved. */
  #moved = 0;
  #everything: Waiting | undefined;

  constructor(
    private readonly debounceMs: number,
    private readonly limits: DebouncerLimits = DEFAULT_LIMITS,
  ) {
    // Never shorter than the debounce, which the user asked for.
    this.#maximumWaitMs = Math.max(debounceMs, Math.min(MOST_DEBOUNCES * debounceMs, MOST_MS));
  }

  /** Paths that wait. */
  get size(): number {
    return this.#everything === undefined ? this.#waiting.size : 1;
  }

  /** The paths that wait; none while they are not kept apart. */
  get paths(): Iterable<RelativePath> {
    return this.#waiting.keys();
  }

  /** Whether a path waits below which something may have come that is told nowhere else. */
  get hasMoved(): boolean {
    return this.#everything !== undefined || this.#moved > 0;
  }

  /** Something happened at `path`. `nowMs` never runs backwards. */
  touch(path: RelativePath, nowMs: number, touch: Touch): void {
    if (this.#everything !== undefined) {
      this.#putOff(this.#everything, nowMs);
      return;
    }
    const known = this.#waiting.get(path);
    if (touch.below === "moved" && known?.below !== "moved") this.#moved++;
    if (known === undefined) {
      this.#waiting.set(path, this.#begin(nowMs, touch));
      this.#bytes += path.length;
      this.#checkLimits(nowMs);
      return;
    }
    note(known, nowMs, touch);
    if (!this.#putOff(known, nowMs)) return;
    this.#waiting.delete(path);
    this.#waiting.set(path, known);
  }

  #begin(nowMs: number, touch: Touch): Waiting {
    const waiting: Waiting = {
      begunAt: nowMs,
      dueAt: nowMs + this.debounceMs,
      settledAt: Infinity,
      isWritten: false,
      closed: false,
      below: "nothing",
      isNew: false,
      isUsed: false,
    };
    note(waiting, nowMs, touch);
    return waiting;
  }

  /** `false` if it keeps its due time, because another debounce would pass its maximum wait. */
  #putOff(waiting: Waiting, nowMs: number): boolean {
    const dueAt = nowMs + this.debounceMs;
    const waitsSince = waiting.isWritten ? waiting.settledAt : waiting.begunAt;
    if (dueAt > waitsSince + this.#maximumWaitMs) return false;
    waiting.dueAt = dueAt;
    return true;
  }

  #checkLimits(nowMs: number): void {
    if (this.#waiting.size <= this.limits.paths && this.#bytes <= this.limits.bytes) return;
    this.clear();
    this.#everything = this.#begin(nowMs, { event: "settled", below: "moved" });
  }

  /** When the next path is due; Infinity if none waits. */
  get nextDueAt(): number {
    if (this.#everything !== undefined) return this.#everything.dueAt;
    return this.#waiting.values().next().value?.dueAt ?? Infinity;
  }

  /** When `path` is due; Infinity if it does not wait, or paths are not kept apart. */
  dueAt(path: RelativePath): number {
    return this.#waiting.get(path)?.dueAt ?? Infinity;
  }

  /** What is due by now, at most `limit` of it, in the order of due times. It is forgotten here. */
  due(nowMs: number, limit = Infinity): Due[] {
    if (this.nextDueAt > nowMs) return [];
    if (this.#everything !== undefined) {
      this.#everything = undefined;
      return [{ kind: "everything" }];
    }
    const due: Due[] = [];
    for (const [path, { dueAt, below, closed, isNew, isUsed }] of this.#waiting) {
      if (dueAt > nowMs || due.length >= limit) break;
      due.push({ kind: "path", path, below, closed, used: isUsed && !isNew });
      this.#waiting.delete(path);
      this.#bytes -= path.length;
      if (below === "moved") this.#moved--;
    }
    return due;
  }

  /** Forgets what waits. */
  clear(): void {
    this.#waiting.clear();
    this.#bytes = this.#moved = 0;
    this.#everything = undefined;
  }
}

function note(waiting: Waiting, nowMs: number, { event, below, name }: Touch): void {
  const isSettled = event === "closed" || event === "settled";
  if (isSettled && waiting.settledAt === Infinity) waiting.settledAt = nowMs;
  if (event === "writing") waiting.isWritten = true;
  if (event === "closed") waiting.closed = true;
  if (name === "given") waiting.isNew = true;
  if (name !== undefined) waiting.isUsed = name === "used";
  waiting.below = stronger(waiting.below, below);
}

function stronger(one: Below, other: Below): Below {
  return STRENGTH.indexOf(one) >= STRENGTH.indexOf(other) ? one : other;
}
