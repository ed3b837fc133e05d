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

/** Reads `struct linux_dirent64` records; public for tests of the layout. */
export function* parseDirents(buffer: Uint8Array, length: number): Generator<DirectoryEntry> {
  for (let at = 0; at < length;) {
    const recordLength = (buffer[at + 16] ?? 0) | ((buffer[at + 17] ?? 0) << 8);
    if (recordLength < 20) throw new Error("getdents64: malformed record");
    let end = at + 19;
    while (buffer[end] !== 0 && end < length) end++;
    const name = asFileName(fromBytes(buffer, at + 19, end));
    if (name !== undefined) yield { name, kind: DIRENT_KINDS[buffer[at + 18] ?? 0] };
    at += recordLength;
  }
}
