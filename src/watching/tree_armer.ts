/**
 * Sets the watches of one tree, a little at a time, while the tree changes.
 *
 * Directories are opened beneath the root's descriptor and watched by descriptor, always BEFORE they are read, so
 * that nothing written meanwhile is missed. What is learned is of the form "the directory with this watch has
 * an entry of this name with that watch", which is true whatever the path has become. A path that leads to
 * another directory than the one meant is out of date: the event that says so is on its way, and the
 * directory's new place is armed because of it.
 */

import { type FileName, join, type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { isErrno, SystemError } from "../../ffi/errno.ts";
import { IN, type Inotify } from "../../ffi/inotify.ts";
import { type Placement, UNWATCHED, type WatchNode, WatchTree } from "./watch_tree.ts";

/**
 * CREATE is how links and truncated files show, ATTRIB how modes and owners do, MODIFY keeps a file that is being
 * written from counting as quiet. Files that are unlinked but still open would speak under a name that may
 * be another file's by now (EXCL_UNLINK).
 */
const MASK = IN.CLOSE_WRITE | IN.MOVED_FROM | IN.MOVED_TO | IN.CREATE | IN.DELETE | IN.ATTRIB |
  IN.MODIFY | IN.ONLYDIR | IN.EXCL_UNLINK;
/** Of other directories the parent's watch tells. */
const ROOT_MASK = MASK | IN.DELETE_SELF | IN.MOVE_SELF;

/** Beyond it everything is armed again, which takes one job. */
const MOST_JOBS = 20_000;
/** Each removed watch puts an event into the queue, which holds 16,384 by default. */
const REMOVALS_A_STEP = 2_000;
const ENTRIES_A_STEP = 64;

/**
 * Why a directory is to be armed, weakest first. What is found in a `created` one is told one by one; the others
 * are to be read again as a whole when they are armed.
 */
export type Purpose = "created" | "retry" | "moved";
const STRENGTH: readonly Purpose[] = ["created", "retry", "moved"];

export interface ArmerOptions {
  excludes?: ((directory: RelativePath) => boolean) | undefined;
  readonly mostWatches: number;
  /** An entry of a created directory, which may have been there before the watch was. */
  found(path: RelativePath): void;
  /** Everything below `path` is watched that can be. */
  armed(path: RelativePath, purpose: Purpose): void;
  rootArmed(): void;
  /** The directory is not watched, or not all of it was read: it is in `polled` now. */
  unwatched(path: RelativePath): void;
  /** More is to be done than can be kept in mind: everything is to be armed again. */
  tooMuch(): void;
}

interface Job {
  readonly parent: WatchNode;
  readonly name: FileName;
  readonly purpose: Purpose;
}

interface WatchedEntry extends Placement {
  readonly directory: Directory;
}

/** A watched directory with subdirectories that are not watched yet. */
interface Frame {
  readonly node: WatchNode;
  readonly subdirectories: readonly FileName[];
}

export class TreeArmer {
  readonly tree: WatchTree;
  /** Directories that can only be polled for now. */
  readonly polled = new Set<WatchNode>();
  /** The last error that made a directory unwatched; `undefined` for the limit of watches. */
  lastFailure: SystemError | undefined;
  #limitReached = false;
  readonly #jobs = new Map<string, Job>();
  #walk: Generator<void, void> | undefined;
  /** Watches of directories that left the tree, still to be removed. */
  readonly #obsolete = new Set<number>();

  constructor(
    private readonly root: Directory,
    private readonly inotify: Inotify,
    private readonly options: ArmerOptions,
  ) {
    this.tree = new WatchTree((node) => {
      this.polled.delete(node);
      if (node.watch > UNWATCHED) this.#obsolete.add(node.watch);
    });
  }

  get busy(): boolean {
    return this.#walk !== undefined || this.#jobs.size > 0 || this.#obsolete.size > 0;
  }

  /** Arms the directory `name` of `parent` and what is below it; `armed` tells when. */
  request(parent: WatchNode, name: FileName, purpose: Purpose): void {
    const key = `${parent.watch}/${name}`;
    const queued = this.#jobs.get(key)?.purpose;
    if (queued !== undefined && STRENGTH.indexOf(queued) >= STRENGTH.indexOf(purpose)) return;
    if (queued === undefined && this.#jobs.size >= MOST_JOBS) return this.options.tooMuch();
    this.#jobs.set(key, { parent, name, purpose });
  }

  /** Arms everything, and forgets what is not found any more. Replaces all other work. */
  rearm(): void {
    this.close();
    this.#walk = this.#armRoot();
  }

  /** Tries some of the polled directories again. */
  retry(most: number): void {
    this.#limitReached = false;
    for (const node of [...this.polled].slice(0, most)) {
      if (node.parent !== undefined) this.request(node.parent, node.name, "retry");
    }
  }

  /** The kernel has removed a watch by itself. */
  watchGone(watch: number): void {
    this.#obsolete.delete(watch);
  }

  /** Works until `deadlineMs` (performance.now()) or until nothing is left to do. */
  step(deadlineMs: number): void {
    this.#removeObsolete();
    do {
      this.#walk ??= this.#nextWalk();
      if (this.#walk === undefined) return;
      if (this.#walk.next().done) this.#walk = undefined;
    } while (performance.now() < deadlineMs);
  }

  /** Drops all work. */
  close(): void {
    this.#jobs.clear();
    this.#walk?.return();
    this.#walk = undefined;
  }

  #nextWalk(): Generator<void, void> | undefined {
    for (const [key, job] of this.#jobs) {
      this.#jobs.delete(key);
      return this.#arm(job);
    }
    return undefined;
  }

  #removeObsolete(): void {
    let left = REMOVALS_A_STEP;
    for (const watch of this.#obsolete) {
      if (left-- === 0) return;
      this.#obsolete.delete(watch);
      this.inotify.removeWatch(watch);
    }
  }

  *#armRoot(): Generator<void, void> {
    const { tree } = this;
    tree.beginSweep();
    if (this.#watchRoot()) yield* this.#descend(tree.root, this.root, false);
    tree.endSweep();
    this.options.rootArmed();
  }

  #watchRoot(): boolean {
    this.polled.delete(this.tree.root);
    try {
      const watch = this.#watch(this.root, ROOT_MASK);
      if (typeof watch === "number") {
        this.tree.setRootWatch(watch);
        return true;
      }
      this.#reachedLimit(this.tree.root);
    } catch (error) {
      this.#fail(error, this.tree.root);
    }
    return false;
  }

  *#arm({ parent, name, purpose }: Job): Generator<void, void> {
    const isIdle = purpose === "retry" && this.#limitReached;
    if (!isIdle) {
      using directory = this.#reopen(parent);
      if (directory === undefined) return;
      yield* this.#enter(directory, parent, name, purpose);
    }
    const path = this.tree.pathIn(parent, name);
    if (path !== undefined) this.options.armed(path, purpose);
  }

  *#enter(
    parent: Directory,
    parentNode: WatchNode,
    name: FileName,
    purpose: Purpose,
  ): Generator<void, void> {
    const child = this.#watchEntry(parent, parentNode, name);
    if (child === undefined) return;
    using directory = child.directory;
    if (!child.fresh && purpose === "created") return; // an earlier walk has met it
    yield* this.#descend(child.node, directory, purpose === "created");
  }

  /**
   * Watches everything below a directory that is watched. Not by recursion, and with one directory open at a time:
   * a tree is as deep as a guest likes.
   */
  *#descend(top: WatchNode, topDirectory: Directory, tell: boolean): Generator<void, void> {
    const frames: Frame[] = [];
    yield* this.#list(top, topDirectory, tell, frames);
    for (let frame = frames.pop(); frame !== undefined; frame = frames.pop()) {
      using directory = this.#reopen(frame.node);
      if (directory === undefined) continue;
      for (const name of frame.subdirectories) {
        yield;
        const child = this.#watchEntry(directory, frame.node, name);
        if (child === undefined) continue;
        using subdirectory = child.directory;
        yield* this.#list(child.node, subdirectory, tell, frames);
      }
    }
  }

  /** Reads a watched directory: tells its entries if they are new, and collects its subdirectories. */
  *#list(
    node: WatchNode,
    directory: Directory,
    tell: boolean,
    frames: Frame[],
  ): Generator<void, void> {
    const subdirectories: FileName[] = [];
    let left = ENTRIES_A_STEP;
    try {
      for (const { name, kind } of directory.entries()) {
        if (left-- === 0) {
          yield;
          left = ENTRIES_A_STEP;
        }
        if (!tell && kind !== "directory" && kind !== undefined) continue;
        const path = this.tree.pathOf(node);
        if (path === undefined) return; // moved away: its new place is armed if it has one
        if (tell) this.options.found(join(path, name));
        if (kind !== "directory" && kind !== undefined) continue;
        if (this.#isExcluded(node, path, name)) continue;
        subdirectories.push(name);
      }
    } catch (error) {
      this.#fail(error, node);
    }
    if (subdirectories.length > 0) frames.push({ node, subdirectories });
  }

  #isExcluded(node: WatchNode, path: RelativePath, name: FileName): boolean {
    if (this.options.excludes?.(join(path, name)) !== true) return false;
    const known = this.tree.child(node, name);
    if (known !== undefined) this.tree.remove(known);
    return true;
  }

  /** The directory of a node, by its path; `undefined` if that leads elsewhere by now. */
  #reopen(node: WatchNode): Directory | undefined {
    const path = this.tree.pathOf(node);
    if (path === undefined) return undefined;
    try {
      const directory = this.root.openBeneath(path);
      if (directory === undefined) return undefined;
      const watch = this.#watch(directory, path === ROOT ? ROOT_MASK : MASK);
      if (watch === node.watch) return directory;
      directory.close();
      // It was set just now, on a directory that nobody asked for.
      if (typeof watch === "number" && !this.tree.byWatch(watch)) this.#obsolete.add(watch);
    } catch (error) {
      this.#fail(error, node);
    }
    return undefined;
  }

  /** Opens and watches one entry and notes its place; `undefined` if it cannot be watched. */
  #watchEntry(
    parent: Directory,
    parentNode: WatchNode,
    name: FileName,
  ): WatchedEntry | undefined {
    if (this.tree.isForgotten(parentNode)) return undefined; // its descriptor may lead anywhere by now
    const known = this.tree.child(parentNode, name);
    let directory: Directory | undefined;
    try {
      directory = parent.openBeneath(name);
      const watch = directory === undefined ? "gone" : this.#watch(directory, MASK);
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
      if (node !== undefined) this.#fail(error, node);
    }
    directory?.close();
    return undefined;
  }

  #watch(directory: Directory, mask: number): number | "limit" | "gone" {
    const watch = this.inotify.addWatch(directory, mask);
    if (typeof watch !== "number") return watch;
    this.#obsolete.delete(watch);
    if (this.tree.watched < this.options.mostWatches || this.tree.byWatch(watch)) return watch;
    this.inotify.removeWatch(watch);
    return "limit";
  }

  #fail(error: unknown, node: WatchNode): void {
    if (!(error instanceof SystemError)) throw error;
    if (isErrno(error, "ENOENT")) return; // removed meanwhile
    this.lastFailure = error;
    this.#poll(node);
  }

  #reachedLimit(node: WatchNode): void {
    this.#limitReached = true;
    this.lastFailure = undefined;
    this.#poll(node);
  }

  #poll(node: WatchNode): void {
    this.polled.delete(node); // to the end: all of them get their turn
    this.polled.add(node);
    const path = this.tree.pathOf(node);
    if (path !== undefined) this.options.unwatched(path);
  }
}
