/**
 * Paths of one channel that wait to be looked at: one queue a share, each path once, and never the same
 * path in two jobs at a time. Bounded: a full queue forgets single paths and asks for the share to be read
 * again when it has run empty (I6).
 */

import type { RelativePath } from "../../ffi/byte_string.ts";

const MOST_WAITING = 50_000;

export class PathQueue {
  readonly #waiting = new Map<string, Set<RelativePath>>();
  readonly #overflowed = new Set<string>();
  readonly #running = new Set<RelativePath>();
  /** Told again while they were running, and by whom. */
  readonly #again = new Map<RelativePath, string>();
  readonly #most: number;

  constructor(most = MOST_WAITING) {
    this.#most = most;
  }

  /** `false` if the share's queue is full: the path is not remembered. */
  add(share: string, path: RelativePath): boolean {
    if (this.#running.has(path)) {
      this.#again.set(path, share);
      return true;
    }
    const queue = this.#queueOf(share);
    if (queue.size >= this.#most && !queue.has(path)) {
      this.#overflowed.add(share);
      return false;
    }
    queue.add(path);
    return true;
  }

  /** Takes the share's next path that no job is working on. */
  take(share: string): RelativePath | undefined {
    const queue = this.#waiting.get(share);
    if (queue === undefined) return undefined;
    for (const path of queue) {
      queue.delete(path);
      if (this.#running.has(path)) {
        this.#again.set(path, share);
        continue;
      }
      this.#running.add(path);
      return path;
    }
    return undefined;
  }

  /** The path's job has ended. */
  done(path: RelativePath): void {
    this.#running.delete(path);
    const share = this.#again.get(path);
    if (share === undefined) return;
    this.#again.delete(path);
    this.add(share, path);
  }

  isRunning(path: RelativePath): boolean {
    return this.#running.has(path);
  }

  /** Whether the path waits or is worked on, or may be one of those that were forgotten. */
  isPending(path: RelativePath): boolean {
    if (this.#overflowed.size > 0 || this.#running.has(path)) return true;
    for (const queue of this.#waiting.values()) if (queue.has(path)) return true;
    return false;
  }

  /** Looks at all that is being worked on once more, on behalf of `share`. */
  repeatRunning(share: string): void {
    for (const path of this.#running) {
      if (!this.#again.has(path)) this.#again.set(path, share);
    }
  }

  /** Whether the share's queue overflowed and has run empty: it is to be read again. Says so once. */
  takeOverflow(share: string): boolean {
    if (this.#queueOf(share).size > 0) return false;
    return this.#overflowed.delete(share);
  }

  waiting(share: string): number {
    return this.#waiting.get(share)?.size ?? 0;
  }

  get size(): number {
    let size = this.#running.size;
    for (const queue of this.#waiting.values()) size += queue.size;
    return size;
  }

  #queueOf(share: string): Set<RelativePath> {
    let queue = this.#waiting.get(share);
    if (queue === undefined) this.#waiting.set(share, queue = new Set());
    return queue;
  }
}
