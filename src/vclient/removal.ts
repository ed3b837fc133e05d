/**
 * Takes away the very file that was scanned, and nothing that took its place (I2, I3).
 *
 * A name can be given to another file between any look at it and unlink(2). So the file is first renamed to a name that
 * nobody can guess, then looked at there, and renamed back if it is another one. What remains possible:
 * whoever may write to the directory sees that name appear, and can exchange it in the microseconds before the
 * unlink. He can only give us what he may rename, so what is unlinked then is his to delete anyway, and the
 * infected file gets a new name by that, which is an event, and is scanned. After a crash
 * right in between the file stays under its hidden name, until the next start.
 */

import { display, type FileName, fileName, fromText } from "../../ffi/byte_string.ts";
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

/** An innocent file could not go back to its name: it is kept under another one. */
export type OnStray = (message: string) => void;

/** Unlinks the name of a scanned file. Throws SystemError; then it is as it was. */
export function remove(scanned: ScannedFile, onStray: OnStray): Outcome {
  const hidden = { directory: scanned.parent, name: hiddenName() };
  if (takeOut(scanned, hidden, onStray) === "changed") return "changed";
  try {
    hidden.directory.removeFile(hidden.name);
  } catch (error) {
    putBack(hidden, { directory: scanned.parent, name: scanned.name }, onStray);
    throw error;
  }
  return "done";
}

/** Moves a scanned file to a free name on the same filesystem. Throws SystemError; EXDEV if it is another one. */
export function takeOut(scanned: ScannedFile, to: Place, onStray: OnStray): Outcome {
  const { parent, name } = scanned;
  const there = parent.status(name);
  if (there === undefined || !isScanned(scanned, there)) return "changed";
  try {
    rename({ directory: parent, name }, to);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return "changed";
    throw error;
  }
  let found: Found = "another"; // as long as nobody can tell
  try {
    found = lookAtTaken(scanned, to);
  } finally {
    if (found === "another") putBack(to, { directory: parent, name }, onStray);
  }
  return found === "scanned" ? "done" : "changed";
}

/** `nothing`: it was taken from us again; whatever it was, it has a new name. */
type Found = "scanned" | "another" | "nothing";

function lookAtTaken(scanned: ScannedFile, { directory, name }: Place): Found {
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
const LONGEST_NAME = 230;

function putBack(from: Place, to: Place, onStray: OnStray): void {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const name = attempt === 0 ? to.name : restoredName(to.name, attempt);
    try {
      rename(from, { directory: to.directory, name });
      if (attempt > 0) {
        onStray(
          `${display(to.name)} was replaced at the moment when it was to be removed: ` +
            `the innocent file that was met is now ${display(name)}`,
        );
      }
      return;
    } catch (error) {
      if (isErrno(error, "EEXIST")) continue;
      const reason = messageOf(error);
      onStray(
        `${
          display(to.name)
        } was replaced at the moment when it was to be removed, and the innocent ` +
          `file that was met could not be put back (${reason}): it is ${display(from.name)} now`,
      );
      return;
    }
  }
}

/** Replaces nothing. */
function rename(from: Place, to: Place): void {
  try {
    from.directory.rename(from.name, to.directory, to.name);
  } catch (error) {
    // Some network filesystems know no RENAME_NOREPLACE: there a newcomer could be met by bad luck.
    if (!isErrno(error, "EINVAL") || to.directory.status(to.name) !== undefined) throw error;
    const REPLACING = 0;
    from.directory.rename(from.name, to.directory, to.name, REPLACING);
  }
}

const HIDDEN = ".clamd-vclient-";

function hiddenName(): FileName {
  return fileName(`${HIDDEN}${crypto.randomUUID()}`);
}

/** Whether a file of this name was being removed when a process like this one ended. */
export function isHidden(name: FileName): boolean {
  return name.startsWith(HIDDEN);
}

function restoredName(name: FileName, attempt: number): FileName {
  const suffix = fromText(`.restored-${attempt}`);
  return (name.slice(0, LONGEST_NAME) + suffix) as FileName; // a name and harmless characters
}
