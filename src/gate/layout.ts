/** The directories of a channel on the host, made where they are missing and held open. */

import { removeAccessControlLists } from "../../ffi/access_control_list.ts";
import {
  absolutePath,
  type ByteString,
  display,
  type FileName,
  fileName,
  join,
  type RelativePath,
  ROOT,
  toText,
} from "../../ffi/byte_string.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { Directory } from "../../ffi/directory.ts";
import { isErrno, messageOf, SystemError } from "../../ffi/errno.ts";
import { setMode, setOwnerAndMode } from "../../ffi/file_content.ts";
import { lockFile } from "../../ffi/file_lock.ts";
import { type FileStatus, statusOf } from "../../ffi/file_status.ts";
import { areLinkable, ifLinkable, proveReflinkIfThereIsRoom } from "./file_system_abilities.ts";
import { apart, InUse, inWords, LayoutFault, misplaced, withAdvice } from "./layout_fault.ts";

export const STAGING = fileName("staging");
export const SHARE = fileName("share");
export const EXPORT_DIRECTORY = fileName("export");
export const QUARANTINE = fileName("quarantine");
/** The daemon's own: the index and the recovery directory. */
export const PRIVATE = fileName(".virtiofs-gate");
export const RECOVERY = fileName("recovery");
/** Locked by whoever serves the channel. */
const LOCK = fileName("lock");

/** Of directories that are the daemon's alone. */
const OWN_MODE = 0o700;
/** Of those that others look into. */
const OPEN_MODE = 0o755;
/** Permissions of the directories that the daemon makes where they are missing. */
const OWN_DIRECTORIES: readonly { readonly name: FileName; readonly mode: number }[] = [
  { name: STAGING, mode: OWN_MODE },
  { name: SHARE, mode: OPEN_MODE },
  { name: EXPORT_DIRECTORY, mode: OPEN_MODE },
  { name: QUARANTINE, mode: OWN_MODE },
  { name: PRIVATE, mode: OWN_MODE },
];

export interface Layout extends Disposable {
  readonly basePath: ByteString;
  readonly base: Directory;
  /** With the index, the lock and `recovery` in it. */
  readonly private: Directory;
  readonly lock: Descriptor;
  readonly staging: Directory;
  readonly share: Directory;
  readonly export: Directory;
  readonly recovery: Directory;
  readonly indexPath: string;
}

/**
 * Opens the channel's directories, making what is missing but `basePath` itself, proves that the file system can do
 * what is needed, and keeps others from serving the same directory until it is disposed. Throws LayoutFault, InUse.
 */
export function openLayout(basePath: ByteString, producers: readonly FileName[]): Layout {
  using base = openBase(basePath);
  // Before anything is made: what is to be mounted here may be missing.
  proveReflinkIfThereIsRoom(base, basePath);
  for (const { name, mode } of OWN_DIRECTORIES) makeOwn(base, name, mode, basePath);
  const opened: Descriptor[] = [];
  const hold = (directory: Directory): Directory => {
    opened.push(directory);
    return directory;
  };
  const open = (name: FileName, above: Directory = base, place = basePath): Directory => {
    const directory = above.openBeneath(name);
    if (directory === undefined) throw new LayoutFault(misplaced(name, place));
    return hold(directory);
  };
  try {
    for (const name of [STAGING, QUARANTINE, PRIVATE]) withoutLists(base, name);
    const own = open(PRIVATE);
    const lock = claim(own, basePath);
    opened.push(lock);
    own.makeDirectory(RECOVERY, OWN_MODE);
    withoutLists(own, RECOVERY);
    const layout: Layout = {
      basePath,
      base: hold(base.duplicate()),
      private: own,
      lock,
      staging: open(STAGING),
      share: open(SHARE),
      export: open(EXPORT_DIRECTORY),
      recovery: open(RECOVERY, own, absolutePath(basePath, PRIVATE)),
      indexPath: `${toText(basePath)}/${PRIVATE}/index.sqlite`,
      [Symbol.dispose]: () => opened.forEach((descriptor) => descriptor.close()),
    };
    open(QUARANTINE);
    emptyDirectory(layout.staging);
    proveAbilities(layout, basePath, producers);
    return layout;
  } catch (error) {
    opened.forEach((descriptor) => descriptor.close());
    throw error instanceof SystemError ? new LayoutFault(inWords(error, basePath)) : error;
  }
}

/** Why the share of one producer cannot be used, though there is something; `undefined` if there is nothing. */
export function obstacleToShare(
  { share, basePath }: Layout,
  producer: FileName,
): string | undefined {
  const place = absolutePath(basePath, SHARE);
  try {
    if (share.status(producer) === undefined) return undefined;
    using root = share.openBeneath(producer);
    return root === undefined ? misplaced(producer, place) : apart(absolutePath(place, producer));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return messageOf(error);
  }
}

/** The channel's directory itself, which is never made. Throws LayoutFault. */
export function openBase(basePath: ByteString): Directory {
  try {
    return Directory.openTrusted(basePath);
  } catch (error) {
    if (isErrno(error, "ENOENT")) {
      throw new LayoutFault(`${display(basePath)} does not exist: make it, or mount it first`);
    }
    if (isErrno(error, "ENOTDIR")) {
      throw new LayoutFault(`${display(basePath)} is no directory: give the path of one`);
    }
    throw error instanceof SystemError ? new LayoutFault(inWords(error, basePath)) : error;
  }
}

