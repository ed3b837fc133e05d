/**
 * Descriptors of guests' files and of copies of them. Whoever closes the last one of a file that has no name (any more)
 * waits while the kernel gives up its pieces: on btrfs some 50 µs for each, and a guest makes a million of them out of
 * one block, with a dozen reflinks.
 */

import { Descriptor } from "./descriptor.ts";
import { statusOf } from "./file_status.ts";
import { libc } from "./libc.ts";
import { onThreadPool } from "./thread_pool.ts";

/** In units of 512 bytes; a piece has eight of them, at least. */
const FEW_BLOCKS = 2048;

let closing = 0;

/** How many are being closed on the thread pool. */
export function closingFiles(): number {
  return closing;
}

/** Is closed on the thread pool where that may take its time, and counts as closed at once. */
export class FileDescriptor extends Descriptor {
  /**
   * What the file takes on the disk (`FileStatus.blocks`), for whoever has just seen it to say; where nobody does, closing
   * looks first.
   */
  blocks: number | undefined;

  override close(): void {
    if (!this.isOpen) return;
    const blocks = this.blocks ?? this.#blocksNow();
    if (blocks <= FEW_BLOCKS) return super.close();
    const number = this.release();
    closing++;
    onThreadPool(() => libc.closeBlocking(number), blocks).finally(() => closing--);
  }

  #blocksNow(): number {
    try {
      return statusOf(this).blocks;
    } catch {
      return Infinity; // nobody knows, and to close something never fails
    }
  }
}
