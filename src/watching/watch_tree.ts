/**
 * Which watch stands for which directory: the tree of watched directories as far as it is known. Pure.
 *
 * The kernel knows a watch by its inode, wherever that has been moved to; names are only what was true when a
 * directory was opened or an event was told. So a node keeps its watch and everything below it
 * when it moves, and where two pieces of knowledge contradict each other the later one wins.
 */

import { type FileName, join, parentOf, type RelativePath, ROOT } from "../../ffi/byte_string.ts";

/** In place of a watch's number, which begin with 1: there could be none set, or the kernel has removed it. */
export const UNWATCHED = 0;
const ENDED = -1;

const FORGOTTEN = -1;

/** One directory. Its fields are changed by its `WatchTree` only. */
export class WatchNode {
  parent: WatchNode | undefined;
  name: FileName;
  watch: number;
  /** Only there if there are any: most directories are leaves. */
  children: Map<FileName, WatchNode> | undefined;
  /** The sweep in which it was last placed, or FORGOTTEN. */
  generation = 0;
  /** It is to be armed, or is being armed: what is known and told of it and of what is below may be wrong. */
  doubtful = false;

  constructor(parent: WatchNode | undefined, name: FileName, watch: number) {
    this.parent = parent;
    this.name = name;
    this.watch = watch;
  }
}

export interface Placement {
  readonly node: WatchNode;
  /** It was not known in this place with this watch. */
  readonly fresh: boolean;
}

export class WatchTree {
  readonly root: WatchNode;
  readonly #byWatch = new Map<number, WatchNode>();
  readonly #forgotten: (node: WatchNode) => void;
  #generation = 0;
  /** Events come in runs from one directory. */
  #lastNode: WatchNode | undefined;
  #lastPath: RelativePath = ROOT;

  /** `forgotten` hears of each node that is no longer in the tree, when its fields still stand. */
  constructor(forgotten: (node: WatchNode) => void) {
    this.#forgotten = forgotten;
    this.root = new WatchNode(undefined, ROOT as FileName, UNWATCHED); // its name is never used
  }

  /** How many directories are watched. */
  get watched(): number {
    return this.#byWatch.size;
  }

  setRootWatch(watch: number): void {
    this.#setWatch(this.root, watch);
  }

  byWatch(watch: number): WatchNode | undefined {
    return this.#byWatch.get(watch);
  }

  child(parent: WatchNode, name: FileName): WatchNode | undefined {
    return parent.children?.get(name);
  }

  /** The directory at `path`, as far as that is known. */
  at(path: RelativePath): WatchNode | undefined {
    let node: WatchNode | undefined = this.root;
    if (path === ROOT) return node;
    for (const name of path.split("/") as FileName[]) node = node && this.child(node, name);
    return node;
  }

  /** Whether `node` was removed; a detached one was not. */
  isForgotten(node: WatchNode): boolean {
    return node.generation === FORGOTTEN;
  }

  /** Whether `node` has a place below the root. */
  isAttached(node: WatchNode): boolean {
    return this.#isWithin(node, this.root);
  }

  /** From now until `trust`, whatever ends at this node or below may have held more than was told. */
  doubt(node: WatchNode): void {
    node.doubtful = true;
  }

  trust(node: WatchNode): void {
    node.doubtful = false;
  }

  isDoubtful(node: WatchNode): boolean {
    let current: WatchNode | undefined = node;
    while (current !== undefined && !current.doubtful) current = current.parent;
    return current !== undefined;
  }

