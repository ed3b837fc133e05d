/**
 * The database of the index, through all trouble. Changes are collected and committed together after a moment; what cannot be
 * written for now is tried again until it can be, and a database that turns out to be damaged is begun anew.
 */

import type { DatabaseSync } from "node:sqlite";
import { messageOf } from "../../ffi/errno.ts";
import { changeNothing, isDamage, writeBack } from "./index_database.ts";
import { begun, givenUp } from "./index_renewal.ts";
import { type IndexStatements, prepareStatements } from "./index_statements.ts";

const COMMIT_AFTER_MS = 20;
/** After trouble it is tried whether the index can be written again; longer each time, if it does not last. */
const TRY_AGAIN_MS = 5_000;
const TRY_AGAIN_LATEST_MS = 60_000;

export interface IndexTransactionsParts {
  /** Of the database's file. */
  readonly path: string;
  /** Writes what belongs to every transaction, first of all. May throw what SQLite throws. */
  onBegin(statements: IndexStatements, database: DatabaseSync): void;
  /** All that was written is to last. */
  onCommitted(): void;
  /** What was not committed is as if it had never been written. */
  onRolledBack(): void;
  /** The database is another one, with nothing in it. */
  onBegunAnew(): void;
  onTrouble(message: string): void;
  /** It could not be used for a while, and what was written meanwhile is lost. */
  onRestored(): void;
}

export class IndexTransactions {
  readonly #parts: IndexTransactionsParts;
  #database: DatabaseSync;
  #statements: IndexStatements;
  #commitTimer: ReturnType<typeof setTimeout> | undefined;
  #inTransaction = false;
  /** Something that was written since the last `commit` is lost. */
  #isLost = false;
  #changes = 0;
  #troubled = false;
  #againTimer: ReturnType<typeof setTimeout> | undefined;
  #againMs = TRY_AGAIN_MS;
  #restoredAt = -Infinity;
  #begunAnewAt = -Infinity;

  /** Takes over the database, unless it throws: what SQLite throws, of one that is damaged. */
  constructor(database: DatabaseSync, parts: IndexTransactionsParts) {
    this.#parts = parts;
    this.#database = database;
    this.#statements = prepareStatements(database);
  }

  /** Counts what is written. */
  get changes(): number {
    return this.#changes;
  }

  /** What `query` returns, or `otherwise` where the database cannot be read. */
  read<T>(query: (statements: IndexStatements, database: DatabaseSync) => T, otherwise: T): T {
    try {
      return query(this.#statements, this.#database);
    } catch (error) {
      this.#fail(error);
      return otherwise;
    }
  }

  /** Has `change` write something, to be committed after a moment. */
  write(change: (statements: IndexStatements, database: DatabaseSync) => void): void {
    try {
      if (!this.#inTransaction) {
        this.#statements.begin.run();
        this.#inTransaction = true;
        this.#parts.onBegin(this.#statements, this.#database);
      }
      this.#changes++;
      change(this.#statements, this.#database);
      this.#commitTimer ??= setTimeout(() => this.commit(), COMMIT_AFTER_MS);
    } catch (error) {
      this.#isLost = true;
      this.#fail(error);
    }
  }

  /** Makes everything that was written last a crash of the daemon. `false` if some of it could not be written. */
  commit(): boolean {
    const isWritten = this.#endTransaction();
    const isComplete = isWritten && !this.#isLost;
    this.#isLost = false;
    return isComplete;
  }

  /** See `FileIndex`. */
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

  /** `false` if it could not be written, or nothing can. */
  #endTransaction(): boolean {
    clearTimeout(this.#commitTimer);
    this.#commitTimer = undefined;
    if (!this.#inTransaction) return !this.#troubled;
    this.#inTransaction = false;
    try {
      this.#statements.commit.run();
      this.#troubled = false;
      this.#parts.onCommitted();
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  /** What was not committed is as if it had never been known: the disk is compared again. */
  #fail(error: unknown): void {
    if (this.#inTransaction) this.#isLost = true;
    this.#inTransaction = false;
    this.#parts.onRolledBack();
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
      this.#parts.onTrouble(
        `the index cannot be used now (${messageOf(error)}): going on; check the space on the disk`,
      );
    }
    this.#troubled = true;
    if (performance.now() - this.#restoredAt > TRY_AGAIN_LATEST_MS) this.#againMs = TRY_AGAIN_MS;
    this.#againTimer ??= setTimeout(() => this.#tryAgain(), this.#againMs);
  }

  #tryAgain(): void {
    this.#againTimer = undefined;
    this.#againMs = Math.min(this.#againMs * 2, TRY_AGAIN_LATEST_MS);
    this.write((_, database) => changeNothing(database));
    if (!this.#endTransaction()) return; // the next attempt is due
    this.#restoredAt = performance.now();
    this.#parts.onRestored();
  }

  /** What is damaged gets no better: the disk is read and compared, with an empty index. */
  #beginAnew(error: unknown): void {
    const { path } = this.#parts;
    const onTrouble = (message: string) => this.#parts.onTrouble(message);
    const now = performance.now();
    const isAgain = now - this.#begunAnewAt < TRY_AGAIN_LATEST_MS;
    this.#begunAnewAt = now;
    this.#database.close();
    // A disk that damages it at once would have everything read for ever.
    this.#database = isAgain ? givenUp(path, error, onTrouble) : begun(path, error, onTrouble);
    this.#statements = prepareStatements(this.#database);
    this.#parts.onBegunAnew();
    this.write(() => {}); // but what belongs to every transaction
    this.#troubled = false;
    clearTimeout(this.#againTimer);
    this.#againTimer = setTimeout(() => {
      this.#againTimer = undefined;
      this.#parts.onRestored();
    }, 0);
  }
}

/** Not to be collected as garbage, which would close them. */
const left: DatabaseSync[] = [];
