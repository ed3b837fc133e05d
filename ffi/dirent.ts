/** What getdents64(2) tells of a directory's entries. */

import { asFileName, type FileName, fromBytes } from "./byte_string.ts";
import type { FileKind } from "./file_status.ts";

export interface DirectoryEntry {
  readonly name: FileName;
  /** From the directory itself, so only a hint; undefined where the filesystem does not say. */
  readonly kind: FileKind | undefined;
}

const DIRENT_KINDS: readonly (FileKind | undefined)[] = [
  undefined, // DT_UNKNOWN
  "other", // DT_FIFO
  "other", // DT_CHR
  undefined,
  "directory", // DT_DIR
  undefined,
  "other", // DT_BLK
  undefined,
  "file", // DT_REG
  undefined,
  "link", // DT_LNK
  undefined,
  "other", // DT_SOCK
];

/** Whether an entry of this kind has to be taken for a directory until somebody has looked. */
export function mayBeDirectory(kind: FileKind | undefined): boolean {
  return kind === "directory" || kind === undefined;
}

/** Where a record has its name, and what it is filled up to the multiple of. */
const NAME_AT = 19;
const ALIGNMENT = 8;

/** Reads `struct linux_dirent64` records; public for tests of the layout. Those that are not `isWanted` are passed over. */
export function* parseDirents(
  buffer: Uint8Array,
  length: number,
  isWanted: (kind: FileKind | undefined) => boolean = () => true,
): Generator<DirectoryEntry> {
  for (let at = 0; at < length;) {
    const recordLength = (buffer[at + 16] ?? 0) | ((buffer[at + 17] ?? 0) << 8);
    if (recordLength <= NAME_AT) throw new Error("getdents64: malformed record");
    const kind = DIRENT_KINDS[buffer[at + 18] ?? 0];
    if (isWanted(kind)) {
      // Behind the name's NUL there can be anything, but not so much that the name ends before this.
      let end = at + Math.max(NAME_AT, recordLength - ALIGNMENT);
      while (buffer[end] !== 0 && end < length) end++;
      const name = asFileName(fromBytes(buffer, at + NAME_AT, end));
      if (name !== undefined) yield { name, kind };
    }
    at += recordLength;
  }
}
