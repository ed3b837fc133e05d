/**
 * What statx(2) tells of an inode, as 32-bit words: for comparing very many files with what was stored of them.
 * `FileStatus` makes an object and two bigints of each, which takes longer than the system call.
 *
 * | Words | |
 * | --- | --- |
 * | 0, 1 | inode |
 * | 2, 3 | size in bytes |
 * | 4, 5, 6 | time of modification: seconds since 1970 (signed), nanoseconds |
 * | 7, 8, 9 | time of change |
 * | 10, 11 | owner, group |
 * | 12 | type and permissions |
 *
 * Of two words the lower half comes first.
 */

import { type FileKind, type FileStatus, kindOf, lastStatx } from "./file_status.ts";
import { S_IFDIR, S_IFMT, S_IFREG } from "./platform.ts";

export const STATUS_WORDS = 13;

/** These tell one version of a file from another: they change whenever its content or attributes do. */
const VERSION_WORDS = 10;
const OWNER = 10;
const GROUP = 11;
const MODE = 12;

/** Whose words can be kept: permissions without SUID, SGID and sticky, which never travel. */
export type StoredStatus =
  & Pick<
    FileStatus,
    "inode" | "size" | "mtimeNs" | "ctimeNs" | "uid" | "gid" | "mode"
  >
  & { readonly kind: "file" | "directory" };

/** Where the words stand in struct statx, which is made of them but for the 16 bits of mode at byte 28. */
const STATX_WORDS = [8, 9, 10, 11, 28, 29, 30, 24, 25, 26, 5, 6] as const;
const STATX_MODE = 7;

/** Reads what the last successful `statxAt` found. */
export function readLastStatus(words: Uint32Array): void {
  for (let i = 0; i < STATX_WORDS.length; i++) {
    words[i] = lastStatx[STATX_WORDS[i] ?? 0] ?? 0;
  }
  words[MODE] = (lastStatx[STATX_MODE] ?? 0) & 0xffff;
}

const TWO_TO_32 = 2 ** 32;
const NANOSECONDS = 1_000_000_000n;

export function packStatus(status: StoredStatus, words: Uint32Array, at: number): void {
  packNumber(status.inode, words, at);
  packNumber(status.size, words, at + 2);
  packTime(status.mtimeNs, words, at + 4);
  packTime(status.ctimeNs, words, at + 7);
  words[at + OWNER] = status.uid;
  words[at + GROUP] = status.gid;
  words[at + MODE] = status.mode | (status.kind === "directory" ? S_IFDIR : S_IFREG);
}

export function unpackStatus(words: Uint32Array, at: number): StoredStatus {
  const mode = words[at + MODE] ?? 0;
  return {
    kind: (mode & S_IFMT) === S_IFDIR ? "directory" : "file",
    inode: unpackNumber(words, at),
    size: unpackNumber(words, at + 2),
    mtimeNs: unpackTime(words, at + 4),
    ctimeNs: unpackTime(words, at + 7),
    uid: words[at + OWNER] ?? 0,
    gid: words[at + GROUP] ?? 0,
    mode: mode & ~S_IFMT,
  };
}

export function kindAt(words: Uint32Array, at: number): FileKind {
  return kindOf(words[at + MODE] ?? 0);
}

export function sameInodeAt(a: Uint32Array, aAt: number, b: Uint32Array, bAt: number): boolean {
  return a[aAt] === b[bAt] && a[aAt + 1] === b[bAt + 1];
}

/** Whether both are the same version of one inode. */
export function sameVersionAt(a: Uint32Array, aAt: number, b: Uint32Array, bAt: number): boolean {
  for (let i = 0; i < VERSION_WORDS; i++) if (a[aAt + i] !== b[bAt + i]) return false;
  return true;
}

/** Whether owner, group and those bits of the mode that are in `modeMask` are the same. */
export function sameAccessAt(
  a: Uint32Array,
  aAt: number,
  b: Uint32Array,
  bAt: number,
  modeMask: number,
): boolean {
  return a[aAt + OWNER] === b[bAt + OWNER] && a[aAt + GROUP] === b[bAt + GROUP] &&
    (((a[aAt + MODE] ?? 0) ^ (b[bAt + MODE] ?? 0)) & modeMask) === 0;
}

function packNumber(value: number, words: Uint32Array, at: number): void {
  words[at] = value % TWO_TO_32;
  words[at + 1] = Math.floor(value / TWO_TO_32);
}

function unpackNumber(words: Uint32Array, at: number): number {
  return (words[at] ?? 0) + (words[at + 1] ?? 0) * TWO_TO_32;
}

function packTime(timeNs: bigint, words: Uint32Array, at: number): void {
  const nanoseconds = ((timeNs % NANOSECONDS) + NANOSECONDS) % NANOSECONDS;
  const seconds = (timeNs - nanoseconds) / NANOSECONDS;
  words[at] = Number(BigInt.asUintN(32, seconds));
  words[at + 1] = Number(BigInt.asUintN(32, seconds >> 32n));
  words[at + 2] = Number(nanoseconds);
}

function unpackTime(words: Uint32Array, at: number): bigint {
  const seconds = BigInt.asIntN(
    64,
    (BigInt(words[at + 1] ?? 0) << 32n) | BigInt(words[at] ?? 0),
  );
  return seconds * NANOSECONDS + BigInt(words[at + 2] ?? 0);
}
