/**
 * Removal and replacement by identity (I2, I3). Nothing is overwritten or unlinked where a guest can swap
 * it: the thing is taken out into the recovery directory first, looked at there, and put back if it is
 * not what was meant. What was taken out stays for a moment, since a guest may still write to it.
 *
 * A journal of plain lines tells a later start where each thing came from; it works without the index.
 */

import {
  asRelativePath,
  type ByteString,
  display,
  type FileName,
  fileName,
  join,
  nameOf,
  parentOf,
  type RelativePath,
} from "../../ffi/byte_string.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import type { Directory } from "../../ffi/directory.ts";
import { isErrno, SystemError } from "../../ffi/errno.ts";
import { hasWriters, readSmall, writeAt } from "../../ffi/file_content.ts";
import { type FileStatus, statusOf } from "../../ffi/file_status.ts";
import { RENAME_EXCHANGE, RENAME_REPLACE } from "../../ffi/platform.ts";
import { conflictName } from "./conflict_name.ts";
import { type FileIdentity, sameBeforeCtime, sameIdentity } from "./replica_record.ts";

/**
 * How long a replaced or removed file is kept for writers that still hold it. Guests go on using what they looked up
 * for a second or so (virtiofs caches names), so it must be more than that.
 */
const LINGER_MS = 5000;
const MOST_LINGERING = 4096;
/** What could not be put back (share away, disk full, read-only) is tried again after this. */
const PUT_BACK_AGAIN_MS = 5000;
/** A journal that grows beyond this, and beyond twice what is still of use in it, is written anew (I6). */
const JOURNAL_LIMIT = 256 * 1024;
const JOURNAL_MOST = 64 * 1024 * 1024;
const JOURNAL = fileName("journal");
const NEW_JOURNAL = fileName("journal.new");

/** Where a thing in recovery came from. */
export interface Origin {
  readonly replica: ByteString;
  /** Stands in the name of a conflict copy. */
  readonly producer: FileName;
  readonly path: RelativePath;
}

interface JournalLine {
  readonly name: FileName;
  readonly replica: ByteString;
  readonly producer: FileName;
  readonly path: RelativePath;
  /** What was meant to be taken out. */
  readonly expected: { readonly inode: number; readonly size: number; readonly mtimeNs: string };
  /** The inode of our own clone that waits to be exchanged; 0 for a removal. */
  readonly clone: number;
}

interface Lingering {
  readonly line: JournalLine;
  /** As it was when it had been taken out. */
  readonly identity: FileIdentity;
  readonly until: number;
}

/** `changed`: what is there is not what was expected; it is as it was. */
export type Outcome = "done" | "changed";

/** Finds the directory of a replica, for putting things back. */
export type FindReplica = (replica: ByteString) => Directory | undefined;

export class Recovery implements Disposable {
  readonly #directory: Directory;
  readonly #findReplica: FindReplica;
  readonly #onTrouble: (message: string) => void;
  readonly #lingering: Lingering[] = [];
  /** What is to be put back as soon as that is possible. */
  readonly #waiting: JournalLine[] = [];
  #putBackAgainAt = 0;
  #journal: Descriptor | undefined;
  #journalSize = 0;
  #journalLimit = JOURNAL_LIMIT;
  #sequence = 0;

  constructor(
    directory: Directory,
    findReplica: FindReplica,
    onTrouble: (message: string) => void,
  ) {
    this.#directory = directory;
    this.#findReplica = findReplica;
    this.#onTrouble = onTrouble;
  }

  /**
   * At startup: discards our own clones and known versions whose removal had been decided, puts everything
   * else back beside whatever is there now, and begins a new journal. What belongs to a share that is not there stays.
   */
  recover(): void {
    const journal = this.#readJournal();
    for (const { name } of [...this.#directory.entries()]) {
      if (name === JOURNAL || name === NEW_JOURNAL) continue;
      const line = journal.get(name);
      const status = this.#directory.status(name);
      if (status === undefined) continue;
      if (line === undefined) {
        this.#onTrouble(
          `recovery/${display(name)} is of unknown origin: kept there, have a look at it`,
        );
        continue;
      }
      const expected = { ...line.expected, mtimeNs: BigInt(line.expected.mtimeNs) };
      const decided = status.inode === line.clone ||
        sameBeforeCtime({ ...expected, ctimeNs: 0n }, status);
      if (decided) this.#directory.removeFile(name);
      else this.#giveBack(line);
    }
    this.#rewriteJournal();
    // Names must not collide with what stays.
    this.#sequence = Date.now();
  }

