/** Reads a tree and tells of its regular files. Memory is bounded by the largest directory, not by the tree. */

import {
  type FileName,
  join,
  nameOf,
  parentOf,
  type RelativePath,
  ROOT,
} from "../../ffi/byte_string.ts";
import { pause } from "../../ffi/clock.ts";
import type { Directory } from "../../ffi/directory.ts";
import type { DirectoryEntry } from "../../ffi/dirent.ts";
import { isErrno, lacksDescriptors, SystemError } from "../../ffi/errno.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import { nextTurn } from "../../ffi/reactor.ts";

/** How long others wait for their turn. */
const SLICE_MS = 5;
/** Others will be done with their descriptors by then. */
const AFTER_SHORTAGE_MS = 100;

const MOUNTED = "another file system is mounted there (name it to have it watched, too)";

export interface FileVisitor {
  isExcluded(path: RelativePath): boolean;
  /** One regular file. A promise is waited for. */
  file(path: RelativePath, status: FileStatus): Promise<void> | void;
  /** A directory or an entry cannot be read, and why. Another file system that is mounted below is not entered. */
  onTrouble(path: RelativePath, reason: string): void;
  isStopped(): boolean;
}

/** It has its path only when its turn comes: a directory holds as many others, and lies as deep, as anybody likes (I6). */
interface Below {
  readonly above: RelativePath;
  readonly name: FileName;
}

/** Tells of the files below the directory `top`. */
export async function walkFiles(
  root: Directory,
  top: RelativePath,
  visitor: FileVisitor,
): Promise<void> {
  const directories: (Below | RelativePath)[] = [top];
  for (let next = directories.pop(); next !== undefined; next = directories.pop()) {
    if (visitor.isStopped()) return;
    const path = typeof next === "string" ? next : join(next.above, next.name);
    try {
      using directory = root.openBeneath(path);
      if (directory !== undefined) await readDirectory(directory, path, visitor, directories);
      else if (isMountPoint(root, path)) visitor.onTrouble(path, MOUNTED);
    } catch (error) {
      if (isErrno(error, "ENOENT")) continue; // removed meanwhile
      if (lacksDescriptors(error)) {
        directories.push(path);
        await pause(AFTER_SHORTAGE_MS);
        continue;
      }
      if (!(error instanceof SystemError)) throw error;
      visitor.onTrouble(path, error.message);
    }
  }
}

function isMountPoint(root: Directory, path: RelativePath): boolean {
  if (path === ROOT) return false;
  using parent = root.openBeneath(parentOf(path));
  const status = parent?.status(nameOf(path));
  return status?.kind === "directory" && status.mountId !== root.mountId;
}

async function readDirectory(
  directory: Directory,
  path: RelativePath,
  visitor: FileVisitor,
  directories: (Below | RelativePath)[],
): Promise<void> {
  let restAt = performance.now() + SLICE_MS;
  for (const entry of directory.entries()) {
    const below = join(path, entry.name);
    if (!visitor.isExcluded(below)) {
      const found = look(directory, entry, (reason) => visitor.onTrouble(below, reason));
      if (found === "directory") directories.push({ above: path, name: entry.name });
      else if (found !== undefined) {
        const isTaken = visitor.file(below, found);
        if (isTaken !== undefined) await isTaken;
      }
    }
    if (performance.now() < restAt) continue;
    if (visitor.isStopped()) return;
    await nextTurn();
    restAt = performance.now() + SLICE_MS;
  }
}

/** A regular file's status; links and special files are nobody's business. */
function look(
  directory: Directory,
  { name, kind }: DirectoryEntry,
  onTrouble: (reason: string) => void,
): FileStatus | "directory" | undefined {
  if (kind === "directory") return "directory";
  if (kind === "link" || kind === "other") return undefined;
  try {
    const status = directory.status(name);
    if (status?.kind === "directory") return "directory";
    return status?.kind === "file" ? status : undefined;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    onTrouble(error.message);
    return undefined;
  }
}
