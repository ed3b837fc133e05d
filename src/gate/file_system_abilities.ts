/** Whether the file system of a channel can do what the daemon needs: it is tried out, since nothing tells. */

import { type ByteString, display } from "../../ffi/byte_string.ts";
import { type Descriptor, keptIf } from "../../ffi/descriptor.ts";
import type { Directory } from "../../ffi/directory.ts";
import { messageOf } from "../../ffi/errno.ts";
import { cloneNow, setOwnerAndMode, writeAll } from "../../ffi/file_content.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { adviceFor, AS_ROOT, isFull, LayoutFault, NoRoom } from "./layout_fault.ts";

const PROOF = new TextEncoder().encode("x".repeat(4096));

/** A guest may have filled the disk. That disproves nothing, and what cannot be written is tried again. */
export function proveReflinkIfThereIsRoom(directory: Directory, basePath: ByteString): void {
  try {
    proveReflink(directory, basePath);
  } catch (error) {
    if (!(error instanceof NoRoom)) throw error;
  }
}

/** Clones, and gives away a file without a name: what every published file needs. */
export function proveReflink(directory: Directory, basePath: ByteString): void {
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
export function areLinkable(a: Directory, b: Directory): boolean {
  const [one, other] = [statusOf(a), statusOf(b)];
  return one.mountId === other.mountId && one.device === other.device;
}

/** `directory`, if names can be moved between it and `other`. */
export function ifLinkable(
  directory: Directory | undefined,
  other: Directory,
): Directory | undefined {
  return directory && keptIf(directory, (opened) => areLinkable(opened, other));
}
