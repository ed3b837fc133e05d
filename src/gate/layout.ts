/** The directories of a channel on the host, and whether they can do what the daemon needs of them. */

import { removeAccessControlLists } from "../../ffi/access_control_list.ts";
import {
  type ByteString,
  display,
  type FileName,
  fileName,
  join,
  type RelativePath,
  ROOT,
  toText,
} from "../../ffi/byte_string.ts";
import { type Descriptor, keptIf } from "../../ffi/descriptor.ts";
import { Directory } from "../../ffi/directory.ts";
import { isErrno, lacksDescriptors, messageOf, SystemError } from "../../ffi/errno.ts";
import { cloneNow, setMode, setOwnerAndMode, writeAll } from "../../ffi/file_content.ts";
import { lockFile } from "../../ffi/file_lock.ts";
import { type FileStatus, statusOf } from "../../ffi/file_status.ts";
import { type ChannelFault, fault, warning } from "./config/fault.ts";

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

/** Why a channel cannot run, in words. */
export class LayoutFault extends Error {
  override readonly name: string = "LayoutFault";
}

/** The disk is too full to tell what it can do. */
class NoRoom extends LayoutFault {
  override readonly name = "NoRoom";
}

/** Somebody serves the channel already; a daemon that is ending lets go of it soon. */
export class InUse extends LayoutFault {
  override readonly name = "InUse";
}

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
      recovery: open(RECOVERY, own, hostPath(basePath, PRIVATE)),
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

/** What failed where, and what to do where that is clear. */
function inWords(error: SystemError, basePath: ByteString): string {
  return `${display(basePath)}: ${withAdvice(error)}`;
}

function withAdvice(error: unknown): string {
  const advice = adviceFor(error);
  return advice === undefined ? messageOf(error) : `${messageOf(error)}: ${advice}`;
}

function adviceFor(error: unknown): string | undefined {
  if (isPermission(error)) return AS_ROOT;
  if (isErrno(error, "EROFS")) return WRITABLE;
  if (lacksDescriptors(error)) return "let the service have more of them (LimitNOFILE=)";
  return isFull(error) ? "make room" : undefined;
}

const AS_ROOT = "run as root, or with CAP_CHOWN, CAP_DAC_OVERRIDE and CAP_FOWNER";
/** Both look the same from here. */
const WRITABLE = "mount it writable, and let the service's sandbox write there (ReadWritePaths=)";

function isPermission(error: unknown): boolean {
  return isErrno(error, "EACCES", "EPERM");
}

function isFull(error: unknown): boolean {
  return isErrno(error, "ENOSPC", "EDQUOT");
}

/**
 * The same checks without changing anything that stays; what is wrong, in words. `sharesMayBeMissing`: as for the
 * daemon, which waits for them.
 */
export function checkLayout(
  basePath: ByteString,
  producers: readonly FileName[],
  { sharesMayBeMissing }: { readonly sharesMayBeMissing: boolean },
): ChannelFault[] {
  const found: ChannelFault[] = [];
  const add = (message: string) => found.push(fault(FIELD, message));
  try {
    using base = openBase(basePath);
    for (const message of placeFaults(base, basePath)) add(message);
    for (const message of shareFaults(base, basePath, producers, sharesMayBeMissing)) add(message);
    using staging = base.openBeneath(STAGING);
    proveReflink(staging ?? base, basePath);
  } catch (error) {
    // A guest that fills the disk is not to keep the host from changing the configuration (I7).
    if (error instanceof NoRoom) found.push(warning(FIELD, `${error.message}; ${UNPROVEN}`));
    else if (error instanceof SystemError) add(inWords(error, basePath));
    else add(messageOf(error));
  }
  return found;
}

/** Of the configuration: what says where all of it is. */
const FIELD = "basePath";
const UNPROVEN = "whether files can be cloned there is not known";

function* placeFaults(base: Directory, basePath: ByteString): Generator<string> {
  using staging = base.openBeneath(STAGING);
  const like = staging ?? base;
  for (const name of [STAGING, SHARE, EXPORT_DIRECTORY, QUARANTINE, PRIVATE]) {
    yield* placeFault(base, name, like, basePath);
  }
  using own = base.openBeneath(PRIVATE);
  if (own !== undefined) yield* placeFault(own, RECOVERY, like, hostPath(basePath, PRIVATE));
}

/** What is wrong with `name` in the directory at `place`, if it is there; names are to be moved between it and `like`. */
function* placeFault(
  above: Directory,
  name: FileName,
  like: Directory,
  place: ByteString,
): Generator<string> {
  using directory = above.openBeneath(name);
  if (directory !== undefined) {
    if (!areLinkable(like, directory)) yield apart(hostPath(place, name));
  } else if (above.status(name) !== undefined) yield misplaced(name, place);
}

function* shareFaults(
  base: Directory,
  basePath: ByteString,
  producers: readonly FileName[],
  mayBeMissing: boolean,
): Generator<string> {
  using staging = base.openBeneath(STAGING);
  using share = base.openBeneath(SHARE);
  const place = hostPath(basePath, SHARE);
  for (const producer of producers) {
    using root = share?.openBeneath(producer);
    if (root !== undefined) {
      if (!areLinkable(staging ?? base, root)) yield apart(hostPath(place, producer));
    } else if (!mayBeMissing) {
      yield share?.status(producer) === undefined
        ? `${display(hostPath(place, producer))} does not exist: make the directory`
        : misplaced(producer, place);
    }
  }
}

