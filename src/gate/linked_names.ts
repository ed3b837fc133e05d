/**
 * The names of files that have several (hard links) in one share: an event names only the one that was
 * written through, and all of them have changed.
 */

import type { RelativePath } from "../../ffi/byte_string.ts";
import type { FileStatus } from "../../ffi/file_status.ts";

const MOST_NAMES = 50_000;

export class LinkedNames {
  readonly #names = new Map<number, Set<RelativePath>>();
  readonly #inodes = new Map<RelativePath, number>();

  /** What a look at `path` found: a file's status, or nothing of the kind. */
  seen(path: RelativePath, status: FileStatus | undefined): void {
    const inode = status !== undefined && status.links > 1 ? status.inode : undefined;
    const before = this.#inodes.get(path);
    if (before === inode) return;
    if (before !== undefined) this.#forget(path, before);
    if (inode === undefined) return;
    if (this.#inodes.size >= MOST_NAMES) this.#forgetAll();
    this.#inodes.set(path, inode);
    const names = this.#names.get(inode);
    if (names === undefined) this.#names.set(inode, new Set([path]));
    else names.add(path);
  }

  /** The other names of a file, and whether these are all. */
  othersOf(
    path: RelativePath,
    { inode, links }: FileStatus,
  ): { readonly others: readonly RelativePath[]; readonly complete: boolean } {
    const names = this.#names.get(inode) ?? new Set();
    const others = [...names].filter((name) => name !== path);
    return { others, complete: others.length + 1 >= links };
  }

  #forget(path: RelativePath, inode: number): void {
    this.#inodes.delete(path);
    const names = this.#names.get(inode);
    names?.delete(path);
    if (names?.size === 0) this.#names.delete(inode);
  }

  /** Too many to remember: reading the share finds those that matter. */
  #forgetAll(): void {
    this.#names.clear();
    this.#inodes.clear();
  }
}
