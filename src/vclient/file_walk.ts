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
import { pathOf, type Place, ReachedDirectories } from "./reached_directories.ts";

/** How long others wait for their turn (I7). */
const SLICE_MS = 5;
/** Others will be done with their descriptors by then. */
const AFTER_SHORTAGE_MS = 100;

const MOUNTED = "another file system is mounted there (name it to have it watched, too)";

export interface FileVisitor {
  isExcluded(path: RelativePath): boolean;
  /** One regular file; `name` is the last of its path's. A promise is waited for. */
  file(path: RelativePath, status: FileStatus, name: FileName): Promise<void> | void;
  /** A directory or an entry cannot be read, and why. Another file system that is mounted below is not entered. */
  onTrouble(path: RelativePath, reason: string): void;
  isStopped(): boolean;
}

/** For how long the event loop has been kept from others, over all directories: most are read in no time. */
class Slice {
  #endsAt = performance.now() + SLICE_MS;

  get isOver(): boolean {
    return performance.now() >= this.#endsAt;
  }

  async rest(): Promise<void> {
    await nextTurn();
    this.#endsAt = performance.now() + SLICE_MS;
  }
}

interface Walk {
  readonly visitor: FileVisitor;
  readonly slice: Slice;
  /** Those that are still to be read. */
  readonly places: Place[];
}

/** Tells of the files below the directory `top`. */
export async function walkFiles(
  root: Directory,
  top: RelativePath,
  visitor: FileVisitor,
): Promise<void> {
  const walk: Walk = { visitor, slice: new Slice(), places: [{ above: undefined, name: top }] };
  using reached = new ReachedDirectories(root);
  for (let place = walk.places.pop(); place !== undefined; place = walk.places.pop()) {
    if (walk.slice.isOver) await walk.slice.rest();
    if (visitor.isStopped()) return;
    const path = pathOf(place);
    try {
      using directory = reached.open(place);
      if (directory !== undefined) await readDirectory(directory, place, path, walk);
      else if (isMountPoint(root, reached, place)) visitor.onTrouble(path, MOUNTED);
    } catch (error) {
      if (isErrno(error, "ENOENT")) continue; // removed meanwhile
      if (lacksDescriptors(error)) {
        walk.places.push(place);
        reached.release();
        await pause(AFTER_SHORTAGE_MS);
        continue;
      }
      if (!(error instanceof SystemError)) throw error;
      visitor.onTrouble(path, error.message);
    }
  }
}

function isMountPoint(root: Directory, reached: ReachedDirectories, place: Place): boolean {
  const { above, name } = place;
  if (name === ROOT) return false;
  // The topmost one may have a path of several names.
  using parent = above === undefined ? root.openBeneath(parentOf(name)) : reached.open(above);
  const status = parent?.status(nameOf(name));
  return status?.kind === "directory" && status.mountId !== root.mountId;
}

async function readDirectory(
  directory: Directory,
  place: Place,
  path: RelativePath,
  { visitor, slice, places }: Walk,
): Promise<void> {
  for (const entry of directory.entries()) {
    const below = join(path, entry.name);
    if (!visitor.isExcluded(below)) {
      const found = look(directory, entry, (reason) => visitor.onTrouble(below, reason));
      if (found === "directory") places.push({ above: place, name: entry.name });
      else if (found !== undefined) {
        const isTaken = visitor.file(below, found, entry.name);
        if (isTaken !== undefined) await isTaken;
      }
    }
    if (!slice.isOver) continue;
    if (visitor.isStopped()) return;
    await slice.rest();
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