  /**
   * Puts `prepared` (an unnamed, complete file) in the place of what is at `name`, if that is `expected`.
   * Readers see the old or the new, never nothing. `keep`: a writer's last words to the old one are waited for.
   */
  replace(
    prepared: Descriptor,
    parent: Directory,
    origin: Origin,
    expected: FileIdentity,
    keep = true,
  ): Outcome {
    const name = nameOf(origin.path);
    using old = parent.openHandle(name);
    if (old === undefined || !sameIdentity(statusOf(old), expected)) return "changed";
    const place = this.#nextName();
    const clone = statusOf(prepared).inode;
    const line = lineOf(place, origin, expected, clone);
    this.#append(line);
    this.#directory.linkUnnamed(prepared, place);
    try {
      this.#directory.rename(place, parent, name, RENAME_EXCHANGE);
    } catch (error) {
      this.#directory.removeFile(place);
      if (isErrno(error, "ENOENT")) return "changed";
      throw error;
    }
    const after = statusOf(old);
    if (this.#holds(place, expected) && sameBeforeCtime(after, expected)) {
      if (keep) this.#linger(line, after);
      else this.#directory.removeFile(place);
      return "done";
    }
    // Somebody was quicker: what we took out is not what we had looked at. Exchange again.
    try {
      this.#directory.rename(place, parent, name, RENAME_EXCHANGE);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      // The clone is gone from there already, or the disk lets nothing happen.
    }
    if (this.#directory.status(place)?.inode === clone) this.#directory.removeFile(place);
    else this.#giveBack(line);
    return "changed";
  }

  /** Removes what is at `name`, if it is `expected`. `keep`: a writer's last words are waited for. */
  remove(parent: Directory, origin: Origin, expected: FileIdentity, keep: boolean): Outcome {
    const name = nameOf(origin.path);
    using old = parent.openHandle(name);
    if (old === undefined || !sameIdentity(statusOf(old), expected)) return "changed";
    const place = this.#nextName();
    const line = lineOf(place, origin, expected, 0);
    this.#append(line);
    try {
      parent.rename(name, this.#directory, place);
    } catch (error) {
      if (isErrno(error, "ENOENT")) return "changed";
      throw error;
    }
    const after = statusOf(old);
    if (this.#holds(place, expected) && sameBeforeCtime(after, expected)) {
      if (keep) this.#linger(line, after);
      else this.#directory.removeFile(place);
      return "done";
    }
    this.#giveBack(line);
    return "changed";
  }

  /** Discards what has been quiet since it was taken out, and puts back what has to; to be called now and then. */
  sweep(now: number, everything = false): void {
    if (this.#waiting.length > 0 && now >= this.#putBackAgainAt) this.putBackWaiting();
    while (this.#lingering.length > 0) {
      const first = this.#lingering[0];
      if (first === undefined) break;
      const force = everything || this.#lingering.length > MOST_LINGERING;
      if (!force && first.until > now) break;
      this.#lingering.shift();
      this.#discard(first, now, force);
    }
    if (this.#journalSize > this.#journalLimit) this.#rewriteJournal();
  }

  /** Tries again what could not be put back: a share is there again, or some time has passed. */
  putBackWaiting(): void {
    for (const line of this.#waiting.splice(0)) this.#giveBack(line);
  }

  get lingering(): number {
    return this.#lingering.length;
  }

  /** What still lingers is decided on at the next start. */
  close(): void {
    this.#journal?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #discard(item: Lingering, now: number, force: boolean): void {
    const { line, identity } = item;
    try {
      const opened = this.#directory.openRegular(line.name);
      using file = opened?.file;
      const status = opened?.status ?? this.#directory.status(line.name);
      if (status === undefined) return;
      if (!force && file !== undefined && hasWriters(file) === true) {
        this.#lingering.push({ ...item, until: now + LINGER_MS });
      } // Written to after it had been replaced or deleted elsewhere: a change of its own.
      else if (!sameIdentity(status, identity)) this.#giveBack(line);
      else this.#directory.removeFile(line.name);
    } catch (error) {
      this.#lingering.push({ ...item, until: now + LINGER_MS });
      throw error;
    }
  }

  #linger(line: JournalLine, identity: FileStatus): void {
    this.#lingering.push({ line, identity, until: performance.now() + LINGER_MS });
  }

  #holds(place: FileName, expected: FileIdentity): boolean {
    return this.#directory.status(place)?.inode === expected.inode;
  }

  /** Puts something back, now or when it is possible. */
  #giveBack(line: JournalLine): void {
    try {
      if (this.#putBack(line.name, line)) return;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (this.#directory.status(line.name) === undefined) return; // taken out of recovery by hand
      this.#onTrouble(
        `${display(line.replica)}/${
          display(line.path)
        } cannot be put back now (${error.message}): ` +
          `it is kept as recovery/${display(line.name)}, and tried again`,
      );
    }
    this.#waiting.push(line);
    this.#putBackAgainAt = performance.now() + PUT_BACK_AGAIN_MS;
  }

  /** Back to where it came from, or beside what is there now. `false` if the share is not there. */
  #putBack(place: FileName, origin: Origin): boolean {
    const root = this.#findReplica(origin.replica);
    if (root === undefined) return false;
    using parent = root.openBeneath(parentOf(origin.path)) ?? root.duplicate();
    const name = nameOf(origin.path);
    const time = new Date();
    for (let attempt = -1; attempt < 100; attempt++) {
      const free = attempt < 0 ? name : conflictName(name, origin.producer, time, attempt);
      try {
        this.#directory.rename(place, parent, free);
        if (attempt >= 0) {
          this.#onTrouble(
            `${display(origin.replica)}/${
              display(origin.path)
            } was changed from two sides at once: ` +
              `one version is now ${display(join(parentOf(origin.path), free))}`,
          );
        }
        return true;
      } catch (error) {
        if (!isErrno(error, "EEXIST")) throw error;
      }
    }
    return false;
  }

