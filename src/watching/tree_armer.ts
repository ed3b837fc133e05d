/**
 * Arms a tree, a little at a time, while the tree changes: each directory is watched BEFORE it is read, so that
 * nothing written meanwhile is missed.
 */

import { type FileName, join, type RelativePath } from "../../ffi/byte_string.ts";
import { mayBeDirectory } from "../../ffi/dirent.ts";
import type { WatchableDirectory, WatchSet } from "./watch_set.ts";
import type { WatchNode } from "./watch_tree.ts";

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
  /** An entry of a created directory, which may have been there before the watch was. */
  found(path: RelativePath): void;
  /** Everything below `path` is watched that can be. */
  armed(path: RelativePath, purpose: Purpose): void;
  rootArmed(): void;
  /** More is to be done than can be kept in mind: everything is to be armed again. */
  tooMuch(): void;
}

interface Job {
  readonly parent: WatchNode;
  readonly name: FileName;
  readonly purpose: Purpose;
}

/** A watched directory with subdirectories that are not watched yet. */
interface Frame {
  readonly node: WatchNode;
  readonly subdirectories: readonly FileName[];
  /** Open in the last of all frames only, which is the next to be left. */
  readonly directory: WatchableDirectory;
}

export class TreeArmer {
  /** What is to be armed, and what is to be done once all before it is. */
  readonly #jobs = new Map<string | symbol, Job | (() => void)>();
  #walk: Generator<void, void> | undefined;
  #isStepping = false;

  constructor(
    private readonly root: WatchableDirectory,
    private readonly watches: WatchSet,
    private readonly options: ArmerOptions,
  ) {}

  get busy(): boolean {
    return this.#walk !== undefined || this.#jobs.size > 0 || this.watches.obsolete > 0;
  }

  /** Arms the directory `name` of `parent` and what is below it; `armed` tells when. */
  request(parent: WatchNode, name: FileName, purpose: Purpose): void {
    const key = keyOf(parent, name);
    const job = this.#jobs.get(key);
    const queued = typeof job === "object" ? job.purpose : undefined;
    if (queued !== undefined && STRENGTH.indexOf(queued) >= STRENGTH.indexOf(purpose)) return;
    if (queued === undefined && this.#jobs.size >= MOST_JOBS) return this.options.tooMuch();
    this.#jobs.set(key, { parent, name, purpose });
  }

  /** Does `task` once everything that was asked for before is armed. Not, if everything is armed again first. */
  after(task: () => void): void {
    if (this.#walk === undefined && this.#jobs.size === 0) task();
    else if (this.#jobs.size < MOST_JOBS) this.#jobs.set(Symbol(), task);
    else this.options.tooMuch();
  }

  /** Arms everything, and forgets what is not found any more. Replaces all other work. */
  rearm(): void {
    this.close();
    this.#walk = this.#armRoot();
  }

  /** Tries some of the polled directories again. */
  retry(most: number): void {
    this.watches.limitReached = false;
    for (const node of [...this.watches.polled].slice(0, most)) {
      if (node.parent !== undefined) this.request(node.parent, node.name, "retry");
    }
  }

  /** Works until `deadlineMs` (performance.now()) or until nothing is left to do. */
  step(deadlineMs: number): void {
    this.watches.removeObsolete(REMOVALS_A_STEP);
    do {
      const walk = this.#walk ??= this.#nextWalk();
      if (walk === undefined) return;
      const isDone = this.#advance(walk);
      // What is met on the way may have all work dropped.
      if (this.#walk !== walk) walk.return();
      else if (isDone) this.#walk = undefined;
    } while (performance.now() < deadlineMs);
  }

  #advance(walk: Generator<void, void>): boolean {
    this.#isStepping = true;
    try {
      return walk.next().done === true;
    } finally {
      this.#isStepping = false;
    }
  }

  /** Drops all work. */
  close(): void {
    this.#jobs.clear();
    if (!this.#isStepping) this.#walk?.return();
    this.#walk = undefined;
  }

  #nextWalk(): Generator<void, void> | undefined {
    for (const [key, job] of this.#jobs) {
      this.#jobs.delete(key);
      if (typeof job === "object") return this.#arm(job);
      job();
    }
    return undefined;
  }

  *#armRoot(): Generator<void, void> {
    const { tree } = this.watches;
    tree.beginSweep();
    if (this.watches.watchRoot()) yield* this.#descend(tree.root, this.root, false);
    tree.endSweep();
    this.options.rootArmed();
  }

  *#arm({ parent, name, purpose }: Job): Generator<void, void> {
    // When it was asked for, its parent may have had no path yet.
    if (this.#isExcluded(parent, name)) return;
    const node = this.watches.tree.child(parent, name);
    // Only what is polled: another directory may have come in its place, which nobody knows yet.
    const isIdle = purpose === "retry" && this.watches.limitReached &&
      node !== undefined && this.watches.polled.has(node);
    if (!isIdle) {
      using directory = this.watches.reopen(parent);
      if (directory === undefined) return;
      yield* this.#enter(directory, parent, name, purpose);
    }
    this.#tellArmed(parent, name, purpose);
  }

  #tellArmed(parent: WatchNode, name: FileName, purpose: Purpose): void {
    const { tree } = this.watches;
    const node = tree.child(parent, name);
    if (node !== undefined && !this.#jobs.has(keyOf(parent, name))) tree.trust(node);
    const path = tree.pathIn(parent, name);
    if (path !== undefined) this.options.armed(path, purpose);
  }

  *#enter(
    parent: WatchableDirectory,
    parentNode: WatchNode,
    name: FileName,
    purpose: Purpose,
  ): Generator<void, void> {
    const child = this.watches.watchEntry(parent, parentNode, name);
    if (child === undefined) return;
    using directory = child.directory;
    if (!child.fresh && purpose === "created") return; // an earlier walk has met it
    this.watches.tree.doubt(child.node);
    yield* this.#descend(child.node, directory, purpose === "created");
  }

  /**
   * Watches everything below a directory that is watched. Not by recursion, and with few directories open at a time:
   * a tree is as deep as a guest likes.
   */
  *#descend(
    top: WatchNode,
    topDirectory: WatchableDirectory,
    tell: boolean,
  ): Generator<void, void> {
    const frames: Frame[] = [];
    try {
      yield* this.#list(top, topDirectory, tell, frames);
      for (let frame = frames.pop(); frame !== undefined; frame = frames.pop()) {
        yield* this.#enterAll(frame, tell, frames);
      }
    } finally {
      frames.at(-1)?.directory.close();
    }
  }

