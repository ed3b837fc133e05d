/**
 * The numbers of replicas, under which the index has everything that is known of them. A replica that begins anew gets another
 * number: then nothing that was known of it counts any more.
 */

import type { DatabaseSync } from "node:sqlite";
import type { ByteString } from "../../ffi/byte_string.ts";
import { markedForgotten, markForgotten } from "./index_database.ts";
import type { IndexTransactions } from "./index_transactions.ts";
import type { ReplicaId } from "./replica_record.ts";
import {
  lastNumberIn,
  leftEmptyIn,
  type Numbered,
  numberedIn,
  numbersIn,
  replicasIn,
  writeReplica,
} from "./replica_table.ts";

export class ReplicaNumbers {
  readonly #path: string;
  readonly #transactions: IndexTransactions;
  /** The replicas that were asked for, with the numbers that they have. */
  readonly #replicas = new Map<string, Numbered>();
  /** Those of them that are not written down: that is done together with whatever is known of them first. */
  readonly #unwritten = new Set<string>();
  /** Numbers that are written down still, and count no more. */
  readonly #forgotten: ReadonlySet<ReplicaId>;
  /** Replicas of which nobody has asked yet, and the daemon before this one noted that it left them empty. */
  readonly #leftEmpty: Set<string>;
  /** No number is given twice, even if what was written with it is lost: a job may still note what it knew before. */
  #lastNumber: ReplicaId;

  /** Those in the index at `path`. Throws LayoutFault, BrokenEntry, and what SQLite throws. */
  constructor(path: string, database: DatabaseSync, transactions: IndexTransactions) {
    this.#path = path;
    this.#transactions = transactions;
    this.#lastNumber = lastNumberIn(database);
    this.#forgotten = markedForgotten(path, numbersIn(database));
    this.#leftEmpty = leftEmptyIn(database);
  }

  /** See `FileIndex`. */
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
    this.#transactions.write((_, database) => this.writeNew(database));
    this.#transactions.commit();
    return { id, known: false, leftEmpty: false };
  }

  /** See `FileIndex`. */
  lastId(name: string): ReplicaId {
    return this.#numbered(name)?.id ?? ++this.#lastNumber;
  }

  /** See `FileIndex`. */
  forgetReplica(name: string, rootInode: number): ReplicaId | undefined {
    const before = this.#numbered(name);
    const replica = { id: ++this.#lastNumber, rootInode };
    this.#transactions.write((_, database) => this.#write(database, name, replica));
    if (!this.#transactions.commit()) {
      if (before === undefined || !markForgotten(this.#path, before.id)) return undefined;
      this.#unwritten.add(name);
    }
    this.#replicas.set(name, replica);
    return replica.id;
  }

  /** See `FileIndex`. */
  replicas(): (Numbered & { readonly name: ByteString })[] {
    return this.#transactions.read(
      (_, database) => replicasIn(database).filter(({ id }) => !this.#forgotten.has(id)),
      [],
    );
  }

  /** Writes those down that are not yet. To be called in a transaction; throws what SQLite throws. */
  writeNew(database: DatabaseSync): void {
    for (const name of this.#unwritten) {
      const replica = this.#replicas.get(name);
      if (replica !== undefined) this.#write(database, name, replica);
    }
  }

  /** What `writeNew` has written lasts. */
  onCommitted(): void {
    this.#unwritten.clear();
  }

  /** Nothing is written down any more. */
  onBegunAnew(): void {
    for (const name of this.#replicas.keys()) this.#unwritten.add(name);
  }

  /** What is known of a replica's number. */
  #numbered(name: string): Numbered | undefined {
    return this.#replicas.get(name) ?? this.#transactions.read((_, database) => {
      const numbered = numberedIn(database, name);
      return numbered === undefined || this.#forgotten.has(numbered.id) ? undefined : numbered;
    }, undefined);
  }

  #write(database: DatabaseSync, name: string, replica: Numbered): void {
    writeReplica(database, name, replica, this.#lastNumber);
  }
}