  #nextName(): FileName {
    return fileName(`taken-${this.#sequence++}`);
  }

  #append(line: JournalLine): void {
    if (this.#journal === undefined) throw new Error("recovery was not started");
    this.#journalSize += writeLine(this.#journal, line, this.#journalSize);
  }

  /** With what is still of use only. The old one counts until the new one is complete. */
  #rewriteJournal(): void {
    this.#directory.removeFile(NEW_JOURNAL);
    const journal = this.#directory.createFile(NEW_JOURNAL, 0o600);
    let size = 0;
    try {
      for (const line of [...this.#waiting, ...this.#lingering.map(({ line }) => line)]) {
        size += writeLine(journal, line, size);
      }
      this.#directory.rename(NEW_JOURNAL, this.#directory, JOURNAL, RENAME_REPLACE);
    } catch (error) {
      journal.close();
      throw error;
    }
    this.#journal?.close();
    this.#journal = journal;
    this.#journalSize = size;
    this.#journalLimit = Math.max(JOURNAL_LIMIT, 2 * size);
  }

  #readJournal(): Map<FileName, JournalLine> {
    const lines = new Map<FileName, JournalLine>();
    const opened = this.#directory.openRegular(JOURNAL);
    if (opened === undefined) return lines;
    using file = opened.file;
    const text = new TextDecoder().decode(readSmall(file, JOURNAL_MOST));
    for (const line of text.split("\n")) {
      const parsed = parseLine(line);
      if (parsed !== undefined) lines.set(parsed.name, parsed);
    }
    return lines;
  }
}

function lineOf(
  name: FileName,
  origin: Origin,
  expected: FileIdentity,
  clone: number,
): JournalLine {
  const { inode, size, mtimeNs } = expected;
  const { replica, producer, path } = origin;
  return {
    name,
    replica,
    producer,
    path,
    expected: { inode, size, mtimeNs: String(mtimeNs) },
    clone,
  };
}

/** How long it is, in bytes. */
function writeLine(journal: Descriptor, line: JournalLine, position: number): number {
  const bytes = new TextEncoder().encode(JSON.stringify(line) + "\n");
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
      expected: {
        inode: Number(line.expected.inode),
        size: Number(line.expected.size),
        mtimeNs: String(BigInt(line.expected.mtimeNs)),
      },
      clone: Number(line.clone),
    };
  } catch {
    return undefined;
  }
}