/** Why the share of one producer cannot be used, though there is something; `undefined` if there is nothing. */
export function obstacleToShare(
  { share, basePath }: Layout,
  producer: FileName,
): string | undefined {
  const place = hostPath(basePath, SHARE);
  try {
    if (share.status(producer) === undefined) return undefined;
    using root = share.openBeneath(producer);
    return root === undefined ? misplaced(producer, place) : apart(hostPath(place, producer));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return messageOf(error);
  }
}

function openBase(basePath: ByteString): Directory {
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
    if (!areLinkable(staging, directory)) throw new LayoutFault(apart(hostPath(basePath, path)));
  }
  for (const path of [QUARANTINE, ...producers.map((producer) => join(SHARE, producer))]) {
    using directory = layout.base.openBeneath(path);
    if (directory === undefined || areLinkable(staging, directory)) continue;
    throw new LayoutFault(apart(hostPath(basePath, path)));
  }
}

/** A guest may have filled the disk. That disproves nothing, and what cannot be written is tried again. */
function proveReflinkIfThereIsRoom(directory: Directory, basePath: ByteString): void {
  try {
    proveReflink(directory, basePath);
  } catch (error) {
    if (!(error instanceof NoRoom)) throw error;
  }
}

const PROOF = new TextEncoder().encode("x".repeat(4096));

/** Clones, and gives away a file without a name: what every published file needs. */
function proveReflink(directory: Directory, basePath: ByteString): void {
  const place = display(basePath);
  using source = createProof(directory, basePath);
  using target = createProof(directory, basePath);
  try {
    writeAll(source, PROOF);
    cloneNow(source, target);
  } catch (error) {
    throwIfFull(error, basePath);
    const reason = messageOf(error);
    throw new LayoutFault(
      `${place} cannot clone files (${reason}): use btrfs, or XFS made with reflink=1`,
    );
  }
  try {
    const { uid, gid } = statusOf(target);
    setOwnerAndMode(target, uid === 0 ? 1 : 0, gid, 0o600);
  } catch (error) {
    const reason = messageOf(error);
    throw new LayoutFault(
      `${place}: files cannot be given to their owners (${reason}): ${AS_ROOT}`,
    );
  }
}

function createProof(directory: Directory, basePath: ByteString): Descriptor {
  try {
    return directory.createUnnamed();
  } catch (error) {
    throwIfFull(error, basePath);
    const reason = messageOf(error);
    const advice = adviceFor(error) ?? "use btrfs or XFS";
    throw new LayoutFault(
      `${display(basePath)} cannot hold unnamed files (${reason}): ${advice}`,
    );
  }
}

function throwIfFull(error: unknown, basePath: ByteString): void {
  if (isFull(error)) {
    throw new NoRoom(`${display(basePath)} is full (${messageOf(error)}): make room`);
  }
}

/** Whether names can be moved between two directories: one mount, one subvolume. */
function areLinkable(a: Directory, b: Directory): boolean {
  const [one, other] = [statusOf(a), statusOf(b)];
  return one.mountId === other.mountId && one.device === other.device;
}

/** `directory`, if names can be moved between it and `other`. */
function ifLinkable(directory: Directory | undefined, other: Directory): Directory | undefined {
  return directory && keptIf(directory, (opened) => areLinkable(opened, other));
}

/** Why the directory at `place` cannot be used, where names cannot be moved into it. */
function apart(place: ByteString): string {
  return `${display(place)} is a mount or a subvolume of its own, and files could not be renamed ` +
    "into it: staging, share and all in it, export and quarantine must lie on one mount and in one subvolume";
}

/** What stands in the directory at `place` where one of the daemon's own belongs. */
function misplaced(name: FileName, place: ByteString): string {
  return `${display(hostPath(place, name))} must be a directory on the same mount as ${
    display(place)
  }`;
}

/** Removes everything in a directory of the daemon's own, which no guest can reach. */
export function emptyDirectory(directory: Directory): void {
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
    if (!isHeld(above.status(name), held)) return hostPath(basePath, join(path, name));
  }
  return undefined;
}

function statusAtPath(path: ByteString): FileStatus | undefined {
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

/**
 * What keeps a channel from being served again that was displaced. Its shares' directory is not made for it: whoever has
 * moved one away may be about to put another there, or to mount what is missing.
 */
export function checkReplaced(
  basePath: ByteString,
  producers: readonly FileName[],
): ChannelFault[] {
  const place = hostPath(basePath, SHARE);
  try {
    if (isThere(basePath) && !isThere(place)) {
      return [fault(FIELD, `${display(place)} does not exist: make it, or mount it first`)];
    }
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return [fault(FIELD, inWords(error, basePath))]; // of a disk that fails, say
  }
  return checkLayout(basePath, producers, { sharesMayBeMissing: true });
}

/**
 * The same for a channel of which nothing is open: whatever a start would do is done, so that it will not fail again. On a
 * full disk, say, the daemon's own directories cannot be made.
 */
export function checkUnopened(
  basePath: ByteString,
  producers: readonly FileName[],
): ChannelFault[] {
  const found = checkReplaced(basePath, producers);
  if (found.some(({ severity }) => severity === "fault")) return found;
  try {
    openLayout(basePath, producers)[Symbol.dispose]();
    return found;
  } catch (error) {
    return [fault(FIELD, messageOf(error))];
  }
}

function isThere(path: ByteString): boolean {
  return statusAtPath(path) !== undefined;
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

/** A path of the host's own, for messages. */
export function hostPath(basePath: ByteString, ...parts: readonly ByteString[]): ByteString {
  return [basePath, ...parts].join("/") as ByteString;
}
