/**
 * How the index stores what it holds of a path: 32-bit words, little-endian as both architectures are. Two words of
 * the entry (version; number of records, and whether it is deleted), then for each record three of its own
 * (replica, version, status) and those of ffi/status_words.ts.
 */

import { packStatus, STATUS_WORDS, unpackStatus } from "../../ffi/status_words.ts";
import type { IndexEntry, RecordStatus, ReplicaId, ReplicaRecord } from "./replica_record.ts";

const HEADER = 2;
const STATUS_AT = 3;
const RECORD = STATUS_AT + STATUS_WORDS;
const DELETED = 1 << 31;
const STATUSES: readonly RecordStatus[] = ["current", "held", "infected", "own"];
const CURRENT = STATUSES.indexOf("current");
const OWN = STATUSES.indexOf("own");

/** The index holds what nobody can have written. */
export class BrokenEntry extends Error {}

export function packEntry({ version, deleted, records }: IndexEntry): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(HEADER + records.length * RECORD);
  words[0] = version;
  words[1] = records.length | (deleted ? DELETED : 0);
  let at = HEADER;
  for (const record of records) {
    words[at] = record.replica;
    words[at + 1] = record.version;
    words[at + 2] = STATUSES.indexOf(record.status);
    packStatus(record, words, at + STATUS_AT);
    at += RECORD;
  }
  return new Uint8Array(words.buffer);
}

/** What stands somewhere in each entry with a record of the replica. */
export function packId(replica: ReplicaId): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Uint32Array.of(replica).buffer);
}

/** The words of what SQLite returned. Throws BrokenEntry for bytes that are no words. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  if (bytes.length % 4 !== 0) throw new BrokenEntry("not a whole entry");
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
}

/** Where the entry at `at` ends. Throws BrokenEntry if there is no whole entry that `unpackEntry` takes. */
export function endOf(words: Uint32Array, at: number): number {
  const end = at + HEADER + countAt(words, at) * RECORD;
  if (at + HEADER > words.length || end > words.length) throw new BrokenEntry("not a whole entry");
  for (let here = at + HEADER; here < end; here += RECORD) {
    if ((words[here + 2] ?? STATUSES.length) >= STATUSES.length) {
      throw new BrokenEntry("a status that does not exist");
    }
  }
  return end;
}

/** The entry at `at`, which must be whole. */
export function unpackEntry(words: Uint32Array, at: number): IndexEntry {
  const records: ReplicaRecord[] = [];
  const end = endOf(words, at);
  for (let here = at + HEADER; here < end; here += RECORD) {
    const status = STATUSES[words[here + 2] ?? STATUSES.length];
    if (status === undefined) throw new BrokenEntry("a status that does not exist");
    records.push({
      replica: replicaAt(words, here),
      version: words[here + 1] ?? 0,
      status,
      ...unpackStatus(words, here + STATUS_AT),
    });
  }
  return { version: words[at] ?? 0, deleted: ((words[at + 1] ?? 0) & DELETED) !== 0, records };
}

/** Where the status words of a replica's record stand; -1 if there is none. */
function statusAt(words: Uint32Array, at: number, replica: ReplicaId): number {
  const end = at + HEADER + countAt(words, at) * RECORD;
  for (let here = at + HEADER; here < end; here += RECORD) {
    if (replicaAt(words, here) === replica) return here + STATUS_AT;
  }
  return -1;
}

/** The same, if what the replica has is noted as its own. */
export function ownStatusAt(words: Uint32Array, at: number, replica: ReplicaId): number {
  const here = statusAt(words, at, replica);
  return words[here - 1] === OWN ? here : -1;
}

/** The same, if the replica has the channel's version. */
export function currentStatusAt(words: Uint32Array, at: number, replica: ReplicaId): number {
  const here = statusAt(words, at, replica);
  return words[here - 1] === CURRENT && words[here - 2] === words[at] ? here : -1;
}

/** Numbers below zero are those that could not be written down. */
function replicaAt(words: Uint32Array, at: number): ReplicaId {
  return (words[at] ?? 0) | 0;
}

function countAt(words: Uint32Array, at: number): number {
  return (words[at + 1] ?? 0) & ~DELETED;
}
