/**
 * Ends what was under way in the quarantine when a process like this one was killed. Somebody may use the directory for
 * files of his own: only what has a name, an owner, permissions and a description as this client gives them
 * is touched.
 *
 * The description comes first, then the file (moved, or copied beside its name and renamed), and at last the
 * permissions of both. So without a whole description there is nothing yet; after a power failure its content may
 * be lost all the same, and then the file is locked, and nothing is removed.
 */

import type { ByteString, FileName } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { ignoringRefusal } from "../../ffi/errno.ts";
import { setMode, setOwnerAndMode } from "../../ffi/file_content.ts";
import { type FileStatus, statusOf } from "../../ffi/file_status.ts";
import { effectiveUser } from "../../ffi/process.ts";
import {
  claim,
  describedBy,
  finish,
  readDescription,
  UNFINISHED_MODE,
} from "./quarantine_description.ts";
import { isQuarantineName, partialOf } from "./quarantine_names.ts";

/** Nobody may do anything with what is in quarantine. */
export const LOCKED = 0;

/** Removes what is left of that name, or sees to it that it is removed later. */
type Discard = (name: FileName) => void;

/** The paths where it was at work, of which nobody knows what is there by now. */
export function recover(directory: Directory, discard: Discard): ByteString[] {
  const names = ignoringRefusal(() => Array.from(directory.entries(), ({ name }) => name)) ?? [];
  return names.flatMap((name) => ignoringRefusal(() => recoverOne(directory, name, discard)) ?? []);
}

function recoverOne(
  directory: Directory,
  descriptionName: FileName,
  discard: Discard,
): ByteString | undefined {
  const name = describedBy(descriptionName);
  if (name === undefined || !isQuarantineName(name)) return undefined;
  if (!isOwn(directory.status(descriptionName), UNFINISHED_MODE)) return undefined;
  using description = directory.openOrCreateFile(descriptionName, UNFINISHED_MODE);
  if (!claim(description)) return undefined;
  const content = readDescription(description);
  if (content.kind === "foreign") return undefined;
  const path = content.kind === "whole" ? content.path : undefined;
  const isThere = directory.status(name) !== undefined;
  const copy = directory.status(partialOf(name));
  if (isOwn(copy, LOCKED) && (path !== undefined || copy.size === 0)) {
    discard(partialOf(name));
  } else if (copy !== undefined && path === undefined && !isThere) {
    return undefined; // it is not what was begun
  }
  if (isThere) {
    lock(directory, name, statusOf(description));
    finish(description);
  } else discard(descriptionName);
  return path;
}

function isOwn(status: FileStatus | undefined, mode: number): status is FileStatus {
  return status?.kind === "file" && status.uid === effectiveUser() && status.mode === mode;
}

function lock(directory: Directory, name: FileName, { uid, gid }: FileStatus): void {
  if (isOwn(directory.status(name), LOCKED)) return; // it may not even be opened
  const opened = directory.openRegular(name);
  using file = opened?.file;
  if (file === undefined || opened?.status.links !== 1) return;
  setMode(file, LOCKED);
  ignoringRefusal(() => setOwnerAndMode(file, uid, gid, LOCKED));
}
