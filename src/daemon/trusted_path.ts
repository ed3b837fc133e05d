/** Directories by the paths of the command line, and whether they still are what they were. */

import {
  absolutePath,
  asFileName,
  type ByteString,
  display,
  fromText,
} from "../../ffi/byte_string.ts";
import { canonicalPath } from "../../ffi/canonical_path.ts";
import { keptIf } from "../../ffi/descriptor.ts";
import { Directory } from "../../ffi/directory.ts";
import { isErrno, messageOf } from "../../ffi/errno.ts";
import { StartFailure } from "./daemon.ts";

/** What is to be done about a directory that a sandbox hides, or shows read-only. */
export const IN_A_SERVICE = "a service has it if its unit names it in BindPaths=";

/** The canonical path of a directory that must exist; a StartFailure that names `option` if it does not. */
export function existingDirectory(option: string, path: string): ByteString {
  try {
    using directory = Directory.openTrusted(fromText(path));
    return canonicalPath(directory);
  } catch (error) {
    throw failure(option, path, reasonOf(error, path));
  }
}

/** The same of one whose entries can be read, too: nothing in it could be found otherwise. */
export function readableDirectory(option: string, path: string): ByteString {
  const canonical = existingDirectory(option, path);
  try {
    using directory = Directory.openTrusted(canonical);
    for (const _ of directory.entries()) break;
  } catch (error) {
    const reason = isErrno(error, "EACCES", "EPERM")
      ? "no permission to read it; give that to this user, or run as another one"
      : messageOf(error);
    throw failure(option, path, reason);
  }
  return canonical;
}

/** The canonical path of a place that may be missing for now. */
export function placeOf(option: string, path: string): ByteString {
  const bytes = fromText(path.replace(/(?<=.)\/+$/, "")); // `a/` is `a`, and `/` stays
  try {
    const place = canonicalPlace(bytes);
    if (hasLostBytes(path)) Directory.openTrusted(bytes).close(); // it is no place for later
    return place;
  } catch (error) {
    throw failure(option, path, reasonOf(error, path));
  }
}

function canonicalPlace(path: ByteString): ByteString {
  try {
    using directory = Directory.openTrusted(path);
    return canonicalPath(directory);
  } catch (error) {
    const slash = path.lastIndexOf("/");
    const name = asFileName(path.slice(slash + 1) as ByteString);
    if (!isErrno(error, "ENOENT", "ENOTDIR") || name === undefined) throw error;
    const parent = slash < 0 ? "." : path.slice(0, slash) || "/";
    return absolutePath(canonicalPlace(parent as ByteString), name);
  }
}

/**
 * Opens a directory by its canonical path; `undefined` if that leads elsewhere by now. Whoever may
 * rename a watched directory cannot put a link in its place that makes us act on other people's files (I2).
 */
export function openCanonical(path: ByteString): Directory | undefined {
  let directory: Directory;
  try {
    directory = Directory.openTrusted(path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
    throw error;
  }
  return keptIf(directory, (opened) => canonicalPath(opened) === path);
}

function failure(option: string, path: string, reason: string): StartFailure {
  return new StartFailure(`${option} ${display(fromText(path))}: ${reason}`);
}

/** Deno gives each byte of an argument that is not UTF-8 as U+FFFD. */
function hasLostBytes(path: string): boolean {
  return path.includes("\ufffd");
}

function reasonOf(error: unknown, path: string): string {
  if (isErrno(error, "ENOENT")) {
    return hasLostBytes(path)
      ? "there is no such directory, and a name that is not UTF-8 cannot be given on the command line; " +
        'go into it, and give "."'
      : `there is no such directory; create it, or correct the path; ${IN_A_SERVICE}`;
  }
  if (isErrno(error, "ENOTDIR")) return "is not a directory";
  if (isErrno(error, "EACCES")) return "no permission to enter it";
  return messageOf(error);
}
