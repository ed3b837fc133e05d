/** Reading a configuration file, without any permission of Deno's: a reload comes after they were given up. */

import { displayText } from "../../../ffi/byte_string.ts";
import { isErrno } from "../../../ffi/errno.ts";
import { readHostFile } from "../../../ffi/host_file.ts";

/** What is no UTF-8 would become other names. A byte order mark is for the parser. */
const TEXT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The configuration's text, or why it cannot be read. */
export function readConfiguration(
  path: string,
): { readonly text: string } | { readonly problem: string } {
  try {
    return { text: TEXT.decode(readHostFile(path)) };
  } catch (error) {
    return { problem: `the configuration ${displayText(path)} ${reasonOf(error, path)}` };
  }
}

function reasonOf(error: unknown, path: string): string {
  if (isErrno(error, "ENOENT")) {
    return path.startsWith("/")
      ? "does not exist"
      : "does not exist, seen from where the program runs (of a deno task that is the project): give its whole path";
  }
  if (isErrno(error, "EACCES", "EPERM")) return "may not be read by this user";
  if (isErrno(error, "EISDIR")) return "is a directory";
  if (error instanceof TypeError) return "is no text in UTF-8: save it as such";
  return `cannot be read: ${error instanceof Error ? error.message : error}`;
}
