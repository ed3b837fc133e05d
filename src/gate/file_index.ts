/**
 * The index of what was last known of every path, in SQLite. It tells a deletion from a file that was never there, and
 * the known version from a newer one. It holds no content and proves no verdict: lost or damaged, the next start
 * compares the trees instead.
 *
 * Writes are collected and committed together after a moment; `commit` makes them last at once.
 */

import type { DatabaseSync } from "node:sqlite";
import {
  type ByteString,
  isWithin,
  nameOf,
  parentOf,
  type RelativePath,
  renamedIn,
} from "../../ffi/byte_string.ts";
import { lacksDescriptors } from "../../ffi/errno.ts";
import { BoundedMap } from "../collections/bounded_map.ts";
import { isOfAnotherBoot, noteOnDisk, noteThisBoot, wasCutOff } from "./index_boot.ts";
import { filesystemOf, isInUse, openDatabase } from "./index_database.ts";
import { begun } from "./index_renewal.ts";
import { entryOf, pageOf, pathOf } from "./index_rows.ts";
import type { IndexStatements } from "./index_statements.ts";
import { IndexTransactions } from "./index_transactions.ts";
import { type KnownPage, NOTHING_KNOWN } from "./known_directory.ts";
import { LayoutFault } from "./layout_fault.ts";
import { Pace } from "./pace.ts";
import { packEntry, packId } from "./packed_entry.ts";
import {
  type DirectoryAt,
  type IndexEntry,
  recordIn,
  type ReplicaId,
  UNKNOWN_ENTRY,
  withMadeDirectory,
} from "./replica_record.ts";
import { ReplicaNumbers } from "./replica_numbers.ts";
import { forgetOthers, noteLeftEmpty, type Numbered } from "./replica_table.ts";

const MOST_RECENT = 4096;
/** Of their paths. */
const MOST_RECENT_BYTES = 1024 * 1024;

