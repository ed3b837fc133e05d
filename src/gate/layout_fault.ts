/** Why the directories of a channel cannot be used: in words, with what to do where that is clear. */

import { absolutePath, type ByteString, display, type FileName } from "../../ffi/byte_string.ts";
import { isErrno, lacksDescriptors, messageOf, type SystemError } from "../../ffi/errno.ts";

export const AS_ROOT = "run as root, or with CAP_CHOWN, CAP_DAC_OVERRIDE and CAP_FOWNER";
/** Both look the same from here. */
const WRITABLE = "mount it writable, and let the service's sandbox write there (ReadWritePaths=)";

/** Why a channel cannot run, in words. */
export class LayoutFault extends Error {
  override readonly name: string = "LayoutFault";
}

/** The disk is too full to tell what it can do. */
export class NoRoom extends LayoutFault {
  override readonly name = "NoRoom";
}

/** Somebody serves the channel already; a daemon that is ending lets go of it soon. */
export class InUse extends LayoutFault {
  override readonly name = "InUse";
}

/** What failed where, and what to do where that is clear. */
export function inWords(error: SystemError, basePath: ByteString): string {
  return `${display(basePath)}: ${withAdvice(error)}`;
}

/** What failed, and what to do where that is clear. */
export function withAdvice(error: unknown): string {
  const advice = adviceFor(error);
  return advice === undefined ? messageOf(error) : `${messageOf(error)}: ${advice}`;
}

/** `undefined` where it is not clear what to do. */
export function adviceFor(error: unknown): string | undefined {
  if (isPermission(error)) return AS_ROOT;
  if (isErrno(error, "EROFS")) return WRITABLE;
  if (lacksDescriptors(error)) return "let the service have more of them (LimitNOFILE=)";
  return isFull(error) ? "make room" : undefined;
}

function isPermission(error: unknown): boolean {
  return isErrno(error, "EACCES", "EPERM");
}

/** Whether the disk, or what somebody may have of it, is full. */
export function isFull(error: unknown): boolean {
  return isErrno(error, "ENOSPC", "EDQUOT");
}

/** Why the directory at `place` cannot be used, where names cannot be moved into it. */
export function apart(place: ByteString): string {
  return `${display(place)} is a mount or a subvolume of its own, and files could not be renamed ` +
    "into it: staging, share and all in it, export and quarantine must lie on one mount and in one subvolume";
}

/** What stands in the directory at `place` where one of the daemon's own belongs. */
export function misplaced(name: FileName, place: ByteString): string {
  return `${display(absolutePath(place, name))} must be a directory on the same mount as ${
    display(place)
  }`;
}
