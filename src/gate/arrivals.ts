/**
 * What is new in one share, by inode: where it was found, or looked at, before its departure from another name is told, nothing else
 * tells that the two are one (`departures.ts`).
 */

import type { RelativePath } from "../../ffi/byte_string.ts";
import { PathTally } from "../collections/path_tally.ts";

/** Beyond them the first are forgotten (I6). */
const MOST = { paths: 1_000, bytes: 1024 * 1024 };

export class Arrivals {
  readonly #byInode = new Map<number, RelativePath>();
  readonly #tally = new PathTally(MOST);

  add(inode: number, path: RelativePath): void {
    this.#forget(inode);
    this.#byInode.set(inode, path);
    this.#tally.add(path);
    while (this.#tally.isFull) {
      const [oldest] = this.#byInode.keys();
      if (oldest === undefined) break;
      this.#forget(oldest);
    }
  }

  of(inode: number): RelativePath | undefined {
    return this.#byInode.get(inode);
  }

  #forget(inode: number): void {
    const path = this.#byInode.get(inode);
    if (path === undefined) return;
    this.#byInode.delete(inode);
    this.#tally.remove(path);
  }
}