  #isWithin(node: WatchNode, ancestor: WatchNode): boolean {
    let current: WatchNode | undefined = node;
    while (current !== undefined && current !== ancestor) current = current.parent;
    return current !== undefined;
  }

  /** `undefined` for a node that has no place. */
  pathOf(node: WatchNode): RelativePath | undefined {
    if (node === this.root) return ROOT;
    if (node !== this.#lastNode) {
      const path = this.#pathNearLast(node) ?? this.#pathFromRoot(node);
      if (path === undefined) return undefined;
      this.#lastNode = node;
      this.#lastPath = path;
    }
    return this.#lastPath;
  }

  /** Walks go down and removals go up: where a tree is deep, its length need not count for each step. */
  #pathNearLast(node: WatchNode): RelativePath | undefined {
    const last = this.#lastNode;
    if (last === undefined) return undefined;
    if (node.parent === last) return join(this.#lastPath, node.name);
    return node === last.parent ? parentOf(this.#lastPath) : undefined;
  }

  #pathFromRoot(node: WatchNode): RelativePath | undefined {
    const { top, names } = this.placeOf(node);
    return top === this.root ? names.join("/") as RelativePath : undefined;
  }

  /** The names from the highest directory that is known above, which is the root or has no place. */
  placeOf(node: WatchNode): { readonly top: WatchNode; readonly names: readonly FileName[] } {
    const names: FileName[] = [];
    let top = node;
    while (top.parent !== undefined) {
      names.push(top.name);
      top = top.parent;
    }
    return { top, names: names.reverse() };
  }

  /** The path of the entry `name` in `node`, if that has a place. */
  pathIn(node: WatchNode, name: FileName): RelativePath | undefined {
    const path = this.pathOf(node);
    return path === undefined ? undefined : join(path, name);
  }

  /**
   * The directory `name` in `parent` has this watch (or none). Whatever was known under that name goes, and a
   * directory that was known elsewhere with this watch moves here with everything below it.
   * `undefined` if `parent` lies below that directory: one of the two places is out of date.
   */
  place(parent: WatchNode, name: FileName, watch: number): Placement | undefined {
    const here = this.child(parent, name);
    const known = watch === UNWATCHED ? undefined : this.#byWatch.get(watch);
    if (here !== undefined && (here === known || (here.watch === UNWATCHED && !known))) {
      const fresh = here.watch !== watch;
      this.#setWatch(here, watch);
      here.generation = this.#generation;
      return { node: here, fresh };
    }
    if (known !== undefined) {
      return this.attach(known, parent, name) ? { node: known, fresh: true } : undefined;
    }
    if (here !== undefined) this.remove(here);
    const node = this.add(parent, name);
    this.#setWatch(node, watch);
    return { node, fresh: true };
  }

  /** A directory of which no watch is known, where none is known. */
  add(parent: WatchNode, name: FileName): WatchNode {
    const node = new WatchNode(parent, name, UNWATCHED);
    this.#link(node, parent, name);
    return node;
  }

  #setWatch(node: WatchNode, watch: number): void {
    this.#byWatch.delete(node.watch);
    node.watch = watch;
    if (watch > UNWATCHED) this.#byWatch.set(watch, node);
  }

  #link(node: WatchNode, parent: WatchNode, name: FileName): void {
    node.parent = parent;
    node.name = name;
    node.generation = this.#generation;
    (parent.children ??= new Map()).set(name, node);
  }

  /** The kernel has removed a watch, because its directory is no more. Its name's end is told separately. */
  watchEnded(node: WatchNode): void {
    this.#setWatch(node, ENDED);
  }

  hasEnded(node: WatchNode): boolean {
    return node.watch === ENDED;
  }

  /** Takes a node out of its place. It keeps its watch and what lies below it, but has no path. */
  detach(node: WatchNode): void {
    const { parent } = node;
    if (parent === undefined) return;
    parent.children?.delete(node.name);
    if (parent.children?.size === 0) parent.children = undefined;
    node.parent = undefined;
    this.#lastNode = undefined;
  }

  /**
   * Gives a node another place; what was known there goes. `false`, and nothing is changed, if `parent` lies
   * below it.
   */
  attach(node: WatchNode, parent: WatchNode, name: FileName): boolean {
    if (this.#isWithin(parent, node)) return false;
    this.detach(node);
    const here = this.child(parent, name);
    if (here !== undefined) this.remove(here);
    this.#link(node, parent, name);
    return true;
  }

  /** Forgets a directory and everything below it, in time that grows with what is below. */
  remove(node: WatchNode): void {
    this.detach(node);
    const rest = [node];
    for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
      // Not spread into one call: a directory has as many children as a guest likes.
      for (const child of next.children?.values() ?? []) rest.push(child);
      this.#forgotten(next);
      this.#setWatch(next, UNWATCHED);
      next.parent = undefined;
      next.children = undefined;
      next.generation = FORGOTTEN;
    }
  }

  /** Starts a sweep: what is not placed again before it ends is taken for gone. */
  beginSweep(): void {
    this.#generation++;
    this.root.generation = this.#generation;
  }

  endSweep(): void {
    const rest = [this.root];
    for (let node = rest.pop(); node !== undefined; node = rest.pop()) {
      for (const child of node.children?.values() ?? []) {
        if (child.generation === this.#generation) rest.push(child);
        else this.remove(child);
      }
    }
  }
}
