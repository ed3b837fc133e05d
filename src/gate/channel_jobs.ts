/** The paths of one channel that are to be looked at: when, in whose queue, and one after the other as jobs. */

import { pause } from "../../ffi/clock.ts";
import type { RelativePath } from "../../ffi/byte_string.ts";
import type { JobSource, Scheduler } from "../scheduling/scheduler.ts";
import { type Rest, SOON } from "./job.ts";
import { PathQueue } from "./path_queue.ts";
import { RetrySchedule } from "./retry_schedule.ts";
import type { Share } from "./share.ts";

/** The queue of what no single guest's doing has brought up, such as the start. */
export const COMMON = "";
/** Beside each queue, that of what waits until the trees were read at the start. No share's name has a slash. */
const unread = (queue: string) => `${queue}/unread`;
/** How full a queue may be before the reading of a tree that fills it pauses. */
const ROOM = 0.4;

export interface ChannelJobsParts {
  readonly shares: readonly Share[];
  readonly scheduler: Scheduler;
  /** For how long a file has to stay as it is before it counts as written, in ms. */
  readonly debounceMs: number;
  /** Whether all trees were read since the start. */
  areTreesRead(): boolean;
  /** Whether a directory with `path` in it is just getting another name. */
  isMoving(path: RelativePath): boolean;
  /** The work itself. Rejects only for what nobody foresaw. */
  run(path: RelativePath): Promise<Rest>;
  /** After how many ms the path is looked at again. */
  afterFailure(path: RelativePath, error: unknown): number;
  /** A job has ended. */
  onDone(): void;
  /** There were too many paths of a queue to remember them all: its trees are to be read. */
  reread(queue: string): void;
}

export class ChannelJobs {
  readonly #parts: ChannelJobsParts;
  readonly #queue = new PathQueue();
  readonly #retries: RetrySchedule;
  readonly #sources: readonly JobSource[];
  #started = false;
  #stopped = false;

  constructor(parts: ChannelJobsParts) {
    this.#parts = parts;
    this.#retries = new RetrySchedule({
      lookAt: (path, queue) => this.add(queue, path),
      reread: parts.reread,
    });
    this.#sources = [...parts.shares.map(({ replica }) => replica.name), COMMON].map(
      (queue) => () => this.#next(queue),
    );
  }

  /** From now on there are jobs. */
  start(): void {
    for (const source of this.#sources) this.#parts.scheduler.add(source);
    this.#started = true;
  }

  /** No job begins any more. */
  stop(): void {
    this.#stopped = true;
    this.#retries.stop();
    for (const source of this.#sources) this.#parts.scheduler.remove(source);
  }

  /** Paths that wait or are worked on. */
  get size(): number {
    return this.#queue.size;
  }

  /** `false` if there is no room: all of the queue's is going to be read then. */
  add(queue: string, path: RelativePath): boolean {
    if (this.#stopped) return false;
    const hasRoom = this.#queue.add(queue, path);
    if (this.#started) this.#parts.scheduler.wake();
    return hasRoom;
  }

  /** When the file that these have has stayed as it is for as long as counts as written; the watcher tells of others. */
  addWhenQuiet(queue: string, path: RelativePath, shares: readonly Share[]): void {
    const { debounceMs } = this.#parts;
    const restless = shares.map((share) => {
      const ageMs = share.ageMs(path) ?? Infinity;
      return ageMs >= 0 && ageMs < debounceMs ? debounceMs - ageMs : 0;
    });
    const restlessMs = Math.max(0, ...restless);
    if (restlessMs > 0) this.#retries.later(path, queue, restlessMs);
    else this.add(queue, path);
  }

  /** The queue that a path that is worked on was taken from. */
  queueOf(path: RelativePath): string {
    return this.#queue.runningFor(path) ?? COMMON;
  }

  isRunning(path: RelativePath): boolean {
    return this.#queue.isRunning(path);
  }

  /** Whether something at or below `directory` is worked on. */
  isRunningIn(directory: RelativePath): boolean {
    return this.#queue.isRunningIn(directory);
  }

  /** Whether the path is to be looked at sooner or later, as far as is known. */
  isPending(path: RelativePath): boolean {
    return this.#queue.isPending(path) || this.#retries.isPending(path);
  }

  /** Whether there are paths of the queue that are still to be found by reading. */
  hasForgotten(queue: string): boolean {
    return this.#retries.hasForgotten(queue) ||
      [queue, unread(queue)].some((part) => this.#queue.hasForgotten(part));
  }

  /** Looks at all that is being worked on once more. */
  repeatRunning(): void {
    this.#queue.repeatRunning();
  }

  /** Settles when there is room in the queue for what a reading finds; nothing if there is. */
  room(queue: string): Promise<void> | undefined {
    return this.#isFull(queue) ? this.#untilRoom(queue) : undefined;
  }

  #isFull(queue: string): boolean {
    return this.#queue.fullness(queue) > ROOM;
  }

  async #untilRoom(queue: string): Promise<void> {
    while (this.#isFull(queue) && !this.#stopped) await pause(50);
  }

  #next(queue: string): (() => Promise<void>) | undefined {
    // What had to wait comes first, and fails, if it does, as one of the queue that it came from (I7).
    const parts = this.#parts.areTreesRead() ? [unread(queue), queue] : [queue];
    for (const part of parts) {
      const path = this.#queue.take(part, queue);
      if (path !== undefined) return () => this.#work(path, queue);
      if (this.#queue.takeOverflow(part)) this.#parts.reread(queue);
    }
    return undefined;
  }

  /** Another look that it needs waits in the same queue: a guest's failures are in nobody else's way. */
  async #work(path: RelativePath, queue: string): Promise<void> {
    let rest: Rest | undefined;
    try {
      rest = this.#parts.isMoving(path) ? SOON : await this.#parts.run(path);
      if (rest.kind === "later") this.#retries.later(path, queue, rest.delayMs, rest);
      else this.#retries.settled(path);
    } catch (error) {
      this.#retries.later(path, queue, this.#parts.afterFailure(path, error));
    } finally {
      this.#queue.done(path);
      if (rest?.kind === "unread") this.add(unread(queue), path);
      this.#parts.onDone();
    }
  }
}
