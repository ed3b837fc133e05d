/**
 * Takes away the very file that was scanned, and nothing that took its place (I2, I3).
 *
 * A name can be given to another file between any look at it and unlink(2). So the file is first renamed to a name that
 * nobody can guess, then looked at there, and renamed back if it is another one. What remains possible:
 * whoever may write to the directory sees that name appear, and can exchange it in the microseconds before the
 * unlink. He can only give us what he may rename, so what is unlinked then is his to delete anyway, and the
 * infected file gets a new name by that, which is an event, and is scanned. After a crash
 * right in between the file is under its hidden name, which tells the next start its own.
 */

import {
  asFileName,
  type ByteString,
  display,
  type FileName,
  fromText,
} from "../../ffi/byte_string.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import type { Directory } from "../../ffi/directory.ts";
import { isErrno, messageOf } from "../../ffi/errno.ts";
import { sameInode, sameVersion } from "../../ffi/file_content.ts";
import { type FileStatus, statusOf } from "../../ffi/file_status.ts";

/** `changed`: the name stands for something else than what was scanned, and still does. */
export type Outcome = "done" | "changed";

/** A name in a directory, and the file that was scanned when it was there. */
export interface ScannedFile {
  readonly parent: Directory;
  readonly name: FileName;
  readonly file: Descriptor;
  /** What it was before and after the scan. */
  readonly status: FileStatus;
  /** It is written all the time, and infected each time: its device and inode tell that it is the one. */
  readonly isRestless?: boolean;
}

export interface Place {
  readonly directory: Directory;
  readonly name: FileName;
}

/** A file could not go back to its name: it is kept under another one. */
export type OnStray = (message: string) => void;

/** Unlinks the name of a scanned file. Throws SystemError; then it is as it was. */
export function remove(scanned: ScannedFile, onStray: OnStray): Outcome {
  let hidden: Place | "changed";
  try {
    hidden = hide(scanned, onStray);
  } catch (error) {
    if (isErrno(error, "ENOSPC", "EDQUOT")) return removeInPlace(scanned);
    throw error;
  }
  if (hidden === "changed") return "changed";
  try {
    // Where somebody has taken it from us, it has a new name, which is told.
    return hidden.directory.removeFile(hidden.name) ? "done" : "changed";
  } catch (error) {
    putBack(hidden, { directory: scanned.parent, name: scanned.name }, onStray);
    throw error;
  }
}

/**
 * On a disk that is full to the last a rename may find no room (btrfs), nor anybody else's: so nothing comes between a look
 * and the unlink, which needs none. Whoever fills it would keep his malware.
 */
function removeInPlace(scanned: ScannedFile): Outcome {
  const { parent, name } = scanned;
  const there = parent.status(name);
  if (there === undefined || !isScanned(scanned, there)) return "changed";
  return parent.removeFile(name) ? "done" : "changed";
}

/** Gives a scanned file another name in its directory. Throws SystemError; then it is as it was. */
export function hide(scanned: ScannedFile, onStray: OnStray): Place | "changed" {
  const { parent, name } = scanned;
  const there = parent.status(name);
  if (there === undefined || !isScanned(scanned, there)) return "changed";
  const own = { directory: parent, name };
  let hidden: Place;
  try {
    hidden = giveHiddenName(own);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return "changed";
    throw error;
  }
  let found: Found = "another"; // as long as nobody can tell
  try {
    found = lookAtTaken(scanned, hidden);
  } finally {
    if (found === "another") putBack(hidden, own, onStray);
  }
  return found === "scanned" ? hidden : "changed";
}

/** `nothing`: it was taken from us again; whatever it was, it has a new name. */
export type Found = "scanned" | "another" | "nothing";

/** What the scanned file's place has come to be. Throws SystemError. */
export function lookAtTaken(scanned: ScannedFile, { directory, name }: Place): Found {
  const { file, status } = scanned;
  const taken = directory.status(name);
  if (taken === undefined) return "nothing";
  // The rename itself may have changed the time of change.
  const isSame = sameInode(taken, status) &&
    isScanned(scanned, { ...statusOf(file), ctimeNs: status.ctimeNs });
  return isSame ? "scanned" : "another";
}

