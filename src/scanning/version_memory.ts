/**
 * Remembers versions of files by (device, inode, ctime, size), such as those with a clean verdict. A directory that is
 * renamed keeps its files' versions; a file that is renamed, linked or touched has another ctime and is unknown (I1).
 */

import type { FileStatus } from "../../ffi/file_status.ts";
import { BoundedMap } from "../collections/bounded_map.ts";

const MOST = 20_000;

export class VersionMemory {
  readonly #versions: BoundedMap<string, true>;

  /** The oldest is forgotten when there are more than `most`. */
  constructor(most = MOST) {
    this.#versions = new BoundedMap(most);
  }

  remember(status: FileStatus): void {
    this.#versions.set(keyOf(status), true);
  }

  forget(status: FileStatus): void {
    this.#versions.delete(keyOf(status));
  }

  has(status: FileStatus): boolean {
    return this.#versions.has(keyOf(status));
  }
}

function keyOf({ device, inode, ctimeNs, size }: FileStatus): string {
  return `${device}:${inode}:${ctimeNs}:${size}`;
}
