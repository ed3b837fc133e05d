/**
 * Remembers versions of files by (device, inode, ctime, size), such as those with a clean verdict. A directory that is
 * renamed keeps its files' versions; a file that is renamed, linked or touched has another ctime and is unknown (I1).
 */

import type { FileStatus } from "../../ffi/file_status.ts";

const MOST = 20_000;

export class VersionMemory {
  readonly #most: number;
  readonly #versions = new Set<string>();

  /** The oldest is forgotten when there are more than `most`. */
  constructor(most = MOST) {
    this.#most = most;
  }

  remember(status: FileStatus): void {
    const key = keyOf(status);
    this.#versions.delete(key);
    this.#versions.add(key);
    for (const oldest of this.#versions) {
      if (this.#versions.size <= this.#most) break;
      this.#versions.delete(oldest);
    }
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
