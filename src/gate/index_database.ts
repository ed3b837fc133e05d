/** The SQLite file that holds the index: how it is laid out, opened, and set aside. */

import { DatabaseSync } from "node:sqlite";
import { type ByteString, fileName, fromText } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { throughDoorway } from "../../ffi/doorway.ts";
import { isErrno, SystemError } from "../../ffi/errno.ts";
import { filesystemId } from "../../ffi/filesystem_status.ts";
import { RENAME_REPLACE } from "../../ffi/platform.ts";
import { LayoutFault } from "./layout_fault.ts";
import { BrokenEntry } from "./packed_entry.ts";

/** Stands in the file's header; another number is another layout. The one before is taken over, others start anew. */
const SCHEMA_VERSION = 6;
const FORMER_VERSION = 5;
/** How long another daemon's last moments are waited for. */
const OTHERS_END_MS = 2000;
/** Another connection has locked the file; what is in it cannot be; it is no database (sqlite.org/rescode.html). */
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/**
 * When the machine was started (milliseconds since 1970) whose memory what the index tells of may still be in only; 0 if all
 * of that is on the disk. And in which file system it was written.
 */
const BOOT = "CREATE TABLE boot (started_ms REAL NOT NULL, filesystem TEXT NOT NULL);";

/** `held`: the replica whose own change could not be scanned, the first if there are several; 0 if there is none. */
const SCHEMA = `
  CREATE TABLE entry (
    directory TEXT NOT NULL,
    name TEXT NOT NULL,
    held INTEGER NOT NULL,
    packed BLOB NOT NULL,
    PRIMARY KEY (directory, name)
  ) WITHOUT ROWID;
  CREATE INDEX held_entry ON entry (held, directory, name) WHERE held <> 0;
  CREATE TABLE replica (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    root_inode INTEGER NOT NULL,
    left_empty INTEGER NOT NULL DEFAULT 0
  );
  ${BOOT}
  INSERT INTO boot VALUES (0, '');
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Where it was written was not noted then. */
const FROM_FORMER = `
  ALTER TABLE boot RENAME TO former;
  ${BOOT}
  INSERT INTO boot SELECT started_ms, '' FROM former;
  DROP TABLE former;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Behind the file's name and before a number. */
const FORGOTTEN = ".forgotten-";

/** In place of a path, where no file can be had. */
export const IN_MEMORY = ":memory:";
/** Of 4 KiB, in memory: as long as they are full, new names are as if they had never been known (I6). */
const MOST_PAGES_IN_MEMORY = 65_536;

/** Opens the file at `path`, or makes it, for this process alone. Throws if it is in use or damaged. */
export function openDatabase(path: string): DatabaseSync {
  const database = prepared(reached(path, (reachable) => new DatabaseSync(reachable)));
  if (path === IN_MEMORY) database.exec(`PRAGMA max_page_count = ${MOST_PAGES_IN_MEMORY}`);
  return database;
}

/** Calls `use` with a path to the same file that Deno's permissions let it open, until they are given up. */
function reached<T>(path: string, use: (reachable: string) => T): T {
  if (path === IN_MEMORY) return use(path);
  const { folder, name } = placeOf(path);
  return throughDoorway(folder, (way) => use(`${way}/${name}`));
}

