/**
 * The names of files that have several (hard links) in one share: an event names only the one that was
 * written through, and all of them have changed.
 */

import type { RelativePath } from "../../ffi/byte_string.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import { Throttle } from "../scheduling/throttle.ts";
import { type EverybodysRename, renamedForEverybody } from "./move_memory.ts";

const MOST_NAMES = 50_000;
const MOST_BYTES = 16 * 1024 * 1024;
/** Names that get others in one go. */
const MOST_FOLLOWED = 5_000;
/** A share is searched for names that no event told no more often than this. */
const SEARCH_MS = 10_000;

export interface LinkedNamesParts {
  /** The file behind `path` was changed by another name. */
  lookAt(path: RelativePath): void;
  /** Not all names of a changed file are known: the share is to be read. */
  search(): void;
}

export class LinkedNames {
  readonly #parts: LinkedNamesParts;
  readonly #names = new Map<number, Set<RelativePath>>();
  readonly #inodes = new Map<RelativePath, number>();
  /** Of all names together. */
  #bytes = 0;
  /** The change of each file, known by its ctime, that its other names were asked about. */
  readonly #asked = new Map<number, bigint>();
  readonly #search: Throttle;

  constructor(parts: LinkedNamesParts) {
    this.#parts = parts;
    this.#search = new Throttle(SEARCH_MS, () => parts.search());
  }

  /** What a look at `path` found: a file's status, or nothing of the kind. `isKnown`: it was not changed. */
  seen(path: RelativePath, status: FileStatus | undefined, isKnown: boolean): void {
    const before = this.#inodes.get(path);
    this.#remember(path, status);
    if (before !== undefined && before !== status?.inode) this.#lostName(before);
    if (status === undefined || status.links === 1 || isKnown) return;
    // Once: else each of the other names would ask for all of them again.
    if (this.#asked.get(status.inode) === status.ctimeNs) return;
    this.#asked.set(status.inode, status.ctimeNs);
    const names = this.#names.get(status.inode) ?? new Set();
    for (const name of names) {
      if (name !== path) this.#parts.lookAt(name);
    }
    if (names.size < status.links) this.#search.request();
  }

  /** Before it lost one of its names, it may have been changed by that one. */
  #lostName(inode: number): void {
    const names = this.#names.get(inode);
    if (names === undefined) this.#search.request();
    for (const name of names ?? []) this.#parts.lookAt(name);
  }

  /** A file was changed by way of a name that it has no more. Which other one it has, if any, nobody tells. */
  changedUnnamed(): void {
    this.#search.request();
  }

  /** Whether `followed` takes but a moment (I7). */
  canFollow(rename: EverybodysRename): boolean {
    let left = MOST_FOLLOWED;
    for (const path of this.#inodes.keys()) {
      if (renamedForEverybody(path, rename) !== undefined && --left < 0) return false;
    }
    return true;
  }

  /** No name in the directory is looked at on its own. */
  followed(rename: EverybodysRename): void {
    const renamed = [...this.#inodes].flatMap(([path, inode]) => {
      const to = renamedForEverybody(path, rename);
      return to === undefined ? [] : [{ path, to, inode }];
    });
    for (const { path, inode } of renamed) this.#forget(path, inode);
    for (const { to, inode } of renamed) this.#add(to, inode);
    if (this.#bytes >= MOST_BYTES) this.#forgetAll(); // the new one may be much longer
  }

  close(): void {
    this.#search.close(); // the last jobs are still running
  }

  #remember(path: RelativePath, status: FileStatus | undefined): void {
    const inode = status !== undefined && status.links > 1 ? status.inode : undefined;
    const before = this.#inodes.get(path);
    if (before === inode) return;
    if (before !== undefined) this.#forget(path, before);
    if (inode === undefined) return;
    if (this.#inodes.size >= MOST_NAMES || this.#bytes >= MOST_BYTES) this.#forgetAll();
    this.#add(path, inode);
  }

  #add(path: RelativePath, inode: number): void {
    if (this.#inodes.has(path)) return;
    this.#inodes.set(path, inode);
    this.#bytes += path.length;
    const names = this.#names.get(inode);
    if (names === undefined) this.#names.set(inode, new Set([path]));
    else names.add(path);
  }

  #forget(path: RelativePath, inode: number): void {
    if (this.#inodes.delete(path)) this.#bytes -= path.length;
    const names = this.#names.get(inode);
    names?.delete(path);
    if (names?.size !== 0) return;
    this.#names.delete(inode);
    this.#asked.delete(inode);
  }

  /** Too many to remember: reading the share finds those that matter. */
  #forgetAll(): void {
    this.#names.clear();
    this.#inodes.clear();
    this.#bytes = 0;
    this.#asked.clear();
  }
}
