/**
 * Makes every file browser in the guest look again: a hidden file comes or goes, which raises a create or a
 * delete event in the directory. (Some browsers ignore a mere touch.)
 */

import { type ByteString, fileName } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { isErrno } from "../../ffi/errno.ts";

const TRIGGER = fileName(".virtiofs-refresh");

export type Refreshed = "created" | "removed";

/** The name is taken by something that is not ours to remove. */
export class TriggerBlocked extends Error {
  override readonly name = "TriggerBlocked";
}

/**
 * Toggles the trigger in the directory at `path`. The directory is opened each time: it may have been unmounted,
 * mounted again or replaced since. Never follows a link from there on, and removes nothing but a
 * regular file. Throws SystemError, or TriggerBlocked.
 */
export function toggleTrigger(path: ByteString): Refreshed {
  using directory = Directory.openTrusted(path);
  // Others may toggle too (a second instance, a user): whoever comes second tries the other way.
  for (let attempt = 0; attempt < 3; attempt++) {
    const present = directory.status(TRIGGER);
    if (present === undefined) {
      if (create(directory)) return "created";
    } else if (present.kind !== "file") {
      throw new TriggerBlocked(`${TRIGGER} is there, and is not a regular file: remove it`);
    } else if (directory.removeFile(TRIGGER)) return "removed";
  }
  throw new TriggerBlocked(`${TRIGGER} comes and goes by other hands`);
}

function create(directory: Directory): boolean {
  try {
    directory.createFile(TRIGGER, 0o644).close();
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}
