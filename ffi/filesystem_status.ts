/** What is known of the file system in which something lies, and of its mount (statfs(2)). */

import type { Descriptor } from "./descriptor.ts";
import { check } from "./errno.ts";
import { libc } from "./libc.ts";

/** struct statfs: type, size of a block, three counts of blocks and two of files, f_fsid, two lengths, f_flags. */
const SIZE = 120;
const ID_AT = 56;
const FLAGS_AT = 80;
const ST_RDONLY = 1n;

const buffer = new Uint8Array(SIZE);
const status = new DataView(buffer.buffer);

/**
 * On btrfs each subvolume has an id of its own, so a snapshot has another than what it was made of; there it stays the same.
 * On XFS it is the device's number, which may be another one when the machine was started anew.
 */
export function filesystemId(file: Descriptor): string {
  check(libc.fstatfs(file.fd, buffer), "fstatfs");
  return status.getBigUint64(ID_AT, true).toString(16);
}

/** Whether nothing can be changed through an open descriptor's mount (also an O_PATH one); `false` where nobody can tell. */
export function isReadOnly(file: Descriptor): boolean {
  if (libc.fstatfs(file.fd, buffer) < 0) return false;
  return (status.getBigUint64(FLAGS_AT, true) & ST_RDONLY) !== 0n;
}
