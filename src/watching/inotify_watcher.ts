/** Watches one directory tree with inotify(7), and waits for its root wherever there is none. */

import { type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { lacksDescriptors, SystemError } from "../../ffi/errno.ts";
import { type FileStatus, statusOf } from "../../ffi/file_status.ts";
import { Inotify } from "../../ffi/inotify.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { RepeatLimit } from "../logging/repeat_limit.ts";
import { TreeWatch } from "./tree_watch.ts";
import type { Watcher, WatcherOptions, WatchSink } from "./watcher.ts";

/** How often the watcher looks by itself, in milliseconds. */
export interface Intervals {
  /** For a root that is missing. */
  readonly missingRootMs: number;
  /** Whether the root is still the directory at its path. */
  readonly presentRootMs: number;
  /** Into directories that cannot be watched, and whether they can by now. */
  readonly pollMs: number;
}

const INTERVALS: Intervals = { missingRootMs: 1_000, presentRootMs: 5_000, pollMs: 10_000 };

export interface InotifyWatcherOptions extends WatcherOptions {
  /**
   * The most directories that this watcher watches (default: no limit but the kernel's, which all share).
   * Others are polled, as where the kernel's limit is reached.
   */
  readonly mostWatches?: number;
  readonly intervals?: Intervals;
}

interface FoundRoot {
  readonly status: FileStatus;
  readonly directory: Directory;
}

/** The root that is held now. */
interface Root extends FoundRoot {
  /** `undefined` where inotify could not be had: everything is polled. */
  watch: TreeWatch | undefined;
  /** The sink knows of it. */
  told: boolean;
}

export class InotifyWatcher implements Watcher {
  #root: Root | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #nextPollAt = Infinity;
  readonly #intervals: Intervals;
  readonly #started = Promise.withResolvers<void>();
  #progress: ((directories: number) => void) | undefined;
  readonly #repeats = new RepeatLimit();
  #closed = false;

  constructor(
    private readonly reactor: Reactor,
    private readonly sink: WatchSink,
    private readonly options: InotifyWatcherOptions,
  ) {
    this.#intervals = options.intervals ?? INTERVALS;
  }

  start(progress?: (directories: number) => void): Promise<void> {
    this.#progress = progress;
    this.#check();
    return this.#started.promise;
  }

  get pending(): number {
    return this.#root?.watch?.pending ?? 0;
  }

  get waiting(): Iterable<RelativePath> {
    return this.#root?.watch?.waiting ?? [];
  }

  get watched(): number {
    return this.#root?.watch?.watched ?? 0;
  }

  get hasUnread(): boolean {
    return this.#root?.watch?.hasUnread ?? false;
  }

  catchUp(): boolean {
    return this.#root?.watch?.catchUp() ?? true; // where nothing is told, nothing more will be
  }

  uncovered(path: RelativePath): void {
    this.#root?.watch?.uncovered(path); // where nothing is watched, everything is read anyway
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#release();
    this.#started.resolve();
  }

  /** Looks whether the root is there and still the same, now and from time to time. */
  #check(): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    const found = this.#openRoot();
    if (found !== "unknown") this.#compare(found);
    if (this.#root === undefined) this.#started.resolve();
    if (this.#closed) return;
    const { missingRootMs, presentRootMs } = this.#intervals;
    const pauseMs = this.#root === undefined ? missingRootMs : presentRootMs;
    this.#timer = setTimeout(() => this.#check(), pauseMs);
  }

  #compare(found: FoundRoot | undefined): void {
    if (this.#root !== undefined && isSame(this.#root.status, found?.status)) {
      found?.directory.close();
      this.#pollUnwatched(this.#root);
    } else {
      this.#lose();
      if (found !== undefined) this.#hold(found);
    }
  }

  /** `unknown`: it cannot be told for want of descriptors, so it is taken to be as it was. */
  #openRoot(): FoundRoot | "unknown" | undefined {
    let directory: Directory | undefined;
    try {
      directory = this.options.openRoot();
      return directory === undefined ? undefined : { directory, status: statusOf(directory) };
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      directory?.close();
      this.#report("root", `cannot open the root, trying again: ${error.message}`);
      return lacksDescriptors(error) ? "unknown" : undefined;
    }
  }

  #hold({ directory, status }: FoundRoot): void {
    const root: Root = { directory, status, watch: undefined, told: false };
    this.#root = root;
    if (this.#watch(root)) return;
    this.#nextPollAt = performance.now() + this.#intervals.pollMs;
    this.#found(root);
  }

  #found(root: Root): void {
    this.#progress = undefined;
    try {
      const directory = root.directory.duplicate();
      root.told = true;
      this.sink.rootFound(directory);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#report("root", `cannot hold the root, trying again: ${error.message}`);
      this.#release();
    }
    this.#started.resolve();
  }

  /** `false` if inotify is not to be had. */
  #watch(root: Root): boolean {
    const { options, reactor, sink } = this;
    try {
      using owned = new DisposableStack();
      const inotify = owned.use(new Inotify());
      const directory = owned.use(root.directory.duplicate());
      root.watch = new TreeWatch(reactor, inotify, directory, sink, {
        debounceMs: options.debounceMs,
        mostWatches: options.mostWatches ?? Infinity,
        readsMovedAtOnce: options.readsMovedAtOnce ?? false,
        pollMs: this.#intervals.pollMs,
        excludes: options.excludes?.bind(options),
        onArmed: () => root.told ? sink.reread(ROOT, "unwatched") : this.#found(root),
        onProgress: (directories) => this.#progress?.(directories),
        onRootChanged: (unwatched) => {
          if (unwatched) this.#lose();
          this.#check();
        },
        onTrouble: (kind, message) => this.#report(kind, message),
      });
      owned.move(); // to the watch, which closes them
      root.watch.start();
      return true;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      root.watch?.close();
      root.watch = undefined;
      this.#report(
        "inotify",
        `no change is noticed at once, everything is read again every ${
          this.#intervals.pollMs / 1000
        } s (${error.message})`,
      );
      return false;
    }
  }

  #pollUnwatched(root: Root): void {
    if (root.watch !== undefined || performance.now() < this.#nextPollAt) return;
    this.#nextPollAt = performance.now() + this.#intervals.pollMs;
    // Once it is watched, everything is read when the watches are set.
    if (!this.#watch(root)) this.sink.reread(ROOT, "unwatched");
  }

  #lose(): void {
    const wasTold = this.#root?.told ?? false;
    this.#release();
    if (wasTold) this.sink.rootLost();
  }

  #release(): void {
    this.#root?.watch?.close();
    this.#root?.directory.close();
    this.#root = undefined;
  }

  #report(kind: string, message: string): void {
    if (this.#repeats.admits(kind)) this.options.onTrouble(message);
  }
}

/** The same directory on the same mount. */
function isSame(held: FileStatus, found: FileStatus | undefined): boolean {
  return held.inode === found?.inode && held.device === found.device &&
    held.mountId === found.mountId;
}
