/**
 * The index of what was last known of every path, in SQLite. It tells a deletion from a file that was never there, and
 * the known version from a newer one. It holds no content and proves no verdict: lost or damaged, the next start
 * compares the trees instead.
 *
 * Writes are collected and committed together after a moment; `commit` makes them last at once.
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import {
  type ByteString,
  isWithin,
  nameOf,
  parentOf,
  type RelativePath,
  renamedIn,
} from "../../ffi/byte_string.ts";
import { lacksDescriptors, messageOf } from "../../ffi/errno.ts";
import { BoundedMap } from "../collections/bounded_map.ts";
import {
  isOfAnotherBoot,
  noteOnDisk,
  noteThisBoot,
  preparedNote,
  wasCutOff,
} from "./index_boot.ts";
import {
  changeNothing,
  filesystemOf,
  isDamage,
  isInUse,
  markedForgotten,
  markForgotten,
  openDatabase,
  writeBack,
} from "./index_database.ts";
import { begun, givenUp } from "./index_renewal.ts";
import { entryOf, pageOf, pathOf } from "./index_rows.ts";
import { type KnownPage, NOTHING_KNOWN, PAGE_NAMES } from "./known_directory.ts";
import { LayoutFault } from "./layout.ts";
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
import {
  forgetOthers,
  lastNumberIn,
  leftEmptyIn,
  noteLeftEmpty,
  type Numbered,
  numberedIn,
  numbersIn,
  replicasIn,
  writeReplica,
} from "./replica_table.ts";

const COMMIT_AFTER_MS = 20;
const MOST_RECENT = 4096;
/** Of their paths. */
const MOST_RECENT_BYTES = 1024 * 1024;
/** After trouble it is tried whether the index can be written again; longer each time, if it does not last. */
const TRY_AGAIN_MS = 5_000;
const TRY_AGAIN_LATEST_MS = 60_000;

/**
 * Many entries of a directory in one row: rows, and blobs of their own, cost more than what is in them. No name
 * holds a slash; text of any bytes stays as it is through the casts (sqlite.org/lang_expr.html#castexpr).
 */
const PAGE_OF_DIRECTORY = `
  SELECT group_concat(name, '/') AS names,
    CAST(group_concat(CAST(packed AS TEXT), '') AS BLOB) AS packed
  FROM (
    SELECT name, packed FROM entry WHERE directory = ? AND name > ?
    ORDER BY name LIMIT ${PAGE_NAMES}
  )
`;

/** "0" follows upon "/". */
const DIRECTORY_IN = `
  SELECT directory FROM entry
  WHERE directory = ?1 OR (directory > ?1 || '/' AND directory < ?1 || '0')
  LIMIT 1
`;
const MOVE_SOME = `
  UPDATE OR REPLACE entry SET directory = ?2
  WHERE directory = ?1 AND name IN (SELECT name FROM entry WHERE directory = ?1 LIMIT 500)
`;

/** What is asked of the database again and again. Not by its `exec`, whose errors do not tell whether it is damaged. */
interface Statements {
  readonly begin: StatementSync;
  readonly forgetLeftEmpty: StatementSync;
  readonly noteBoot: StatementSync;
  readonly commit: StatementSync;
  readonly get: StatementSync;
  readonly put: StatementSync;
  readonly delete: StatementSync;
  readonly page: StatementSync;
  readonly held: StatementSync;
  readonly directoryIn: StatementSync;
  readonly moveSome: StatementSync;
}

