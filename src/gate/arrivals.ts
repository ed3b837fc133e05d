/**
 * What is new in one share, by inode: where it was found, or looked at, before its departure from another name is told, nothing else
 * tells that the two are one (`departures.ts`).
 */

import type { RelativePath } from "../../ffi/byte_string.ts";
import { BoundedMap } from "../collections/bounded_map.ts";

/** Beyond them the first are forgotten (I6). */
const MOST = 1_000;
const MOST_BYTES = 1024 * 1024;

export class Arrivals {
  readonly #byInode = new BoundedMap<number, RelativePath>(
    MOST,
    MOST_BYTES,
    (_, path) => path.length,
  );

  add(inode: number, path: RelativePath): void {
    this.#byInode.set(inode, path);
  }

  of(inode: number): RelativePath | undefined {
    return this.#byInode.get(inode);
  }
}
