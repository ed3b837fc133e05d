/**
 * Makes every file browser in the guest look again: a hidden file comes or goes, which raises a create or a
 * delete event in the directory. (Some browsers ignore a mere touch.)
 */

import { type ByteString, fileName } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { isErrno } from "../../ffi/errno.ts";
import { openCanonical } from "../daemon/trusted_path.ts";

const TRIGGER = fileName(".virtiofs-refresh");

export type Refreshed = "created" | "removed";

/** Something that is not ours has the place of the directory, or of the trigger. */
export class TriggerBlocked extends Error {
  override readonly name = "TriggerBlocked";
}

/**
 * Toggles the trigger in the directory at a canonical path. The directory is opened each time: it may have been
 * unmounted, mounted again or replaced since. Never follows a link (I2), and removes nothing but a regular file.
 * Throws SystemError, or TriggerBlocked.
 */
export function toggleTrigger(path: ByteString): Refreshed {
  using directory = openCanonical(path);
  if (directory === undefined) throw new TriggerBlocked("it is gone, or leads elsewhere");
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