export class FileIndex implements Disposable {
  readonly #path: string;
  readonly #filesystem: string;
  readonly #onTrouble: (message: string) => void;
  readonly #onRestored: () => void;
  #database: DatabaseSync;
  #statements: Statements;
  /** The replicas that were asked for, with the numbers that they have. */
  readonly #replicas = new Map<string, Numbered>();
  /** Those of them that are not written down: that is done together with whatever is known of them first. */
  readonly #unwritten = new Set<string>();
  /** Numbers that are written down still, and count no more. */
  readonly #forgotten: ReadonlySet<ReplicaId>;
  /** No number is given twice, even if what was written with it is lost: a job may still note what it knew before. */
  #lastNumber: ReplicaId;
  /** Replicas of which nobody has asked yet, and the daemon before this one noted that it left them empty. */
  readonly #leftEmpty: Set<string>;
  /** What was put last, by path: the echo of a change asks for it a debounce later. */
  readonly #recent = new BoundedMap<RelativePath, IndexEntry>(
    MOST_RECENT,
    MOST_RECENT_BYTES,
    (path) => path.length,
  );
  /** Directories of which what is known is being moved. */
  readonly #moving = new Set<{ readonly from: RelativePath; readonly to: RelativePath }>();
  #commitTimer: ReturnType<typeof setTimeout> | undefined;
  #inTransaction = false;
  /** Something that was put since the last `commit` is lost. */
  #isLost = false;
  #isAhead: boolean;
  #changes = 0;
  #troubled = false;
  #againTimer: ReturnType<typeof setTimeout> | undefined;
  #againMs = TRY_AGAIN_MS;
  #restoredAt = -Infinity;
  #begunAnewAt = -Infinity;

  /** Whether the daemon that wrote it was ended before it had done all that belongs to its end. */
  readonly wasCutOff: boolean;

  private constructor(
    path: string,
    database: DatabaseSync,
    onTrouble: (message: string) => void,
    onRestored: () => void,
  ) {
    this.#path = path;
    this.#filesystem = filesystemOf(path);
    this.#database = database;
    this.#onTrouble = onTrouble;
    this.#onRestored = onRestored;
    this.#statements = prepareStatements(database);
    this.#lastNumber = lastNumberIn(database);
    this.#forgotten = markedForgotten(path, numbersIn(database));
    this.#isAhead = isOfAnotherBoot(database, this.#filesystem);
    this.wasCutOff = wasCutOff(database);
    this.#leftEmpty = leftEmptyIn(database);
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
    return this.#attempt(() => {
      const former = this.#formerName(path);
      const row = this.#rowAt(path) ?? (former === undefined ? undefined : this.#rowAt(former));
      return row === undefined || this.#isLeft(path) ? UNKNOWN_ENTRY : entryOf(row);
    }, UNKNOWN_ENTRY);
  }

  #rowAt(path: RelativePath) {
    return this.#statements.get.get(parentOf(path), nameOf(path));
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
    this.#write(() => {
      const directory = parentOf(path);
      const name = nameOf(path);
      const former = this.#formerName(path);
      if (former !== undefined) this.#statements.delete.run(parentOf(former), nameOf(former));
      const isForgotten = entry.records.length === 0;
      this.#recent.set(path, isForgotten ? UNKNOWN_ENTRY : entry);
      if (isForgotten) {
        this.#statements.delete.run(directory, name);
        return;
      }
      // The last one's: a guest that took the name long ago has no part in when it is tried again (I7).
      const held = entry.records.findLast(({ status }) => status === "held")?.replica ?? 0;
      this.#statements.put.run(directory, name, held, packEntry(entry));
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
    return this.#attempt(() => this.#directoryIn(directory) !== undefined, true);
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
        this.#write(() => isMore = this.#moveSome(from, to));
        if (pace.isDue()) await pace.rest();
      }
    } finally {
      this.#moving.delete(move);
      this.#recent.clear();
    }
  }

  /** What is known of the next names of `directory` in order behind `after`; see `KnownDirectory`. */
  page(directory: RelativePath, after: string): KnownPage {
    return this.#attempt(
      () => pageOf(this.#statements.page.get(directory, after), after),
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
    return this.#attempt(
      () => this.#statements.held.all(replica, directory, name, limit).map(pathOf),
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
    const known = this.#numbered(name);
    const leftEmpty = this.#leftEmpty.delete(name);
    if (known?.rootInode === rootInode) {
      this.#replicas.set(name, known);
      return { id: known.id, known: true, leftEmpty };
    }
    const id = ++this.#lastNumber;
    this.#replicas.set(name, { id, rootInode });
    this.#unwritten.add(name);
    this.#write(() => this.#writeReplicas());
    this.commit();
    return { id, known: false, leftEmpty: false };
  }

  /** Remembers that a replica was empty when the daemon, which had watched it, left it: to be noted last of all. */
  noteLeftEmpty(id: ReplicaId): void {
    this.#write(() => noteLeftEmpty(this.#database, id));
  }

  /**
   * Whether the disk may lack some of what the index tells of, or the index some of what is there: the machine went down
   * without the daemon's having seen to it that everything is on the disk, or this is a snapshot. Until `confirm`.
   */
  get isAhead(): boolean {
    return this.#isAhead;
  }

  /** Whatever differed from the disk is forgotten. So is what was known of others than `present`: nobody can see it. */
  confirm(present: readonly ReplicaId[]): void {
    this.#isAhead = false;
    this.#write(() => forgetOthers(this.#database, present));
  }

  /** Counts what is put. */
  get changes(): number {
    return this.#changes;
  }

  /** All that the index tells of is on the disk: to be noted last of all. */
  noteOnDisk(): void {
    if (this.#isAhead) return;
    this.#write(() => noteOnDisk(this.#database));
  }

  /** All replicas that the index knows, of older configurations too. */
  replicas(): (Numbered & { readonly name: ByteString })[] {
    return this.#attempt(
      () => replicasIn(this.#database).filter(({ id }) => !this.#forgotten.has(id)),
      [],
    );
  }

  /** The number that a replica had, whatever its root was; a number of its own if it never had one. */
  lastId(name: string): ReplicaId {
    return this.#numbered(name)?.id ?? ++this.#lastNumber;
  }

  /**
   * Gives a replica a new number: nothing that was known of it counts any more. `undefined` if that could be noted in no
   * way, and counts for nobody.
   */
  forgetReplica(name: string, rootInode: number): ReplicaId | undefined {
    const before = this.#numbered(name);
    const replica = { id: ++this.#lastNumber, rootInode };
    this.#write(() => this.#writeReplica(name, replica));
    if (!this.commit()) {
      if (before === undefined || !markForgotten(this.#path, before.id)) return undefined;
      this.#unwritten.add(name);
    }
    this.#replicas.set(name, replica);
    return replica.id;
  }

  /** Whether anything at all is known of a replica, or may be: it cannot be told of an index that cannot be read. */
  knowsFilesOf(id: ReplicaId): boolean {
    return this.#attempt(() => {
      // SQLite looks for the number's bytes in a tenth of the time that it takes to hand over all rows.
      const candidates = this.#database.prepare("SELECT packed FROM entry WHERE instr(packed, ?)")
        .iterate(packId(id));
      for (const row of candidates) {
        if (recordIn(entryOf(row), id) !== undefined) return true;
      }
      return false;
    }, true);
  }

  /** Makes everything that was put last a crash of the daemon. `false` if some of it could not be written. */
  commit(): boolean {
    const isWritten = this.#endTransaction();
    const isComplete = isWritten && !this.#isLost;
    this.#isLost = false;
    return isComplete;
  }

  /**
   * Makes everything last, for a process that is about to end or to be started anew, which alone lets go of the file: to
   * close it removes SQLite's log, without which the next start could not open it where a guest has filled the disk.
   */
  leave(): void {
    this.commit();
    clearTimeout(this.#againTimer);
    writeBack(this.#database);
    left.push(this.#database);
  }

  close(): void {
    this.commit();
    clearTimeout(this.#againTimer);
    this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** `false` if it could not be written, or nothing can. */
  #endTransaction(): boolean {
    clearTimeout(this.#commitTimer);
    this.#commitTimer = undefined;
    if (!this.#inTransaction) return !this.#troubled;
    this.#inTransaction = false;
    try {
      this.#statements.commit.run();
      this.#troubled = false;
      this.#unwritten.clear();
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  #write(change: () => void): void {
    try {
      if (!this.#inTransaction) {
        this.#statements.begin.run();
        this.#inTransaction = true;
        // Whatever is known later, the note that a replica was left empty is as old as what was known then.
        this.#statements.forgetLeftEmpty.run();
        if (!this.#isAhead) noteThisBoot(this.#statements.noteBoot, this.#filesystem);
        this.#writeReplicas();
      }
      this.#changes++;
      change();
      this.#commitTimer ??= setTimeout(() => this.commit(), COMMIT_AFTER_MS);
    } catch (error) {
      this.#isLost = true;
      this.#fail(error);
    }
  }

  #moveSome(from: RelativePath, to: RelativePath): boolean {
    const directory = this.#directoryIn(from);
    if (directory === undefined) return false;
    this.#statements.moveSome.run(directory, to + directory.slice(from.length));
    return true;
  }

  /** Some directory at or below `directory` in which something is known. */
  #directoryIn(directory: RelativePath): string | undefined {
    const row = this.#statements.directoryIn.get(directory);
    return row === undefined ? undefined : String(row.directory);
  }

  /** What is known of a replica's number. */
  #numbered(name: string): Numbered | undefined {
    return this.#replicas.get(name) ?? this.#attempt(() => {
      const numbered = numberedIn(this.#database, name);
      return numbered === undefined || this.#forgotten.has(numbered.id) ? undefined : numbered;
    }, undefined);
  }

  #writeReplicas(): void {
    for (const name of this.#unwritten) {
      const replica = this.#replicas.get(name);
      if (replica !== undefined) this.#writeReplica(name, replica);
    }
  }

  #writeReplica(name: string, replica: Numbered): void {
    writeReplica(this.#database, name, replica, this.#lastNumber);
  }

  #attempt<T>(query: () => T, otherwise: T): T {
    try {
      return query();
    } catch (error) {
      this.#fail(error);
      return otherwise;
    }
  }

  /** What was not committed is as if it had never been known: the disk is compared again. */
  #fail(error: unknown): void {
    if (this.#inTransaction) this.#isLost = true;
    this.#inTransaction = false;
    this.#recent.clear();
    try {
      this.#database.exec("ROLLBACK");
    } catch {
      // SQLite rolled back by itself
    }
    if (isDamage(error)) this.#beginAnew(error);
    else this.#tryLater(error);
  }

  #tryLater(error: unknown): void {
    if (!this.#troubled) {
      this.#onTrouble(
        `the index cannot be used now (${messageOf(error)}): going on; check the space on the disk`,
      );
    }
    this.#troubled = true;
    if (performance.now() - this.#restoredAt > TRY_AGAIN_LATEST_MS) this.#againMs = TRY_AGAIN_MS;
    this.#againTimer ??= setTimeout(() => this.#tryAgain(), this.#againMs);
  }

  /** What is damaged gets no better: the disk is read and compared, with an empty index. */
  #beginAnew(error: unknown): void {
    const now = performance.now();
    const isAgain = now - this.#begunAnewAt < TRY_AGAIN_LATEST_MS;
    this.#begunAnewAt = now;
    this.#database.close();
    // A disk that damages it at once would have everything read for ever.
    this.#database = isAgain
      ? givenUp(this.#path, error, this.#onTrouble)
      : begun(this.#path, error, this.#onTrouble);
    this.#statements = prepareStatements(this.#database);
    this.#isAhead = false;
    for (const name of this.#replicas.keys()) this.#unwritten.add(name);
    this.#write(() => {}); // but these
    this.#troubled = false;
    clearTimeout(this.#againTimer);
    this.#againTimer = setTimeout(() => {
      this.#againTimer = undefined;
      this.#onRestored();
    }, 0);
  }

  #tryAgain(): void {
    this.#againTimer = undefined;
    this.#againMs = Math.min(this.#againMs * 2, TRY_AGAIN_LATEST_MS);
    this.#write(() => changeNothing(this.#database));
    if (!this.#endTransaction()) return; // the next attempt is due
    this.#restoredAt = performance.now();
    this.#onRestored();
  }
}

/** Not to be collected as garbage, which would close them. */
const left: DatabaseSync[] = [];

function prepareStatements(database: DatabaseSync): Statements {
  return {
    begin: database.prepare("BEGIN"),
    forgetLeftEmpty: database.prepare("UPDATE replica SET left_empty = 0 WHERE left_empty <> 0"),
    noteBoot: preparedNote(database),
    commit: database.prepare("COMMIT"),
    get: database.prepare("SELECT packed FROM entry WHERE directory = ? AND name = ?"),
    put: database.prepare("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?)"),
    delete: database.prepare("DELETE FROM entry WHERE directory = ? AND name = ?"),
    page: database.prepare(PAGE_OF_DIRECTORY),
    held: database.prepare(
      "SELECT directory, name FROM entry " +
        "WHERE held = ? AND held <> 0 AND (directory, name) > (?, ?) " +
        "ORDER BY directory, name LIMIT ?",
    ),
    directoryIn: database.prepare(DIRECTORY_IN),
    moveSome: database.prepare(MOVE_SOME),
  };
}

function isBelow(path: RelativePath, directory: RelativePath): boolean {
  return path !== directory && isWithin(path, directory);
}
