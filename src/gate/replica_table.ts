/** The replicas in the index: their numbers, under which everything is known of them. Each may throw what SQLite throws. */

import type { DatabaseSync } from "node:sqlite";
import type { ByteString } from "../../ffi/byte_string.ts";
import { replicaNameOf } from "./index_rows.ts";
import { BrokenEntry } from "./packed_entry.ts";
import type { ReplicaId } from "./replica_record.ts";

/** Records have 32 bits for a number. */
const LARGEST_NUMBER = 2 ** 31 - 1;

/** The number of a replica, and what tells whether it is still the same directory. */
export interface Numbered {
  readonly id: ReplicaId;
  readonly rootInode: number;
}

export function numberedIn(database: DatabaseSync, name: string): Numbered | undefined {
  const row = database.prepare("SELECT id, root_inode FROM replica WHERE name = ?").get(name);
  return row === undefined ? undefined : { id: Number(row.id), rootInode: Number(row.root_inode) };
}

export function replicasIn(database: DatabaseSync): (Numbered & { readonly name: ByteString })[] {
  return database.prepare("SELECT id, name, root_inode FROM replica").all().map((row) => ({
    id: Number(row.id),
    name: replicaNameOf(row),
    rootInode: Number(row.root_inode),
  }));
}

export function numbersIn(database: DatabaseSync): Set<ReplicaId> {
  return new Set(database.prepare("SELECT id FROM replica").all().map(({ id }) => Number(id)));
}

/** The last number that was given, whether or not it is still somebody's. Throws BrokenEntry if it cannot be one. */
export function lastNumberIn(database: DatabaseSync): ReplicaId {
  const row = database.prepare(
    "SELECT max(id) AS last FROM (SELECT id FROM replica UNION ALL SELECT seq FROM sqlite_sequence)",
  ).get();
  const last = Number(row?.last ?? 0);
  if (!(last < LARGEST_NUMBER)) throw new BrokenEntry("a replica's number that is none");
  return last;
}

/** Writes down a number, and the last one that was given. */
export function writeReplica(
  database: DatabaseSync,
  name: string,
  { id, rootInode }: Numbered,
  lastNumber: ReplicaId,
): void {
  database.prepare("INSERT OR REPLACE INTO replica (id, name, root_inode) VALUES (?, ?, ?)")
    .run(id, name, rootInode);
  database.prepare("UPDATE sqlite_sequence SET seq = ?").run(lastNumber);
}

/** Nothing is known of others than `kept` any more. */
export function forgetOthers(database: DatabaseSync, kept: readonly ReplicaId[]): void {
  const forget = database.prepare("DELETE FROM replica WHERE id = ?");
  for (const id of numbersIn(database)) if (!kept.includes(id)) forget.run(id);
}

/** The names of the replicas that are noted to have been left empty. */
export function leftEmptyIn(database: DatabaseSync): Set<string> {
  const rows = database.prepare("SELECT name FROM replica WHERE left_empty <> 0").all();
  return new Set(rows.map(({ name }) => String(name)));
}

export function noteLeftEmpty(database: DatabaseSync, id: ReplicaId): void {
  database.prepare("UPDATE replica SET left_empty = 1 WHERE id = ?").run(id);
}
