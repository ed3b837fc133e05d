/** Reading a configuration file, without any permission of Deno's: a reload comes after they were given up. */

import { displayText } from "../../../ffi/byte_string.ts";
import { isErrno } from "../../../ffi/errno.ts";
import { readHostText } from "../../../ffi/host_file.ts";

/** The configuration's text, or why it cannot be read. */
export function readConfiguration(
  path: string,
): { readonly text: string } | { readonly problem: string } {
  try {
    return { text: readHostText(path) };
  } catch (error) {
    return { problem: `the configuration ${displayText(path)} ${reasonOf(error)}` };
  }
}

function reasonOf(error: unknown): string {
  if (isErrno(error, "ENOENT")) return "does not exist";
  if (isErrno(error, "EACCES", "EPERM")) return "may not be read by this user";
  if (isErrno(error, "EISDIR")) return "is a directory";
  return `cannot be read: ${error instanceof Error ? error.message : error}`;
}
