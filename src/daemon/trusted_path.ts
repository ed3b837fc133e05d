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

/** The canonical path of a directory that must exist; a StartFailure that names `option` if it does not. */
export function existingDirectory(option: string, path: string): ByteString {
  try {
    using directory = Directory.openTrusted(fromText(path));
    return canonicalPath(directory);
  } catch (error) {
    throw new StartFailure(`${option} ${display(fromText(path))}: ${reasonOf(error)}`);
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
    throw new StartFailure(`${option} ${display(fromText(path))}: ${reason}`);
  }
  return canonical;
}

/** The canonical path of a place that may be missing for now. */
export function placeOf(option: string, path: string): ByteString {
  const bytes = fromText(path.replace(/(?<=.)\/+$/, "")); // `a/` is `a`, and `/` stays
  try {
    return canonicalPlace(bytes);
  } catch (error) {
    throw new StartFailure(`${option} ${display(fromText(path))}: ${reasonOf(error)}`);
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

function reasonOf(error: unknown): string {
  if (isErrno(error, "ENOENT")) return "there is no such directory; create it, or correct the path";
  if (isErrno(error, "ENOTDIR")) return "is not a directory";
  if (isErrno(error, "EACCES")) return "no permission to enter it";
  return messageOf(error);
}
