/**
 * Clean verdicts by what was scanned: (device, inode, ctime, size). A directory that is renamed keeps its
 * files' verdicts; a file that is renamed, linked or touched has another ctime and is scanned again (I1).
 */

import type { FileStatus } from "../../ffi/file_status.ts";

const MOST = 20_000;

export class VerdictMemory {
  readonly #clean = new Set<string>();

  remember(status: FileStatus): void {
    const key = keyOf(status);
    this.#clean.delete(key);
    this.#clean.add(key);
    for (const oldest of this.#clean) {
      if (this.#clean.size <= MOST) break;
      this.#clean.delete(oldest);
    }
  }

  isClean(status: FileStatus): boolean {
    return this.#clean.has(keyOf(status));
  }
}

function keyOf({ device, inode, ctimeNs, size }: FileStatus): string {
  return `${device}:${inode}:${ctimeNs}:${size}`;
}
