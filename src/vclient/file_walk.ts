/** Reads a tree and tells of its regular files. Memory is bounded by the largest directory, not by the tree. */

import { type FileName, join, type RelativePath } from "../../ffi/byte_string.ts";
import { pause } from "../../ffi/clock.ts";
import type { Directory } from "../../ffi/directory.ts";
import type { DirectoryEntry } from "../../ffi/dirent.ts";
import { isErrno, lacksDescriptors, SystemError } from "../../ffi/errno.ts";
import { type FileStatus, statusOf } from "../../ffi/file_status.ts";
import { nextTurn } from "../../ffi/reactor.ts";
import { pathOf, type Place, ReachedDirectories } from "./reached_directories.ts";

/** How long others wait for their turn (I7). */
const SLICE_MS = 5;
/** Others will be done with their descriptors by then. */
const AFTER_SHORTAGE_MS = 100;

export interface FileVisitor {
  isExcluded(path: RelativePath): boolean;
  /** Whether a directory at `path` is to be read: each that is not excluded, by default. */
  enters?(path: RelativePath): boolean;
  /** Whether what is in that directory, which lies below the topmost one, may be new, however old it is itself. */
  isMoved?(directory: FileStatus): boolean;
  /** A directory was read, with all its entries; `directory` is what it was before. */
  wasRead?(directory: FileStatus): void;
  /**
   * One regular file; `name` is the last of its path's, `isMoved` whether `isMoved` was true of a directory above it. A
   * promise is waited for.
   */
  file(
    path: RelativePath,
    status: FileStatus,
    name: FileName,
    isMoved: boolean,
  ): Promise<void> | void;
  /** A directory or an entry cannot be read, and why. */
  onTrouble(path: RelativePath, reason: string): void;
  /** Something else is mounted at `path`, or above it, which is not entered. */
  covered(path: RelativePath): void;
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

/** A directory that is still to be read. */
interface Unread extends Place {
  /** One above it was, as the visitor says. */
  readonly isMoved: boolean;
}

interface Walk {
  readonly visitor: FileVisitor;
  readonly slice: Slice;
  readonly places: Unread[];
}

/** Tells of the files below the directory `top`. */
export async function walkFiles(
  root: Directory,
  top: RelativePath,
  visitor: FileVisitor,
): Promise<void> {
  const first: Unread = { above: undefined, name: top, isMoved: false };
  const walk: Walk = { visitor, slice: new Slice(), places: [first] };
  using reached = new ReachedDirectories(root);
  for (let place = walk.places.pop(); place !== undefined; place = walk.places.pop()) {
    if (walk.slice.isOver) await walk.slice.rest();
    if (visitor.isStopped()) return;
    const path = pathOf(place);
    try {
      using directory = reached.open(place, () => visitor.covered(path));
      if (directory !== undefined) await readDirectory(directory, place, path, walk);
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

async function readDirectory(
  directory: Directory,
  place: Unread,
  path: RelativePath,
  { visitor, slice, places }: Walk,
): Promise<void> {
  const status = statusOf(directory);
  const isMoved = place.isMoved ||
    (place.above !== undefined && visitor.isMoved?.(status) === true);
  let isWhole = true;
  const troubles = {
    onTrouble(below: RelativePath, reason: string) {
      isWhole = false;
      visitor.onTrouble(below, reason);
    },
    covered: (below: RelativePath) => visitor.covered(below),
  };
  for (const entry of directory.entries()) {
    const below = join(path, entry.name);
    if (!visitor.isExcluded(below)) {
      const found = look(directory, entry, below, troubles);
      if (found === "directory") {
        const isEntered = visitor.enters?.(below) !== false;
        if (isEntered) places.push({ above: place, name: entry.name, isMoved });
      } else if (found !== undefined) {
        const isTaken = visitor.file(below, found, entry.name, isMoved);
        if (isTaken !== undefined) await isTaken;
      }
    }
    if (!slice.isOver) continue;
    if (visitor.isStopped()) return;
    await slice.rest();
  }
  if (isWhole) visitor.wasRead?.(status);
}

/** A regular file's status; links and special files are nobody's business. */
function look(
  directory: Directory,
  { name, kind }: DirectoryEntry,
  path: RelativePath,
  { onTrouble, covered }: Pick<FileVisitor, "onTrouble" | "covered">,
): FileStatus | "directory" | undefined {
  if (kind === "directory") return "directory";
  if (kind === "link" || kind === "other") return undefined;
  try {
    // Anybody may mount what never answers over a file of his own (fusermount(1)).
    if (directory.isMountPoint(name)) {
      covered(path);
      return undefined;
    }
    const status = directory.status(name);
    if (status?.kind === "directory") return "directory";
    return status?.kind === "file" ? status : undefined;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    onTrouble(path, error.message);
    return undefined;
  }
}
