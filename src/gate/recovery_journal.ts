/**
 * Where each thing in the recovery directory came from, for a later start: a journal of plain lines, which works
 * without the index. A power failure may take its last lines away.
 */

import {
  asRelativePath,
  type ByteString,
  type FileName,
  fileName,
  type RelativePath,
} from "../../ffi/byte_string.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import type { Directory } from "../../ffi/directory.ts";
import { readSmall, writeAt } from "../../ffi/file_content.ts";
import { RENAME_REPLACE } from "../../ffi/platform.ts";

/** A journal that grows beyond this, and beyond twice what is still of use in it, is written anew (I6). */
const LIMIT = 256 * 1024;
/** What is read of one that is longer all the same. */
const MOST_READ = 64 * 1024 * 1024;
const NEWLINE = 0x0a;
const JOURNAL = fileName("journal");
const NEW_JOURNAL = fileName("journal.new");

/** Where a thing in recovery came from. */
export interface Origin {
  readonly replica: ByteString;
  /** Stands in the name of a conflict copy. */
  readonly producer: FileName;
  readonly path: RelativePath;
}

export interface JournalLine extends Origin {
  /** In the recovery directory. */
  readonly name: FileName;
}

export class RecoveryJournal {
  readonly #directory: Directory;
  #file: Descriptor | undefined;
  #size = 0;
  #limit = LIMIT;

  /** `directory`: the recovery directory. */
  constructor(directory: Directory) {
    this.#directory = directory;
  }

  /** Whether an entry of the recovery directory is the journal itself. */
  static isOwn(name: FileName): boolean {
    return name === JOURNAL || name === NEW_JOURNAL;
  }

  /** What an earlier daemon wrote, by the names in the recovery directory. */
  read(): Map<FileName, JournalLine> {
    const lines = new Map<FileName, JournalLine>();
    const opened = this.#directory.openRegular(JOURNAL);
    if (opened === undefined) return lines;
    using file = opened.file;
    const text = new TextDecoder().decode(readSmall(file, MOST_READ));
    for (const line of text.split("\n")) {
      const parsed = parseLine(line);
      if (parsed !== undefined) lines.set(parsed.name, parsed);
    }
    return lines;
  }

  /** Only once `rewrite` has begun a journal, or `resume` gone on with one. */
  append(line: JournalLine): void {
    if (this.#file === undefined) throw new Error("recovery was not started");
    this.#size += writeLine(this.#file, line, this.#size);
  }

  /** Whether most of it may be of no use any more. */
  get isLong(): boolean {
    return this.#size > this.#limit;
  }

  /** Begins a new one with `lines`. The old one counts until it is complete. */
  rewrite(lines: Iterable<JournalLine>): void {
    this.#directory.removeFile(NEW_JOURNAL);
    const file = this.#directory.createFile(NEW_JOURNAL, 0o600);
    let size = 0;
    try {
      for (const line of lines) size += writeLine(file, line, size);
      this.#directory.rename(NEW_JOURNAL, this.#directory, JOURNAL, RENAME_REPLACE);
    } catch (error) {
      file.close();
      throw error;
    }
    this.#file?.close();
    this.#file = file;
    this.#size = size;
    this.#limit = Math.max(LIMIT, 2 * size);
  }

  /** Goes on with the old one, where there is no room for a new one. A line that was cut off is written over. */
  resume(): void {
    const file = this.#directory.openOrCreateFile(JOURNAL, 0o600);
    try {
      this.#size = readSmall(file, MOST_READ).lastIndexOf(NEWLINE) + 1;
    } catch (error) {
      file.close();
      throw error;
    }
    this.#file?.close();
    this.#file = file;
  }

  close(): void {
    this.#file?.close();
  }
}

/** How long it is, in bytes. */
function writeLine(journal: Descriptor, line: JournalLine, position: number): number {
  const { name, replica, producer, path } = line;
  const text = JSON.stringify({ name, replica, producer, path });
  const bytes = new TextEncoder().encode(text + "\n");
  writeAt(journal, bytes, position);
  return bytes.length;
}

/** A line that a crash cut off is no line. */
function parseLine(text: string): JournalLine | undefined {
  if (text === "") return undefined;
  try {
    const line = JSON.parse(text);
    const path = asRelativePath(String(line.path) as ByteString);
    if (path === undefined || path === "") return undefined;
    return {
      name: fileName(String(line.name)),
      replica: String(line.replica) as ByteString,
      producer: String(line.producer) as FileName,
      path,
    };
  } catch {
    return undefined;
  }
}
