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

/** What a program did. */
export interface Doing {
  /** It had the file open for writing, and has closed it. */
  readonly closed: boolean;
  /** It goes on with what it has opened by that name, whatever has the name now. */
  readonly used: boolean;
}

export interface Queued extends Doing {
  readonly path: RelativePath;
}

const NOTHING: Doing = { closed: false, used: false };

export class ScanQueue {
  readonly #waiting = new Map<RelativePath, Doing>();
  readonly #running = new Set<RelativePath>();
  /** Added again while they were running. */
  readonly #again = new Map<RelativePath, Doing>();
  #bytes = 0;

  constructor(private readonly limits: QueueLimits = DEFAULT_LIMITS) {}

  get waiting(): number {
    return this.#waiting.size;
  }

  get running(): number {
    return this.#running.size;
  }

  /** The paths that wait, and those that run. */
  *[Symbol.iterator](): Iterator<RelativePath> {
    yield* this.#waiting.keys();
    yield* this.#running;
  }

  /** Whether it waits, or runs. */
  has(path: RelativePath): boolean {
    return this.#waiting.has(path) || this.#running.has(path);
  }

  /** Whether a path that is not in it yet could be added. */
  hasRoom(path: RelativePath): boolean {
    const { paths, bytes } = this.limits;
    // One of any length has room: it would never be scanned.
    const isTooLong = this.waiting > 0 && this.#bytes + path.length > bytes;
    return this.waiting < paths && !isTooLong;
  }

  /** `false` if the queue is full: the path is not remembered. */
  add(path: RelativePath, { closed, used } = NOTHING): boolean {
    const place = this.#running.has(path) ? this.#again : this.#waiting;
    const known = place.get(path);
    if (known === undefined && place === this.#waiting) {
      if (!this.hasRoom(path)) return false;
      this.#bytes += path.length;
    }
    place.set(path, {
      closed: closed || known?.closed === true,
      used: used || known?.used === true,
    });
    return true;
  }

  /** The path that has waited longest; it is running until `done`. */
  take(): Queued | undefined {
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    const [path, doing] = first;
    this.#waiting.delete(path);
    this.#bytes -= path.length;
    this.#running.add(path);
    return { path, ...doing };
  }

  /** A path's scan has ended. `false` if it was added again meanwhile and the queue has no place for it now. */
  done(path: RelativePath): boolean {
    this.#running.delete(path);
    const doing = this.#again.get(path);
    this.#again.delete(path);
    return doing === undefined || this.add(path, doing);
  }
}