function makeOwn(base: Directory, name: FileName, mode: number, basePath: ByteString): void {
  try {
    if (!base.makeDirectory(name, mode)) return;
    using made = base.openSubdirectory(name);
    if (made === undefined) return;
    // What a host that makes it has it inherit is the host's wish; here it would be an accident.
    if (name === EXPORT_DIRECTORY) removeAccessControlLists(made);
    setOwnerAndMode(made, statusOf(made).uid, statusOf(made).gid, mode);
  } catch (error) {
    const place = `${display(basePath)}/${display(name)}`;
    throw new LayoutFault(`${place} cannot be made: ${withAdvice(error)}`);
  }
}

/**
 * Takes away what one of the daemon's own inherited from the directory above it, which may have a default list for its own
 * good reasons: whatever is made in staging would get that as well, and would be published with it (I4).
 */
function withoutLists(above: Directory, name: FileName): void {
  using directory = above.openSubdirectory(name);
  if (directory === undefined || !removeAccessControlLists(directory)) return;
  // The permissions of its group were a mask of the list.
  setMode(directory, OWN_MODE);
}

/** Two daemons would take each other's work for a guest's, and put back what the other is just replacing. */
function claim(own: Directory, basePath: ByteString): Descriptor {
  const lock = own.openOrCreateFile(LOCK, 0o600);
  try {
    if (lockFile(lock)) return lock;
    throw new InUse(`${display(basePath)} is served by another virtiofs-gate: stop that one first`);
  } catch (error) {
    lock.close();
    throw error;
  }
}

function proveAbilities(
  layout: Layout,
  basePath: ByteString,
  producers: readonly FileName[],
): void {
  const { staging } = layout;
  proveReflinkIfThereIsRoom(staging, basePath);
  const places: readonly (readonly [Directory, ByteString])[] = [
    [layout.share, SHARE],
    [layout.export, EXPORT_DIRECTORY],
    [layout.recovery, join(PRIVATE, RECOVERY)],
  ];
  for (const [directory, path] of places) {
    if (!areLinkable(staging, directory)) {
      throw new LayoutFault(apart(absolutePath(basePath, path)));
    }
  }
  for (const path of [QUARANTINE, ...producers.map((producer) => join(SHARE, producer))]) {
    using directory = layout.base.openBeneath(path);
    if (directory === undefined || areLinkable(staging, directory)) continue;
    throw new LayoutFault(apart(absolutePath(basePath, path)));
  }
}

/** Removes everything in a directory of the daemon's own, which no guest can reach. */
function emptyDirectory(directory: Directory): void {
  for (const { name, kind } of [...directory.entries()]) {
    if (kind === "directory") {
      using below = directory.openBeneath(name);
      if (below !== undefined) emptyDirectory(below);
      directory.removeDirectory(name);
    } else directory.removeFile(name);
  }
}

/** The share of one producer; `undefined` while it is not there, or is nothing that files can be renamed into. */
export function openShare(layout: Layout, producer: FileName): Directory | undefined {
  return ifLinkable(layout.share.openBeneath(producer), layout.share);
}

/**
 * The export, made again where it was removed or moved away, or what was put in its place; `undefined` while it is
 * `held`. The caller closes it. Throws SystemError, LayoutFault.
 */
export function renewedExport(layout: Layout, held: Directory): Directory | undefined {
  if (layout.base.status(EXPORT_DIRECTORY)?.inode === statusOf(held).inode) return undefined;
  makeOwn(layout.base, EXPORT_DIRECTORY, OPEN_MODE, layout.basePath);
  const directory = ifLinkable(layout.base.openBeneath(EXPORT_DIRECTORY), layout.staging);
  if (directory !== undefined) return directory;
  throw new LayoutFault("it is no directory any more into which files can be renamed");
}

/**
 * Where the host has removed what is held open, put something else in its place or mounted something over it: what is done
 * with what is held reaches nobody any more. Throws SystemError where that cannot be told.
 */
export function displacedPlace(layout: Layout): ByteString | undefined {
  const { basePath, base, private: own } = layout;
  if (!isHeld(statusAtPath(basePath), base)) return basePath;
  const places: readonly (readonly [Directory, RelativePath, FileName, Descriptor])[] = [
    [base, ROOT, SHARE, layout.share],
    [base, ROOT, STAGING, layout.staging],
    [base, ROOT, PRIVATE, own],
    [own, PRIVATE, RECOVERY, layout.recovery],
    [own, PRIVATE, LOCK, layout.lock],
  ];
  for (const [above, path, name, held] of places) {
    if (!isHeld(above.status(name), held)) return absolutePath(basePath, join(path, name));
  }
  return undefined;
}

/** `undefined` if no directory is there. Throws SystemError where that cannot be told. */
export function statusAtPath(path: ByteString): FileStatus | undefined {
  try {
    using directory = Directory.openTrusted(path);
    return statusOf(directory);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP", "ESTALE")) return undefined;
    throw error;
  }
}

function isHeld(found: FileStatus | undefined, held: Descriptor): boolean {
  const { inode, device, mountId } = statusOf(held);
  return found?.inode === inode && found.device === device && found.mountId === mountId;
}

/** The quarantine, which may have been removed, and made again since. Throws SystemError, LayoutFault. */
export function openQuarantine({ base, staging }: Layout): Directory {
  withoutLists(base, QUARANTINE);
  const opened = base.openBeneath(QUARANTINE);
  const directory = ifLinkable(opened, staging);
  if (directory !== undefined) return directory;
  throw new LayoutFault(
    opened === undefined
      ? "the directory is not there: make it again"
      : "the directory is a mount or a subvolume of its own",
  );
}
