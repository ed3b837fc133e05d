/**
 * Paths of one tree that wait to be scanned: each path once, and never in two scans at a time. Bounded: what a
 * full queue does not take has to be found again by reading the tree (I6). Pure.
 */

import type { RelativePath } from "../../ffi/byte_string.ts";

export interface QueueLimits {
  readonly paths: number;
  /** Of all waiting paths together: a path may be as long as its author likes. */
  readonly bytes: number;
}

const DEFAULT_LIMITS: QueueLimits = { paths: 50_000, bytes: 16 * 1024 * 1024 };

export class ScanQueue {
  readonly #waiting = new Set<RelativePath>();
  readonly #running = new Set<RelativePath>();
  /** Added again while they were running. */
  readonly #again = new Set<RelativePath>();
  #bytes = 0;

  constructor(private readonly limits: QueueLimits = DEFAULT_LIMITS) {}

  get waiting(): number {
    return this.#waiting.size;
  }

  get running(): number {
    return this.#running.size;
  }

  /** `false` if the queue is full: the path is not remembered. */
  add(path: RelativePath): boolean {
    if (this.#running.has(path)) {
      this.#again.add(path);
      return true;
    }
    if (this.#waiting.has(path)) return true;
    const { paths, bytes } = this.limits;
    if (this.#waiting.size >= paths || this.#bytes + path.length > bytes) return false;
    this.#waiting.add(path);
    this.#bytes += path.length;
    return true;
  }

  /** The path that has waited longest; it is running until `done`. */
  take(): RelativePath | undefined {
    const [path] = this.#waiting;
    if (path === undefined) return undefined;
    this.#waiting.delete(path);
    this.#bytes -= path.length;
    this.#running.add(path);
    return path;
  }

  /** A path's scan has ended. `false` if it was added again meanwhile and the queue has no place for it now. */
  done(path: RelativePath): boolean {
    this.#running.delete(path);
    return this.#again.delete(path) ? this.add(path) : true;
  }
}
