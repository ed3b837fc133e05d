/** Access control lists (acl(5)), which Linux keeps in extended attributes (xattr(7)). */

import type { Descriptor } from "./descriptor.ts";
import { check, ERRNO, SystemError } from "./errno.ts";
import { errno, libc } from "./libc.ts";

const encoder = new TextEncoder();
/** Who may do what with it. Its mode's permissions of the group are a mask of this list then. */
const ACCESS = encoder.encode("system.posix_acl_access\0");
/** What is made in a directory gets this one. */
const DEFAULT = encoder.encode("system.posix_acl_default\0");

/** Takes away the lists of a directory that is no O_PATH descriptor. Whether it had one of its own. */
export function removeAccessControlLists(directory: Descriptor): boolean {
  if (has(directory, DEFAULT)) remove(directory, DEFAULT);
  return removeAccessControlList(directory);
}

/** Takes away the list of a file that is no O_PATH descriptor. Whether it had one. */
export function removeAccessControlList(file: Descriptor): boolean {
  if (!has(file, ACCESS)) return false;
  remove(file, ACCESS);
  return true;
}

function has(file: Descriptor, name: Uint8Array<ArrayBuffer>): boolean {
  if (libc.fgetxattr(file.fd, name, null, 0n) >= 0) return true;
  const number = errno();
  if (number === ERRNO.ENODATA || number === ERRNO.EOPNOTSUPP) return false;
  throw new SystemError("fgetxattr", number);
}

function remove(file: Descriptor, name: Uint8Array<ArrayBuffer>): void {
  check(libc.fremovexattr(file.fd, name), "fremovexattr");
}