function prepared(database: DatabaseSync): DatabaseSync {
  try {
    // For us alone: otherwise SQLite maps a file to share with others (-shm), and on a full disk the first use of a
    // page of that ends the process (SIGBUS).
    database.exec(`PRAGMA busy_timeout = ${OTHERS_END_MS}; PRAGMA locking_mode = EXCLUSIVE;`);
    // WAL without a flush at each commit: kill -9 loses nothing, a power failure the last moments, or what the index
    // tells of and not the index. This is the first look at the file, and takes it for us; not by `exec`, whose errors
    // have no `errcode`.
    database.prepare("PRAGMA journal_mode = WAL").get();
    database.exec("PRAGMA synchronous = NORMAL;");
    database.exec("PRAGMA cache_size = -4096; PRAGMA journal_size_limit = 4194304;");
    const version = Number(database.prepare("PRAGMA user_version").get()?.user_version ?? 0);
    if (version === 0) database.exec(`BEGIN; ${SCHEMA} COMMIT;`);
    else if (version === FORMER_VERSION) database.exec(`BEGIN; ${FROM_FORMER} COMMIT;`);
    else if (version !== SCHEMA_VERSION) throw new Error(`layout ${version} is not known here`);
    if (schemaOf(database) !== OUR_SCHEMA) throw new Error("its tables are not ours");
    // A damaged header may say that nothing is to be written. Taken back, this needs no room on the disk.
    database.exec("BEGIN");
    changeNothing(database);
    database.exec("ROLLBACK");
    const check = database.prepare("PRAGMA quick_check(1)").get();
    if (check?.quick_check !== "ok") throw new Error("it is damaged");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** As it was written, which is what names and types of columns come from (sqlite.org/schematab.html). */
function schemaOf(database: DatabaseSync): string {
  const rows = database.prepare(
    "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type <> 'trigger' ORDER BY name",
  ).all();
  return JSON.stringify(rows);
}

const OUR_SCHEMA = ourSchema();

function ourSchema(): string {
  using database = new DatabaseSync(IN_MEMORY);
  database.exec(SCHEMA);
  return schemaOf(database);
}

/** A change that changes nothing, to try whether anything can be written. */
export function changeNothing(database: DatabaseSync): void {
  database.prepare(`PRAGMA user_version = ${SCHEMA_VERSION}`).run();
}

/** Moves what is in the log into the file itself, as far as there is room. The log stays, and may be empty. */
export function writeBack(database: DatabaseSync): void {
  try {
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch {
    // For want of room, say: the next start finds the rest in the log.
  }
}

/** Whether `openDatabase` failed since another connection has the file. */
export function isInUse(error: unknown): boolean {
  return kindOf(error) === SQLITE_BUSY;
}

/** Whether a prepared statement failed since the file holds what nobody can have written. */
export function isDamage(error: unknown): boolean {
  return error instanceof BrokenEntry || isNoNumber(error) || kindOf(error) === SQLITE_CORRUPT ||
    kindOf(error) === SQLITE_NOTADB;
}

/** Whether a number was read that JavaScript has none for, and that was never one of JavaScript's. */
function isNoNumber(error: unknown): boolean {
  return error instanceof RangeError && "code" in error && error.code === "ERR_OUT_OF_RANGE";
}

/** The lowest byte is the kind of error, the others tell more of it. Errors of `exec` have none. */
function kindOf(error: unknown): number | undefined {
  return error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : undefined;
}

/**
 * Renames the file and what belongs to it to `….damaged`. Not through Deno, whose permissions a daemon has given up by the
 * time it meets what is damaged.
 */
export function setAside(path: string): void {
  const { folder, name } = placeOf(path);
  using directory = Directory.openTrusted(folder);
  for (const suffix of ["", "-wal", "-shm"]) {
    try {
      const damaged = fileName(`${name}.damaged${suffix}`);
      directory.rename(fileName(name + suffix), directory, damaged, RENAME_REPLACE);
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
    }
  }
}

/**
 * Notes that a number in the file counts no more, by an empty file beside it: a full disk has room for that longer than
 * for what is written. `false` if that is not possible either.
 */
export function markForgotten(path: string, id: number): boolean {
  const { folder, name } = placeOf(path);
  try {
    using directory = Directory.openTrusted(folder);
    directory.openOrCreateFile(fileName(`${name}${FORGOTTEN}${id}`), 0o600).close();
    return true;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return false;
  }
}

/**
 * The numbers that are noted so; the marks of others than `given` are removed. Throws LayoutFault where that cannot be
 * read: what was forgotten would be known.
 */
export function markedForgotten(path: string, given: ReadonlySet<number>): Set<number> {
  const marked = new Set<number>();
  if (path === IN_MEMORY) return marked;
  const { folder, name } = placeOf(path);
  const prefix = fromText(name + FORGOTTEN);
  try {
    using directory = Directory.openTrusted(folder);
    for (const entry of [...directory.entries()]) {
      if (entry.kind !== "file" || !entry.name.startsWith(prefix)) continue;
      const id = Number(entry.name.slice(prefix.length));
      if (given.has(id)) marked.add(id);
      else directory.removeFile(entry.name);
    }
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new LayoutFault(`what is noted beside ${path} cannot be read (${error.message})`);
  }
  return marked;
}

/** In which file system the index at `path` lies. Throws LayoutFault where that cannot be told. */
export function filesystemOf(path: string): string {
  if (path === IN_MEMORY) return "";
  try {
    using directory = Directory.openTrusted(placeOf(path).folder);
    return filesystemId(directory);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new LayoutFault(`in which file system ${path} lies cannot be told (${error.message})`);
  }
}

function placeOf(path: string): { readonly folder: ByteString; readonly name: string } {
  const slash = path.lastIndexOf("/");
  return { folder: fromText(path.slice(0, slash)), name: path.slice(slash + 1) };
}