  *#enterAll(frame: Frame, tell: boolean, frames: Frame[]): Generator<void, void> {
    using held = frame.directory;
    const opened = held.isOpen ? held : this.watches.reopen(frame.node);
    if (opened === undefined) return;
    using directory = opened;
    for (const name of frame.subdirectories) {
      yield;
      const child = this.watches.watchEntry(directory, frame.node, name);
      if (child === undefined) continue;
      using subdirectory = child.directory;
      yield* this.#list(child.node, subdirectory, tell, frames);
    }
  }

  /** Reads a watched directory: tells its entries if they are new, and collects its subdirectories. */
  *#list(
    node: WatchNode,
    directory: WatchableDirectory,
    tell: boolean,
    frames: Frame[],
  ): Generator<void, void> {
    const subdirectories: FileName[] = [];
    try {
      const pieces = tell ? this.#tellAll(node, directory) : directory.subdirectories();
      for (const names of pieces) {
        yield;
        for (const name of names) if (!this.#isExcluded(node, name)) subdirectories.push(name);
      }
      // Moved away: its new place is armed if it has one.
      if (this.watches.tree.pathOf(node) === undefined) return;
    } catch (error) {
      this.watches.fail(error, node);
    }
    if (subdirectories.length > 0) this.#push(frames, { node, subdirectories, directory });
  }

  /** Tells each entry, and yields which of them may be directories. */
  *#tellAll(node: WatchNode, directory: WatchableDirectory): Generator<readonly FileName[]> {
    let names: FileName[] = [];
    let left = ENTRIES_A_STEP;
    for (const { name, kind } of directory.entries()) {
      const path = this.watches.tree.pathOf(node);
      if (path === undefined) return;
      this.options.found(join(path, name));
      if (mayBeDirectory(kind)) names.push(name);
      if (--left > 0) continue;
      yield names;
      names = [];
      left = ENTRIES_A_STEP;
    }
    yield names;
  }

  #push(frames: Frame[], frame: Frame): void {
    try {
      const directory = frame.directory.duplicate();
      frames.at(-1)?.directory.close();
      frames.push({ ...frame, directory });
    } catch (error) {
      this.watches.fail(error, frame.node);
    }
  }

  #isExcluded(parent: WatchNode, name: FileName): boolean {
    const { excludes } = this.options;
    if (excludes === undefined) return false;
    const { tree } = this.watches;
    const path = tree.pathIn(parent, name);
    if (path === undefined || !excludes(path)) return false;
    const known = tree.child(parent, name);
    if (known !== undefined) tree.remove(known);
    return true;
  }
}

/** Only directories whose watch was set have entries to be armed. */
function keyOf(parent: WatchNode, name: FileName): string {
  return `${parent.watch}/${name}`;
}
