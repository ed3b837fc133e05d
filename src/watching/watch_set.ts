/**
 * The watches of one tree: set on directories that are held by descriptor, and removed when these leave the tree.
 *
 * What is learned is of the form "the directory with this watch has an entry of this name with that watch",
 * which is true whatever the path has become. A path that leads to another directory than the one meant
 * is out of date: the event that says so is on its way, and the directory's new place is armed because of it.
 */

import { type FileName, type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import type { DirectoryEntry } from "../../ffi/dirent.ts";
import { isErrno, SystemError } from "../../ffi/errno.ts";
import { IN, type WatchFailure } from "../../ffi/inotify.ts";
import { type Placement, UNWATCHED, type WatchNode, WatchTree } from "./watch_tree.ts";

/**
 * CREATE is how links and truncated files show, ATTRIB how modes and owners do, MODIFY keeps a file that is being
 * written from counting as quiet. Not EXCL_UNLINK: what was opened by a name that is gone may have another one.
 */
export const MASK = IN.CLOSE_WRITE | IN.MOVED_FROM | IN.MOVED_TO | IN.CREATE | IN.DELETE |
  IN.ATTRIB | IN.MODIFY | IN.ONLYDIR;
/** Of other directories the parent's watch tells. */
const ROOT_MASK = MASK | IN.DELETE_SELF | IN.MOVE_SELF;

/** What is needed of a directory that is held: `Directory`, or a model of one. */
export interface WatchableDirectory extends Disposable {
  readonly fd: number;
  readonly isOpen: boolean;
  /** See `Directory`. */
  openBeneath(path: RelativePath, onMount?: () => void): WatchableDirectory | undefined;
  entries(): Iterable<DirectoryEntry>;
  subdirectories(): Iterable<readonly FileName[]>;
  duplicate(): WatchableDirectory;
  close(): void;
}

/** What is needed of `Inotify`. */
export interface Watches {
  addWatch(directory: { readonly fd: number }, mask: number): number | WatchFailure;
  removeWatch(watch: number): void;
}

/** At a directory's name while what is known contradicts what is there. */
const MOST_LOOKS = 8;

export interface WatchSetOptions {
  /**
   * Handles events that have happened so far. `false` if there were none. An event is told by the watch: were a place taken
   * for another directory's before it is handled, nobody would know what it tells of.
   */
  catchUp?(): boolean;
  /** A directory that was known in another place is at `path`; that it left that one is told by now. */
  met?(path: RelativePath): void;
  /** Something is mounted at `path`, or above it: the directory is not entered. */
  covered?(path: RelativePath): void;
  readonly mostWatches: number;
  /** The directory is not watched, or not all of it was read: it is in `polled` from now on. */
  unwatched(path: RelativePath): void;
}

interface WatchedEntry extends Placement {
  readonly directory: WatchableDirectory;
}

export class WatchSet {
  readonly tree: WatchTree;
  /** Directories that can only be polled for now. */
  readonly polled = new Set<WatchNode>();
  /** The last error that made a directory unwatched; `undefined` for the limit of watches. */
  lastFailure: SystemError | undefined;
  /** Whether it is worth trying to set more watches. */
  limitReached = false;
  /** Watches of directories that left the tree, still to be removed. */
  readonly #obsolete = new Set<number>();

  constructor(
    private readonly root: WatchableDirectory,
    private readonly inotify: Watches,
    private readonly options: WatchSetOptions,
  ) {
    this.tree = new WatchTree((node) => {
      this.polled.delete(node);
      if (node.watch > UNWATCHED) this.#obsolete.add(node.watch);
    });
  }

  /** Watches that are still to be removed. */
  get obsolete(): number {
    return this.#obsolete.size;
  }

  /** Removes watches of directories that left the tree, at most `most` of them. */
  removeObsolete(most: number): void {
    let left = most;
    for (const watch of this.#obsolete) {
      if (left-- === 0) return;
      this.#obsolete.delete(watch);
      this.inotify.removeWatch(watch);
    }
  }

  /** The kernel has removed a watch by itself. */
  watchGone(watch: number): void {
    this.#obsolete.delete(watch);
  }

  watchRoot(): boolean {
    try {
      const watch = this.#watch(this.root, ROOT_MASK);
      if (typeof watch === "number") {
        this.tree.setRootWatch(watch);
        this.polled.delete(this.tree.root);
        return true;
      }
      this.#reachedLimit(this.tree.root);
    } catch (error) {
      this.fail(error, this.tree.root);
    }
    return false;
  }

  /** The directory of a node, by its path; `undefined` if that leads elsewhere by now. */
  reopen(node: WatchNode): WatchableDirectory | undefined {
    const path = this.tree.pathOf(node);
    if (path === undefined) return undefined;
    let directory: WatchableDirectory | undefined;
    try {
      directory = this.root.openBeneath(path, () => this.options.covered?.(path));
      if (directory === undefined) return undefined;
      const watch = this.#watch(directory, path === ROOT ? ROOT_MASK : MASK);
      if (watch === node.watch) return directory;
      // It was set just now, on a directory that nobody asked for.
      if (typeof watch === "number" && !this.tree.byWatch(watch)) this.#obsolete.add(watch);
      // Whether it is the directory that is meant, nobody can tell.
      if (watch === "limit") this.#reachedLimit(node);
    } catch (error) {
      this.fail(error, node);
    }
    directory?.close();
    return undefined;
  }

  /** Opens and watches one entry and notes its place; `undefined` if it cannot be watched. */
  watchEntry(
    parent: WatchableDirectory,
    parentNode: WatchNode,
    name: FileName,
  ): WatchedEntry | undefined {
    for (let left = MOST_LOOKS; !this.tree.isForgotten(parentNode); left--) {
      const isLast = left <= 1 || !this.options.catchUp;
      const entry = this.#watchEntry(parent, parentNode, name, isLast);
      if (entry === "contradicts") continue;
      const path = left < MOST_LOOKS && entry ? this.tree.pathOf(entry.node) : undefined;
      if (path !== undefined) this.options.met?.(path);
      return entry;
    }
    return undefined; // its descriptor may lead anywhere by now
  }

  #watchEntry(
    parent: WatchableDirectory,
    parentNode: WatchNode,
    name: FileName,
    isLast: boolean,
  ): WatchedEntry | "contradicts" | undefined {
    const known = this.tree.child(parentNode, name);
    let directory: WatchableDirectory | undefined;
    try {
      directory = parent.openBeneath(name, () => this.#covered(parentNode, name));
      const watch = directory === undefined ? "gone" : this.#watch(directory, MASK);
      if (!isLast && this.#contradicts(parentNode, name, watch) && this.options.catchUp?.()) {
        directory?.close();
        if (typeof watch === "number" && !this.tree.byWatch(watch)) this.#obsolete.add(watch);
        return "contradicts";
      }
      if (directory !== undefined && typeof watch === "number") {
        const placed = this.tree.place(parentNode, name, watch);
        if (placed !== undefined) {
          this.polled.delete(placed.node);
          return { directory, ...placed };
        }
        // It is known as a directory above this one, which therefore has moved. What tells that arms it again.
        this.tree.remove(parentNode);
      } else if (watch === "limit") {
        const placed = this.tree.place(parentNode, name, UNWATCHED);
        if (placed !== undefined) this.#reachedLimit(placed.node);
      } else if (known !== undefined) {
        this.tree.remove(known);
      }
    } catch (error) {
      const node = known ?? this.tree.place(parentNode, name, UNWATCHED)?.node;
      if (node !== undefined) this.fail(error, node);
    }
    directory?.close();
    return undefined;
  }

  #covered(parent: WatchNode, name: FileName): void {
    const path = this.tree.pathIn(parent, name);
    if (path !== undefined) this.options.covered?.(path);
  }

  /** Whether a directory would lose its place to what is found. */
  #contradicts(parent: WatchNode, name: FileName, found: number | WatchFailure): boolean {
    const here = this.tree.child(parent, name);
    const known = typeof found === "number" ? this.tree.byWatch(found) : undefined;
    return here !== known &&
      (known !== undefined || (here !== undefined && here.watch > UNWATCHED));
  }

  #watch(directory: WatchableDirectory, mask: number): number | WatchFailure {
    const watch = this.inotify.addWatch(directory, mask);
    if (typeof watch !== "number") return watch;
    this.#obsolete.delete(watch);
    if (this.tree.watched < this.options.mostWatches || this.tree.byWatch(watch)) return watch;
    this.inotify.removeWatch(watch);
    return "limit";
  }

  /** A directory could not be opened, watched or read. */
  fail(error: unknown, node: WatchNode): void {
    if (!(error instanceof SystemError)) throw error;
    if (isErrno(error, "ENOENT")) return; // removed meanwhile
    this.lastFailure = error;
    this.#poll(node);
  }

  #reachedLimit(node: WatchNode): void {
    this.limitReached = true;
    this.lastFailure = undefined;
    this.#poll(node);
  }

  #poll(node: WatchNode): void {
    const wasPolled = this.polled.delete(node);
    this.polled.add(node); // to the end: all of them get their turn
    const path = this.tree.pathOf(node);
    if (!wasPolled && path !== undefined) this.options.unwatched(path);
  }
}
