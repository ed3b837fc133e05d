/** Waiting until what was done to a file system is on its disk. */

import { type Directory, reopen } from "./directory.ts";
import { ERRNO } from "./errno.ts";
import { addressOf, errno, libc } from "./libc.ts";
import { BTRFS_IOC_START_SYNC, BTRFS_IOC_WAIT_SYNC, O } from "./platform.ts";
import { onThreadPool } from "./thread_pool.ts";

/**
 * Settles when all names and clones made until now in the file system of `directory` would outlast a power failure; `false`
 * if that cannot be had. Content that somebody has only just written is not waited for.
 *
 * On btrfs fsync(2) brings one file to the disk before everything else, and only a transaction brings all (linux/btrfs.h).
 * XFS has one log, in order: there the next fsync of any file is enough, and nothing is done here.
 */
export async function commitTransaction(directory: Directory): Promise<boolean> {
  using readable = reopen(directory, O.RDONLY | O.DIRECTORY | O.CLOEXEC);
  const transaction = new Uint8Array(8);
  const run = (request: bigint) => () =>
    libc.ioctlBlocking(readable.fd, request, addressOf(transaction));
  if (await onThreadPool(run(BTRFS_IOC_START_SYNC)) === 0) {
    return await onThreadPool(run(BTRFS_IOC_WAIT_SYNC)) === 0;
  }
  // errno of another thread is out of reach: the repetition fails in the same way.
  const again = libc.ioctl(readable.fd, BTRFS_IOC_START_SYNC, addressOf(transaction));
  return again !== 0 && errno() === ERRNO.ENOTTY;
}
