/**
 * Projects: whose quota files count for (XFS; ioctl_fssetxattr, linux/fs.h). Where a directory hands its project down, the
 * kernel lets no file of another be linked or renamed into it (EXDEV).
 */

import type { Descriptor } from "./descriptor.ts";
import { type Directory, reopen } from "./directory.ts";
import { check, isErrno } from "./errno.ts";
import { statusOf } from "./file_status.ts";
import { addressOf, libc } from "./libc.ts";
import { FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR, O } from "./platform.ts";

/** struct fsxattr: flags, hints, number of pieces, project, a hint, padding. */
const SIZE = 28;
const FLAGS_AT = 0;
const PROJECT_AT = 12;
const INHERITED = 0x200;

const buffer = new Uint8Array(SIZE);
const attributes = new DataView(buffer.buffer);

/** Does `move`, by which `file` gets a name in `directory`; where that is due, `file` gets that one's project first. */
export function inProjectOf(directory: Directory, file: Descriptor, move: () => void): void {
  try {
    move();
  } catch (error) {
    if (!isErrno(error, "EXDEV") || !adoptProject(file, directory)) throw error;
    move();
  }
}

/** `false` where there is nothing to be done. */
function adoptProject(file: Descriptor, directory: Directory): boolean {
  using readable = reopen(directory, O.RDONLY | O.DIRECTORY | O.CLOEXEC);
  if (!readAttributes(readable)) return false;
  const project = attributes.getUint32(PROJECT_AT, true);
  const inherited = attributes.getUint32(FLAGS_AT, true) & INHERITED;
  if (inherited === 0 || !readAttributes(file)) return false;
  if (attributes.getUint32(PROJECT_AT, true) === project) return false;
  attributes.setUint32(PROJECT_AT, project, true);
  if (statusOf(file).kind === "directory") {
    const flags = attributes.getUint32(FLAGS_AT, true);
    attributes.setUint32(FLAGS_AT, flags | INHERITED, true);
  }
  check(libc.ioctl(file.fd, FS_IOC_FSSETXATTR, addressOf(buffer)), "ioctl(FS_IOC_FSSETXATTR)");
  return true;
}

function readAttributes(file: Descriptor): boolean {
  return libc.ioctl(file.fd, FS_IOC_FSGETXATTR, addressOf(buffer)) === 0;
}
