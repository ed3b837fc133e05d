/**
 * What a watcher of one directory tree offers and tells. inotify is one implementation; another facility
 * (fanotify, polling) fits behind the same interface.
 */

import type { RelativePath } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";

/** When something left its name, and arrived at another one: marks, as `WatchSink` gives them. */
export interface MoveTime {
  readonly left: number;
  /** Just now, if it is not there. */
  readonly arrived?: number | undefined;
}

/** Where a watcher reports. Calls come one at a time; none may throw. */
export interface WatchSink {
  /**
   * `changed` will be told of `path` within a millisecond or so, if it stays quiet: what can be prepared for that, may be.
   * Told while no other path waits in the tree, but for those that are expected.
   */
  soon?(path: RelativePath): void;

  /** Whether something happens at `path` of which the sink knows. It is told all the same. */
  expects?(path: RelativePath): boolean;

  /**
   * Something happened at `path` (written, created, removed, moved, attributes changed), and since then it
   * has been quiet for the debounce time, or the maximum wait is over. What it is now, the disk tells.
   * `closed`: by a program that had it open for writing. What that wrote by mmap(2) need not have changed its times.
   * `used`: something was done to what has the name, or had it before: a program goes on with what it has opened or
   * looked up by a name, though that was given up and the file has another one.
   */
  changed(path: RelativePath, closed: boolean, used: boolean): void;

  /**
   * Anything at or below `directory` may have changed without an event of its own: a tree moved in or
   * out or within, lost events, a directory that cannot be watched. Watches below it are set already.
   */
  reread(directory: RelativePath, reason: RereadReason): void;

  /**
   * `from` became `to` inside the tree. Told at once; `changed` or `reread` follow for both. `when`: if that was not just now,
   * and then the names are those of the time.
   */
  moved(from: RelativePath, to: RelativePath, when?: MoveTime): void;

  /**
   * What had the name `path` was given another one that nobody has told: in a directory that was made a moment before, in
   * one that is excluded, or outside. `movedOut` or `paired` follows with the same mark, or all is to be
   * read again.
   */
  departed?(path: RelativePath, mark: number): void;

  /** What departed at that moment was found in none of the directories that were made before: all of them are watched. */
  movedOut?(mark: number): void;

  /** What departed at that moment has arrived after all, as `moved` tells next. */
  paired?(mark: number): void;

  /** A number for this moment among all renames, greater than those before; other moments may be marked in between. */
  mark?(): number;

  /**
   * `path` was there when its directory, a new one, was watched; or came there from a place of which nothing is told. `changed`
   * follows.
   */
  found?(path: RelativePath): void;

  /**
   * Something is mounted at `path`, or above it: what is below is not watched. When that is gone, nobody tells; the watcher
   * wants to hear of it (`uncovered`). Told also before `rootFound`.
   */
  covered?(path: RelativePath): void;

  /** The root directory vanished, was moved away or unmounted. The watcher waits for it to come back. */
  rootLost(): void;

  /** A root directory is there (again): `root` is watched, and everything in it is to be read. */
  rootFound(root: Directory): void;
}

/**
 * `created`: a new directory is watched now. Each entry that was found in it is told by `changed` as well, after its
 * own quiet time. But whoever looked into the directory before may know entries that went before the watch
 * was set: only those have to be looked for.
 * `moved`: a tree moved in, out or within, or a directory went that was not watched. `overflow`: events were lost.
 * `limit`: more happened at once than can be told singly. `unwatched`: it cannot be watched, and is polled.
 */
export type RereadReason = "created" | "moved" | "overflow" | "limit" | "unwatched";

export interface WatcherOptions {
  readonly debounceMs: number;
  /** Opens the tree's root by a path of the host's own; `undefined` while there is none. */
  openRoot(): Directory | undefined;
  /** Directories that are not entered (and nothing in them told). Files are told whatever their names. */
  excludes?(directory: RelativePath): boolean;
  /** Whether `reread` is told of a tree that moved as soon as it is watched: whoever reads it takes what is there for at rest. */
  readonly readsMovedAtOnce?: boolean;
  /** Told once for each kind of trouble, in words for the log. */
  onTrouble(message: string): void;
}

export interface Watcher {
  /**
   * Sets the watches for the whole tree; settles when that is done, or when there is no root to watch yet. `rootFound`
   * is called before it settles if there is one. `progress` hears how many directories are watched so far.
   */
  start(progress?: (directories: number) => void): Promise<void>;

  /** Paths that wait for their quiet time, and one more while watches are being set: 0 if all is quiet. */
  readonly pending: number;
  /** Those of them that are kept apart: others may be among what is still to be read. */
  readonly waiting: Iterable<RelativePath>;
  /** Directories that are watched. */
  readonly watched: number;

  /** Whether `reread` is going to be told of something that has moved: in it may be what is told nowhere else. */
  readonly hasUnread: boolean;

  /**
   * Reads what is known so far. `true` if that is all that has happened up to now: whatever was renamed was told as `moved`
   * or `departed`. `false`: not yet, to be asked again in a moment.
   */
  catchUp(): boolean;

  /** What was mounted at `path` is gone: what is there is watched, and told as if it had been moved in. */
  uncovered(path: RelativePath): void;

  /** Stops telling anything; waiting paths are forgotten. */
  close(): void;
}
