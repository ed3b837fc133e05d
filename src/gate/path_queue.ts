/**
 * Paths of one channel that wait to be looked at: one queue a share, each path once, and never the same
 * path in two jobs at a time. Bounded: a full queue forgets single paths and asks for the share to be read
 * again when it has run empty (I6).
 */

import { isWithin, type RelativePath } from "../../ffi/byte_string.ts";
import { type PathLimits, PathTally } from "../collections/path_tally.ts";

/** Of all paths that wait for a share. */
const DEFAULT_LIMITS: PathLimits = { paths: 50_000, bytes: 16 * 1024 * 1024 };

interface Queue {
  readonly paths: Set<RelativePath>;
  /**
   * Over `paths`: all behind it are still there, and none before it is. One that began anew would step over what was
   * taken, each time.
   */
  order: Iterator<RelativePath>;
  readonly tally: PathTally;
}

export class PathQueue {
  readonly #waiting = new Map<string, Queue>();
  readonly #overflowed = new Set<string>();
  /** By the queue that they were taken for. */
  readonly #running = new Map<RelativePath, string>();
  /** Told again while they were running, and by whom. */
  readonly #again = new Map<RelativePath, Set<string>>();

  constructor(private readonly limits: PathLimits = DEFAULT_LIMITS) {}

  /** `false` if the share's queue is full: the path is not remembered. */
  add(share: string, path: RelativePath): boolean {
    if (this.#running.has(path)) {
      this.#repeat(path, share);
      return true;
    }
    const queue = this.#queueOf(share);
    if (queue.paths.has(path)) return true;
    if (queue.tally.isFull) {
      this.#overflowed.add(share);
      return false;
    }
    queue.paths.add(path);
    queue.tally.add(path);
    return true;
  }

  /** Takes the share's next path that no job is working on. From now on it is one of the queue `to`. */
  take(share: string, to = share): RelativePath | undefined {
    const queue = this.#waiting.get(share);
    if (queue === undefined) return undefined;
    for (let next = queue.order.next(); !next.done; next = queue.order.next()) {
      const path = next.value;
      queue.paths.delete(path);
      queue.tally.remove(path);
      if (this.#running.has(path)) {
        this.#repeat(path, to);
        continue;
      }
      this.#running.set(path, to);
      return path;
    }
    queue.order = queue.paths.values(); // one that has come to its end stays there
    return undefined;
  }

  /** The path's job has ended. */
  done(path: RelativePath): void {
    this.#running.delete(path);
    const shares = this.#again.get(path);
    if (shares === undefined) return;
    this.#again.delete(path);
    for (const share of shares) this.add(share, path);
  }

  #repeat(path: RelativePath, share: string): void {
    this.#again.getOrInsertComputed(path, () => new Set()).add(share);
  }

  isRunning(path: RelativePath): boolean {
    return this.#running.has(path);
  }

  /** Whether something at or below `directory` is worked on. */
  isRunningIn(directory: RelativePath): boolean {
    for (const path of this.#running.keys()) if (isWithin(path, directory)) return true;
    return false;
  }

  /** The queue that a path that is worked on was taken for. */
  runningFor(path: RelativePath): string | undefined {
    return this.#running.get(path);
  }

  /** Whether the path waits or is worked on. */
  isPending(path: RelativePath): boolean {
    if (this.#running.has(path)) return true;
    for (const { paths } of this.#waiting.values()) if (paths.has(path)) return true;
    return false;
  }

  /** Whether paths of the share were forgotten that are still to be found by reading. */
  hasForgotten(share: string): boolean {
    return this.#overflowed.has(share);
  }

  /** Looks at all that is being worked on once more. */
  repeatRunning(): void {
    for (const [path, share] of this.#running) {
      if (!this.#again.has(path)) this.#repeat(path, share);
    }
  }

  /** Whether the share's queue overflowed and has run empty: it is to be read again. Says so once. */
  takeOverflow(share: string): boolean {
    if (this.#queueOf(share).paths.size > 0) return false;
    return this.#overflowed.delete(share);
  }

  /** How much of what may wait for a share does: 1 and more is full. */
  fullness(share: string): number {
    return this.#queueOf(share).tally.fullness;
  }

  get size(): number {
    let size = this.#running.size;
    for (const { paths } of this.#waiting.values()) size += paths.size;
    return size;
  }

  #queueOf(share: string): Queue {
    let queue = this.#waiting.get(share);
    if (queue === undefined) {
      const paths = new Set<RelativePath>();
      queue = { paths, order: paths.values(), tally: new PathTally(this.limits) };
      this.#waiting.set(share, queue);
    }
    return queue;
  }
}
