/** Which file system something lies in (statfs(2)). */

import type { Descriptor } from "./descriptor.ts";
import { check } from "./errno.ts";
import { libc } from "./libc.ts";

/** struct statfs, of which f_fsid is behind type, size of a block, three counts of blocks and two of files. */
const SIZE = 120;
const ID_AT = 56;

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
