/** The directories of a channel on the host, and whether they can do what the daemon needs of them. */

import {
  type ByteString,
  display,
  type FileName,
  fileName,
  toText,
} from "../../ffi/byte_string.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { Directory } from "../../ffi/directory.ts";
import { isErrno, messageOf, SystemError } from "../../ffi/errno.ts";
import { cloneNow, setOwnerAndMode, writeAll } from "../../ffi/file_content.ts";
import { lockFile } from "../../ffi/file_lock.ts";
import { statusOf } from "../../ffi/file_status.ts";

export const STAGING = fileName("staging");
export const SHARE = fileName("share");
export const EXPORT_DIRECTORY = fileName("export");
export const QUARANTINE = fileName("quarantine");
/** The daemon's own: the index and the recovery directory. */
export const PRIVATE = fileName(".virtiofs-gate");
export const RECOVERY = fileName("recovery");
/** Locked by whoever serves the channel. */
const LOCK = fileName("lock");

/** Permissions of the directories that the daemon makes where they are missing. */
const OWN_DIRECTORIES: readonly { readonly name: FileName; readonly mode: number }[] = [
  { name: STAGING, mode: 0o700 },
  { name: SHARE, mode: 0o755 },
  { name: EXPORT_DIRECTORY, mode: 0o755 },
  { name: QUARANTINE, mode: 0o700 },
  { name: PRIVATE, mode: 0o700 },
];

/** Why a channel cannot run, in words. */
export class LayoutFault extends Error {
  override readonly name: string = "LayoutFault";
}

/** Somebody serves the channel already; a daemon that is ending lets go of it soon. */
export class InUse extends LayoutFault {
  override readonly name = "InUse";
}

export interface Layout extends Disposable {
  readonly staging: Directory;
  readonly share: Directory;
  readonly export: Directory;
  readonly quarantine: Directory;
  readonly recovery: Directory;
  readonly indexPath: string;
}

/**
 * Opens the channel's directories, making what is missing but `basePath` itself, proves that the file system can do
 * what is needed, and keeps others from serving the same directory until it is disposed. Throws LayoutFault, InUse.
 */
export function openLayout(basePath: ByteString): Layout {
  using base = openBase(basePath);
  for (const { name, mode } of OWN_DIRECTORIES) makeOwn(base, name, mode, basePath);
  const opened: Descriptor[] = [];
  const open = (name: FileName, below: Directory = base): Directory => {
    const directory = below.openBeneath(name);
    if (directory === undefined) {
      const place = `${display(basePath)}/${display(name)}`;
      throw new LayoutFault(
        `${place} must be a directory on the same mount as ${display(basePath)}`,
      );
    }
    opened.push(directory);
    return directory;
  };
  try {
    const own = open(PRIVATE);
    opened.push(claim(own, basePath));
    own.makeDirectory(RECOVERY, 0o700);
    const layout: Layout = {
      staging: open(STAGING),
      share: open(SHARE),
      export: open(EXPORT_DIRECTORY),
      quarantine: open(QUARANTINE),
      recovery: open(RECOVERY, own),
      indexPath: `${toText(basePath)}/${PRIVATE}/index.sqlite`,
      [Symbol.dispose]: () => opened.forEach((descriptor) => descriptor.close()),
    };
    emptyDirectory(layout.staging);
    proveAbilities(layout, basePath);
    return layout;
  } catch (error) {
    opened.forEach((descriptor) => descriptor.close());
    throw error instanceof SystemError ? new LayoutFault(inWords(error, basePath)) : error;
  }
}

/** What failed where, and what to do where that is clear. */
function inWords(error: SystemError, basePath: ByteString): string {
  const advice = isPermission(error) ? `: ${AS_ROOT}` : "";
  return `${display(basePath)}: ${error.message}${advice}`;
}

const AS_ROOT = "run as root, or with CAP_CHOWN, CAP_DAC_OVERRIDE and CAP_FOWNER";

function isPermission(error: unknown): boolean {
  return isErrno(error, "EACCES", "EPERM");
}

