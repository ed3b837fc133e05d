import type { Descriptor } from "./descriptor.ts";
import { check } from "./errno.ts";
import { libc } from "./libc.ts";
import {
  AT,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  STATX_BASIC_AND_MOUNT,
  STATX_SIZE,
} from "./platform.ts";

export type FileKind = "file" | "directory" | "link" | "other";

/** What statx(2) tells of an inode. Times in nanoseconds since 1970, size in bytes. */
export interface FileStatus {
  readonly kind: FileKind;
  /** Permission bits with SUID, SGID and sticky: 12 bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly device: number;
  readonly mountId: number;
  /** Exact up to 2^53, which btrfs and XFS never reach in practice. */
  readonly inode: number;
  readonly size: number;
  /** Allocated, in units of 512 bytes. */
  readonly blocks: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

const NANOSECONDS = 1_000_000_000n;

/** Milliseconds since its last change, in times of the file system; less than 0 if that is of the future. */
export function ageMs({ ctimeNs }: Pick<FileStatus, "ctimeNs">): number {
  return Date.now() - Number(ctimeNs / 1_000_000n);
}

/** Reads a `struct statx`; public for tests of the layout. */
export function parseStatx(view: DataView): FileStatus {
  const mode = view.getUint16(28, true);
  return {
    kind: kindOf(mode),
    mode: mode & 0o7777,
    uid: view.getUint32(20, true),
    gid: view.getUint32(24, true),
    links: view.getUint32(16, true),
    device: view.getUint32(136, true) * 2 ** 20 + view.getUint32(140, true),
    mountId: mountIn(view),
    inode: view.getUint32(32, true) + view.getUint32(36, true) * 2 ** 32,
    size: view.getUint32(40, true) + view.getUint32(44, true) * 2 ** 32,
    blocks: view.getUint32(48, true) + view.getUint32(52, true) * 2 ** 32,
    ctimeNs: view.getBigInt64(96, true) * NANOSECONDS + BigInt(view.getUint32(104, true)),
    mtimeNs: view.getBigInt64(112, true) * NANOSECONDS + BigInt(view.getUint32(120, true)),
  };
}

/** By the type bits of a mode (inode(7)). */
export function kindOf(mode: number): FileKind {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "link";
    default:
      return "other";
  }
}

const buffer = new Uint8Array(STATX_SIZE);
const view = new DataView(buffer.buffer);
/** `struct statx` as the last call left it, for `status_words.ts`. */
export const lastStatx: Readonly<Uint32Array> = new Uint32Array(buffer.buffer);
const NO_PATH = new Uint8Array(1);
/** The kernel tells the mount all the same. */
const NOTHING_OF_THE_INODE = 0;

/** The inode behind an open descriptor (also an O_PATH one). */
export function statusOf(file: Descriptor): FileStatus {
  check(libc.statx(file.fd, NO_PATH, AT.EMPTY_PATH, STATX_BASIC_AND_MOUNT, buffer), "statx");
  return parseStatx(view);
}

/**
 * The mount on which the inode behind an open descriptor (also an O_PATH one) lies. The file system itself is asked for
 * nothing (statx(2)): it may be one that never answers, and refuses even root (fuse(4)).
 */
export function mountOf(file: Descriptor): number {
  const flags = AT.EMPTY_PATH | AT.STATX_DONT_SYNC;
  check(libc.statx(file.fd, NO_PATH, flags, NOTHING_OF_THE_INODE, buffer), "statx");
  return mountIn(view);
}

/** The same of one name (NUL-terminated) in a directory, links not followed; the raw result, the mount in `lastMount`. */
export function mountAt(directoryFd: number, nameZ: Uint8Array<ArrayBuffer>): number {
  const flags = AT.SYMLINK_NOFOLLOW | AT.NO_AUTOMOUNT | AT.STATX_DONT_SYNC;
  return libc.statx(directoryFd, nameZ, flags, NOTHING_OF_THE_INODE, buffer);
}

/** The mount that the last successful `mountAt` found. */
export function lastMount(): number {
  return mountIn(view);
}

function mountIn(view: DataView): number {
  return view.getUint32(144, true) + view.getUint32(148, true) * 2 ** 32;
}

/** statx of one name (NUL-terminated) in a directory, links not followed; the raw result, status in `lastStatus`. */
export function statxAt(directoryFd: number, nameZ: Uint8Array<ArrayBuffer>): number {
  return libc.statx(
    directoryFd,
    nameZ,
    AT.SYMLINK_NOFOLLOW | AT.NO_AUTOMOUNT,
    STATX_BASIC_AND_MOUNT,
    buffer,
  );
}

/** The status that the last successful `statxAt` found. */
export function lastStatus(): FileStatus {
  return parseStatx(view);
}