function isScanned({ status, isRestless }: ScannedFile, found: FileStatus): boolean {
  return isRestless ? sameInode(found, status) : sameVersion(found, status);
}

const MOST_ATTEMPTS = 100;

/** Gives what was taken out its own name again, or one like it. `false` if it stays where it is. */
export function putBack(from: Place, to: Place, onStray: OnStray): boolean {
  const replaced = `${display(to.name)} was replaced at the moment when it was to be removed`;
  try {
    const name = renameBeside(from, to);
    if (name !== to.name) {
      onStray(`${replaced}: what had been taken out is now ${display(name)}`);
    }
    return true;
  } catch (error) {
    const reason = messageOf(error);
    onStray(
      `${replaced}, and what had been taken out could not be put back (${reason}): ` +
        `it is ${display(from.name)} now`,
    );
    return false;
  }
}

/** Gives it the name `to`, or one like it where that is taken; the name. Throws SystemError. */
function renameBeside(from: Place, to: Place): FileName {
  for (let attempt = 0;; attempt++) {
    const name = attempt === 0 ? to.name : restoredName(to.name, attempt);
    try {
      rename(from, { directory: to.directory, name });
      return name;
    } catch (error) {
      if (!isErrno(error, "EEXIST") || attempt === MOST_ATTEMPTS) throw error;
    }
  }
}

/** Replaces nothing. */
export function rename(from: Place, to: Place): void {
  try {
    from.directory.rename(from.name, to.directory, to.name);
  } catch (error) {
    // Some network filesystems know no RENAME_NOREPLACE: there a newcomer could be met by bad luck.
    if (!isErrno(error, "EINVAL") || to.directory.status(to.name) !== undefined) throw error;
    const REPLACING = 0;
    from.directory.rename(from.name, to.directory, to.name, REPLACING);
  }
}

/** In bytes; eCryptfs has room for no more than the short one. */
const LONGEST_NAME = 255;
const LONGEST_SHORT_NAME = 143;
const HIDDEN = ".clamd-vclient-";
const SECRET = /^\.clamd-vclient-[0-9a-f]{16}-([^]+)$/;

/** Throws SystemError. */
function giveHiddenName(own: Place, longest = LONGEST_NAME): Place {
  const hidden = { ...own, name: hiddenName(own.name, longest) };
  try {
    rename(own, hidden);
    return hidden;
  } catch (error) {
    const { length } = own.name;
    if (!isErrno(error, "ENAMETOOLONG") || longest === length) throw error;
    return giveHiddenName(own, length); // there is room for a name as long as its own
  }
}

/** Holds its own name, but for the end of a long one. */
function hiddenName(name: FileName, longest: number): FileName {
  const secret = crypto.getRandomValues(new Uint8Array(8)).toHex();
  const prefix = fromText(`${HIDDEN}${secret}-`);
  return (prefix + beginning(name, longest - prefix.length)) as FileName; // bytes of a name
}

/** At most so many bytes of a name, and no part of a UTF-8 character, which some filesystems refuse. */
function beginning(name: FileName, most: number): string {
  let end = Math.max(0, most);
  while (end > most - 3 && (name.charCodeAt(end) & 0xc0) === 0x80) end--;
  return name.slice(0, end);
}

/** Whether a file of this name was being removed when a process like this one ended. */
export function isHidden(name: FileName): boolean {
  return name.startsWith(HIDDEN);
}

/**
 * Gives a file that was being removed when a process like this one ended its own name again: nobody knows whether it is
 * the infected one. `false` if it is none. Throws SystemError.
 */
export function restoreHidden(place: Place): boolean {
  const [, own] = SECRET.exec(place.name) ?? [];
  const name = own === undefined ? undefined : asFileName(own as ByteString);
  if (name === undefined) return false;
  renameBeside(place, { ...place, name });
  return true;
}

function restoredName(name: FileName, attempt: number): FileName {
  const suffix = fromText(`.restored-${attempt}`);
  const longest = Math.max(LONGEST_SHORT_NAME, name.length); // there is room for so much
  return (beginning(name, longest - suffix.length) + suffix) as FileName; // a name and harmless characters
}
