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
import { SystemError } from "../../ffi/errno.ts";
import { readPieces, writeAt } from "../../ffi/file_content.ts";
import { RENAME_REPLACE } from "../../ffi/platform.ts";

/** A journal that grows beyond this, and beyond twice what is still of use in it, is written anew (I6). */
const LIMIT = 256 * 1024;
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

/** A new journal that is being written. */
interface Next {
  readonly file: Descriptor;
  /** Those that are still to be written. */
  readonly lines: Iterator<JournalLine, undefined>;
  size: number;
}

export class RecoveryJournal {
  readonly #directory: Directory;
  #file: Descriptor | undefined;
  #size = 0;
  #limit = LIMIT;
  #next: Next | undefined;

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
    for (const text of linesOf(file)) {
      const parsed = parseLine(text);
      if (parsed !== undefined) lines.set(parsed.name, parsed);
    }
    return lines;
  }

  /** Only once `rewrite` has begun a journal, or `resume` gone on with one. */
  append(line: JournalLine): void {
    if (this.#file === undefined) throw new Error("recovery was not started");
    this.#size += writeLine(this.#file, line, this.#size);
    this.#appendToNext(line);
  }

  /** What does not find room there has a line in this one. */
  #appendToNext(line: JournalLine): void {
    const next = this.#next;
    if (next === undefined) return;
    try {
      next.size += writeLine(next.file, line, next.size);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#abandon();
    }
  }

  /** Whether most of it may be of no use any more. */
  get isLong(): boolean {
    return this.#size > this.#limit;
  }

  /** Replaces it by one with `lines`. The old one counts until that is complete. */
  rewrite(lines: readonly JournalLine[]): void {
    this.#abandon();
    this.rewriteUntil(Infinity, () => lines);
  }

  /**
   * The same, until `endMs` (performance.now()): a line may have 48 KiB (I7). `false` if it has to be gone on with. `lines`
   * is asked at the beginning; what is appended meanwhile is in both.
   */
  rewriteUntil(endMs: number, lines: () => readonly JournalLine[]): boolean {
    try {
      const next = this.#next ??= this.#begin(lines());
      for (let line = next.lines.next(); !line.done; line = next.lines.next()) {
        next.size += writeLine(next.file, line.value, next.size);
        if (performance.now() >= endMs) return false;
      }
      this.#directory.rename(NEW_JOURNAL, this.#directory, JOURNAL, RENAME_REPLACE);
      this.#next = undefined;
      this.#file?.close();
      this.#file = next.file;
      this.#size = next.size;
      this.#limit = Math.max(LIMIT, 2 * next.size);
      return true;
    } catch (error) {
      this.#abandon();
      throw error;
    }
  }

  #begin(lines: readonly JournalLine[]): Next {
    this.#directory.removeFile(NEW_JOURNAL);
    const file = this.#directory.createFile(NEW_JOURNAL, 0o600);
    return { file, lines: lines.values(), size: 0 };
  }

  #abandon(): void {
    this.#next?.file.close();
    this.#next = undefined;
  }

  /** Goes on with the old one, where there is no room for a new one. A line that was cut off is written over. */
  resume(): void {
    const file = this.#directory.openOrCreateFile(JOURNAL, 0o600);
    try {
      this.#size = endOfLines(file);
    } catch (error) {
      file.close();
      throw error;
    }
    this.#file?.close();
    this.#file = file;
  }

  close(): void {
    this.#abandon();
    this.#file?.close();
  }
}

/** Not read at once: it is as long as the paths in it, which guests choose. */
function* linesOf(file: Descriptor): Generator<string> {
  const decoder = new TextDecoder();
  let begun = "";
  for (const piece of readPieces(file)) {
    const lines = (begun + decoder.decode(piece, { stream: true })).split("\n");
    begun = lines.pop() ?? "";
    yield* lines;
  }
  yield begun;
}

/** Behind the last whole line. */
function endOfLines(file: Descriptor): number {
  let end = 0;
  let at = 0;
  for (const piece of readPieces(file)) {
    const newline = piece.lastIndexOf(NEWLINE);
    if (newline >= 0) end = at + newline + 1;
    at += piece.length;
  }
  return end;
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