/** The same checks without changing anything that stays; the faults in words. For `verify`. */
export function layoutFaults(basePath: ByteString, producers: readonly FileName[]): string[] {
  const faults: string[] = [];
  try {
    using base = openBase(basePath);
    using share = base.openBeneath(SHARE);
    for (const producer of producers) {
      using root = share?.openBeneath(producer);
      if (root !== undefined) continue;
      const place = `${display(basePath)}/share/${display(producer)}`;
      faults.push(`${place} does not exist as a directory on the same mount: make it`);
    }
    const directories = [STAGING, EXPORT_DIRECTORY, QUARANTINE].flatMap((name) => {
      const directory = base.openBeneath(name);
      if (directory === undefined && base.status(name) !== undefined) {
        const place = `${display(basePath)}/${display(name)}`;
        faults.push(`${place} must be a directory on the same mount as ${display(basePath)}`);
      }
      return directory === undefined ? [] : [directory];
    });
    using _ = { [Symbol.dispose]: () => directories.forEach((directory) => directory.close()) };
    const [staging] = directories;
    proveReflink(staging ?? base, basePath);
    for (const other of [share, ...directories.slice(1)]) {
      if (other !== undefined) proveLinkable(staging ?? base, other, basePath);
    }
  } catch (error) {
    if (error instanceof SystemError) faults.push(inWords(error, basePath));
    else faults.push(messageOf(error));
  }
  return faults;
}

function openBase(basePath: ByteString): Directory {
  try {
    return Directory.openTrusted(basePath);
  } catch (error) {
    if (isErrno(error, "ENOENT")) {
      throw new LayoutFault(`${display(basePath)} does not exist: make it, or mount it first`);
    }
    throw error instanceof SystemError ? new LayoutFault(inWords(error, basePath)) : error;
  }
}

function makeOwn(base: Directory, name: FileName, mode: number, basePath: ByteString): void {
  try {
    if (!base.makeDirectory(name, mode)) return;
    using made = base.openSubdirectory(name);
    if (made !== undefined) setOwnerAndMode(made, statusOf(made).uid, statusOf(made).gid, mode);
  } catch (error) {
    const place = `${display(basePath)}/${display(name)}`;
    const reason = messageOf(error);
    throw new LayoutFault(
      `${place} cannot be made: ${reason}${isPermission(error) ? `: ${AS_ROOT}` : ""}`,
    );
  }
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

function proveAbilities(layout: Layout, basePath: ByteString): void {
  proveReflink(layout.staging, basePath);
  for (const other of [layout.share, layout.export, layout.quarantine, layout.recovery]) {
    proveLinkable(layout.staging, other, basePath);
  }
}

const PROOF = new TextEncoder().encode("x".repeat(4096));

/** Clones, and gives away a file without a name: what every published file needs. */
function proveReflink(directory: Directory, basePath: ByteString): void {
  const place = display(basePath);
  let proof: Descriptor;
  try {
    proof = directory.createUnnamed();
  } catch (error) {
    const reason = messageOf(error);
    const advice = isPermission(error) ? AS_ROOT : "use btrfs or XFS";
    throw new LayoutFault(`${place} cannot hold unnamed files (${reason}): ${advice}`);
  }
  using source = proof;
  using target = directory.createUnnamed();
  try {
    writeAll(source, PROOF);
    cloneNow(source, target);
  } catch (error) {
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

/** Whether names can be moved between two directories: one mount, one subvolume. */
function proveLinkable(from: Directory, to: Directory, basePath: ByteString): void {
  const a = statusOf(from);
  const b = statusOf(to);
  if (a.mountId === b.mountId && a.device === b.device) return;
  throw new LayoutFault(
    `${display(basePath)}: staging, share, export and quarantine must lie on one mount ` +
      `and in one subvolume, so that files can be renamed between them`,
  );
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

/** The share of one producer; `undefined` while it is not there. */
export function openShare(layout: Layout, producer: FileName): Directory | undefined {
  return layout.share.openBeneath(producer);
}

/** A path of the host's own, for messages. */
export function hostPath(basePath: ByteString, ...parts: readonly ByteString[]): ByteString {
  return [basePath, ...parts].join("/") as ByteString;
}
