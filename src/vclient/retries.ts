/**
 * Paths that are to be scanned again, because they changed meanwhile or could not be scanned: with growing pauses,
 * and at once when the scanner is back. Bounded (I6). Pure: a clock in, paths out.
 */

import type { RelativePath } from "../../ffi/byte_string.ts";

const LONGEST_MS = 15_000;
/** Many together are tried no more often than that, in the long run: each is in vain, as far as anybody knows. */
const MS_PER_PATH = 30;
const MOST = 10_000;
/** More for what has only changed: it does not last, and is not to wait for what does. */
const MOST_CHANGED = 1_000;
/** Of all paths together: one may be as long as its author likes. */
const MOST_BYTES = 16 * 1024 * 1024;

/** What is done about files that could not be scanned. */
export interface FailureLimits {
  /** So many of a tree are told, and tried again, one by one. */
  readonly paths: number;
  /** Others are looked for by reading the tree, after this time or later. */
  readonly repairMs: number;
}

export const FAILURE_LIMITS: FailureLimits = { paths: MOST, repairMs: 15_000 };

interface Entry {
  delayMs: number;
  /** Infinity while it is being scanned. */
  dueAt: number;
}

export class Retries {
  readonly #entries = new Map<RelativePath, Entry>();
  #bytes = 0;
  #nextDueAt = Infinity;

  constructor(private readonly most = MOST, private readonly mostBytes = MOST_BYTES) {}

  get size(): number {
    return this.#entries.size;
  }

  /** From 0 to 1, or a little more. */
  get fullness(): number {
    return Math.max(this.size / this.most, this.#bytes / this.mostBytes);
  }

  has(path: RelativePath): boolean {
    return this.#entries.has(path);
  }

  [Symbol.iterator](): Iterator<RelativePath> {
    return this.#entries.keys();
  }

  /** Whether a path that is not in it yet could be added; `hasChanged`: that could not be scanned for that alone. */
  hasRoom(path: RelativePath, hasChanged = false): boolean {
    const most = this.most + (hasChanged ? MOST_CHANGED : 0);
    return this.size < most && this.#bytes + path.length <= this.mostBytes;
  }

  /** Tries `path` again after `leastMs`, or after twice the last delay. `false` if there is no place for it. */
  later(path: RelativePath, leastMs: number, nowMs: number, hasChanged = false): boolean {
    const known = this.#entries.get(path);
    if (known === undefined) {
      if (!this.hasRoom(path, hasChanged)) return false;
      this.#bytes += path.length;
    }
    const longestMs = Math.max(LONGEST_MS, this.size * MS_PER_PATH);
    const delayMs = Math.max(leastMs, Math.min(longestMs, (known?.delayMs ?? 0) * 2));
    const dueAt = nowMs + delayMs;
    this.#entries.set(path, { delayMs, dueAt });
    this.#nextDueAt = Math.min(this.#nextDueAt, dueAt);
    return true;
  }

  /** It is settled: nothing is to be tried again. */
  forget(path: RelativePath): void {
    if (this.#entries.delete(path)) this.#bytes -= path.length;
  }

  /** The scanner is back: everything is due. */
  allNow(nowMs: number): void {
    for (const entry of this.#entries.values()) {
      entry.delayMs = 0;
      entry.dueAt = nowMs;
    }
    if (this.#entries.size > 0) this.#nextDueAt = nowMs;
  }

  /** No path is due earlier; Infinity if none will be. */
  get nextDueAt(): number {
    return this.#nextDueAt;
  }

  /** What is due; each is remembered, with its delay, until `later` or `forget`. */
  due(nowMs: number): RelativePath[] {
    const due: RelativePath[] = [];
    this.#nextDueAt = Infinity;
    for (const [path, entry] of this.#entries) {
      if (entry.dueAt > nowMs) {
        this.#nextDueAt = Math.min(this.#nextDueAt, entry.dueAt);
      } else {
        entry.dueAt = Infinity;
        due.push(path);
      }
    }
    return due;
  }
}