export class FileIndex implements Disposable {
  readonly #filesystem: string;
  readonly #transactions: IndexTransactions;
  readonly #numbers: ReplicaNumbers;
  /** What was put last, by path: the echo of a change asks for it a debounce later. */
  readonly #recent = new BoundedMap<RelativePath, IndexEntry>(
    MOST_RECENT,
    MOST_RECENT_BYTES,
    (path) => path.length,
  );
  /** Directories of which what is known is being moved. */
  readonly #moving = new Set<{ readonly from: RelativePath; readonly to: RelativePath }>();
  #isAhead: boolean;

  /** Whether the daemon that wrote it was ended before it had done all that belongs to its end. */
  readonly wasCutOff: boolean;

  private constructor(
    path: string,
    database: DatabaseSync,
    onTrouble: (message: string) => void,
    onRestored: () => void,
  ) {
    this.#transactions = new IndexTransactions(database, {
      path,
      onBegin: (statements, database) => this.#onBegin(statements, database),
      onCommitted: () => this.#numbers.onCommitted(),
      onRolledBack: () => this.#recent.clear(),
      onBegunAnew: () => this.#onBegunAnew(),
      onTrouble,
      onRestored,
    });
    this.#numbers = new ReplicaNumbers(path, database, this.#transactions);
    this.#filesystem = filesystemOf(path);
    this.#isAhead = isOfAnotherBoot(database, this.#filesystem);
    this.wasCutOff = wasCutOff(database);
  }

  /**
   * Opens the index at `path`, which lies where no guest can write. One that cannot be read is kept beside
   * (`….damaged`) and a new one begun; where not even that works, it lives in memory only. Throws LayoutFault if
   * another process uses it. `onRestored`: it could not be used for a while, and what was put meanwhile is not known;
   * the disk is to be read.
   */
  static open(
    path: string,
    onTrouble: (message: string) => void,
    onRestored: () => void = () => {},
  ): FileIndex {
    const opened = (database: DatabaseSync) => {
      try {
        return new FileIndex(path, database, onTrouble, onRestored);
      } catch (error) {
        database.close();
        throw error;
      }
    };
    try {
      return opened(openDatabase(path));
    } catch (error) {
      if (error instanceof LayoutFault) throw error;
      if (isInUse(error)) throw new LayoutFault(`another daemon uses ${path}`);
      if (lacksDescriptors(error)) throw new LayoutFault(`${path}: ${error.message}`);
      return opened(begun(path, error, onTrouble));
    }
  }

  get(path: RelativePath): IndexEntry {
    const recent = this.#recent.get(path);
    if (recent !== undefined) return recent;
    return this.#transactions.read((statements) => {
      const former = this.#formerName(path);
      const row = rowAt(statements, path) ??
        (former === undefined ? undefined : rowAt(statements, former));
      return row === undefined || this.#isLeft(path) ? UNKNOWN_ENTRY : entryOf(row);
    }, UNKNOWN_ENTRY);
  }

  /** Where that is still kept which is known of `path`, in a directory that is just being moved. */
  #formerName(path: RelativePath): RelativePath | undefined {
    for (const { from, to } of this.#moving) {
      if (isBelow(path, to)) return renamedIn(path, to, from);
    }
    return undefined;
  }

  /** What is kept there is known of another path by now. */
  #isLeft(path: RelativePath): boolean {
    return this.#moving.size > 0 && [...this.#moving].some(({ from }) => isBelow(path, from));
  }

  /** Remembers `entry`; one without records is forgotten. */
  put(path: RelativePath, entry: IndexEntry): void {
    this.#transactions.write((statements) => {
      const directory = parentOf(path);
      const name = nameOf(path);
      const former = this.#formerName(path);
      if (former !== undefined) statements.delete.run(parentOf(former), nameOf(former));
      const isForgotten = entry.records.length === 0;
      this.#recent.set(path, isForgotten ? UNKNOWN_ENTRY : entry);
      if (isForgotten) {
        statements.delete.run(directory, name);
        return;
      }
      // The last one's: a guest that took the name long ago has no part in when it is tried again (I7).
      const held = entry.records.findLast(({ status }) => status === "held")?.replica ?? 0;
      statements.put.run(directory, name, held, packEntry(entry));
    });
  }

  /** Remembers a directory that was made at `made` like the one at `model`; see `withMadeDirectory`. */
  noteMadeDirectory(
    path: RelativePath,
    model: DirectoryAt | undefined,
    made: DirectoryAt,
  ): void {
    this.put(path, withMadeDirectory(this.get(path), model, made));
  }

  /** Whether anything is known below `directory`. */
  knowsBelow(directory: RelativePath): boolean {
    return this.#transactions.read(
      (statements) => directoryIn(statements, directory) !== undefined,
      true,
    );
  }

  /**
   * What is known below `from` is known below `to` instead, where nothing was known: at once for whoever asks for a path, some
   * hundred names at a time for pages, for which nobody is to ask before this settles.
   */
  async moveBelow(from: RelativePath, to: RelativePath): Promise<void> {
    const move = { from, to };
    const pace = new Pace(1);
    this.#recent.clear();
    this.#moving.add(move);
    try {
      for (let isMore = true; isMore;) {
        isMore = false; // if it fails: then nothing is known of the rest
        this.#transactions.write((statements) => isMore = moveSome(statements, from, to));
        if (pace.isDue()) await pace.rest();
      }
    } finally {
      this.#moving.delete(move);
      this.#recent.clear();
    }
  }

  /** What is known of the next names of `directory` in order behind `after`; see `KnownDirectory`. */
  page(directory: RelativePath, after: string): KnownPage {
    return this.#transactions.read(
      ({ page }) => pageOf(page.get(directory, after), after),
      NOTHING_KNOWN,
    );
  }

  /**
   * Up to `limit` paths of which `replica` holds something that could not be scanned, in order, behind `after`. Each
   * path is one replica's only.
   */
  heldPaths(replica: ReplicaId, limit: number, after: RelativePath | undefined): RelativePath[] {
    const directory = after === undefined ? "" : parentOf(after);
    const name = after === undefined ? "" : nameOf(after);
    return this.#transactions.read(
      ({ held }) => held.all(replica, directory, name, limit).map(pathOf),
      [],
    );
  }

  /**
   * The number of a replica, whether the index knew it with this root before, and whether it is noted that it was left
   * empty, which is told once.
   */
  replicaId(
    name: string,
    rootInode: number,
  ): { id: ReplicaId; known: boolean; leftEmpty: boolean } {
    return this.#numbers.replicaId(name, rootInode);
  }

  /** Remembers that a replica was empty when the daemon, which had watched it, left it: to be noted last of all. */
  noteLeftEmpty(id: ReplicaId): void {
    this.#transactions.write((_, database) => noteLeftEmpty(database, id));
  }

  /**
   * Whether the disk may lack some of what the index tells of: the machine went down without the daemon's having seen to it
   * that everything is on the disk. Until `confirm`.
   */
  get isAhead(): boolean {
    return this.#isAhead;
  }

  /** Whatever differed from the disk is forgotten. So is what was known of others than `present`: nobody can see it. */
  confirm(present: readonly ReplicaId[]): void {
    this.#isAhead = false;
    this.#transactions.write((_, database) => forgetOthers(database, present));
  }

  /** Counts what is put. */
  get changes(): number {
    return this.#transactions.changes;
  }

  /** All that the index tells of is on the disk: to be noted last of all. */
  noteOnDisk(): void {
    if (this.#isAhead) return;
    this.#transactions.write((_, database) => noteOnDisk(database));
  }

  /** All replicas that the index knows, of older configurations too. */
  replicas(): (Numbered & { readonly name: ByteString })[] {
    return this.#numbers.replicas();
  }

  /** The number that a replica had, whatever its root was; a number of its own if it never had one. */
  lastId(name: string): ReplicaId {
    return this.#numbers.lastId(name);
  }

  /**
   * Gives a replica a new number: nothing that was known of it counts any more. `undefined` if that could be noted in no
   * way, and counts for nobody.
   */
  forgetReplica(name: string, rootInode: number): ReplicaId | undefined {
    return this.#numbers.forgetReplica(name, rootInode);
  }

  /** Whether anything at all is known of a replica, or may be: it cannot be told of an index that cannot be read. */
  knowsFilesOf(id: ReplicaId): boolean {
    return this.#transactions.read((_, database) => {
      // SQLite looks for the number's bytes in a tenth of the time that it takes to hand over all rows.
      const candidates = database.prepare("SELECT packed FROM entry WHERE instr(packed, ?)")
        .iterate(packId(id));
      for (const row of candidates) {
        if (recordIn(entryOf(row), id) !== undefined) return true;
      }
      return false;
    }, true);
  }

  /** Makes everything that was put last a crash of the daemon. `false` if some of it could not be written. */
  commit(): boolean {
    return this.#transactions.commit();
  }

  /**
   * Makes everything last, for a process that is about to end or to be started anew, which alone lets go of the file: to
   * close it removes SQLite's log, without which the next start could not open it where a guest has filled the disk.
   */
  leave(): void {
    this.#transactions.leave();
  }

  close(): void {
    this.#transactions.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Belongs to every transaction. */
  #onBegin(statements: IndexStatements, database: DatabaseSync): void {
    // Whatever is known later, the note that a replica was left empty is as old as what was known then.
    statements.forgetLeftEmpty.run();
    if (!this.#isAhead) noteThisBoot(statements.noteBoot, this.#filesystem);
    this.#numbers.writeNew(database);
  }

  #onBegunAnew(): void {
    this.#isAhead = false;
    this.#numbers.onBegunAnew();
  }
}

function rowAt({ get }: IndexStatements, path: RelativePath) {
  return get.get(parentOf(path), nameOf(path));
}

/** `false` if there is nothing to move. */
function moveSome(statements: IndexStatements, from: RelativePath, to: RelativePath): boolean {
  const directory = directoryIn(statements, from);
  if (directory === undefined) return false;
  statements.moveSome.run(directory, to + directory.slice(from.length));
  return true;
}

/** Some directory at or below `directory` in which something is known. */
function directoryIn(statements: IndexStatements, directory: RelativePath): string | undefined {
  const row = statements.directoryIn.get(directory);
  return row === undefined ? undefined : String(row.directory);
}

function isBelow(path: RelativePath, directory: RelativePath): boolean {
  return path !== directory && isWithin(path, directory);
}
