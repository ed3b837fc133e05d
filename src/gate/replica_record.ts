/** What the daemon last knew of one path in one replica (a producer's share, or the export). */

import type { FileStatus } from "../../ffi/file_status.ts";
import type { ReplicaRole } from "./planning/situation.ts";

/** Which file it is, and what it holds: rename, exchange and link leave it alone. */
export interface ContentIdentity {
  readonly inode: number;
  readonly size: number;
  readonly mtimeNs: bigint;
}

/** Which version of a file an inode holds: changes whenever content or attributes do. */
export interface FileIdentity extends ContentIdentity {
  readonly ctimeNs: bigint;
}

/** Numbers a replica in the index; a share that lost its memory gets a new one. */
export type ReplicaId = number;

/**
 * `current`: the replica holds the channel's version `version`.
 * `held`: its own change could not be scanned and waits; `infected`: its own change is malware that stays (`log`).
 * For both, `version` is the channel's version that the change was made on.
 * `own`: a write-only producer's, looked at; whether or not others took it then, it is no version of the channel's.
 */
export type RecordStatus = "current" | "held" | "infected" | "own";

export interface ReplicaRecord extends FileIdentity {
  readonly replica: ReplicaId;
  readonly kind: "file" | "directory";
  readonly status: RecordStatus;
  readonly version: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** All that the index holds of one path. */
export interface IndexEntry {
  /** Counts the versions that were published under this path. */
  readonly version: number;
  /** The last version is a deletion: a share that was not there has yet to learn of it, or a write-only producer keeps it. */
  readonly deleted: boolean;
  readonly records: readonly ReplicaRecord[];
}

export const UNKNOWN_ENTRY: IndexEntry = { version: 0, deleted: false, records: [] };

/** SUID, SGID and sticky never travel. */
export const TRAVELLING_MODE = 0o777;

export function recordOf(
  replica: ReplicaId,
  status: FileStatus,
  recordStatus: RecordStatus,
  version: number,
): ReplicaRecord {
  return {
    replica,
    kind: status.kind === "directory" ? "directory" : "file",
    status: recordStatus,
    version,
    inode: status.inode,
    size: status.size,
    mtimeNs: status.mtimeNs,
    ctimeNs: status.ctimeNs,
    mode: status.mode & TRAVELLING_MODE,
    uid: status.uid,
    gid: status.gid,
  };
}

/** Whether what is seen is exactly what the record tells of. A directory's own times say nothing. */
export function matches(record: ReplicaRecord, status: FileStatus): boolean {
  if (record.kind === "directory") {
    return status.kind === "directory" && record.uid === status.uid &&
      record.gid === status.gid && record.mode === (status.mode & TRAVELLING_MODE);
  }
  return status.kind === "file" && sameIdentity(record, status);
}

export function sameIdentity(a: FileIdentity, b: FileIdentity): boolean {
  return sameContentIdentity(a, b) && a.ctimeNs === b.ctimeNs;
}

export function sameContentIdentity(a: ContentIdentity, b: ContentIdentity): boolean {
  return a.inode === b.inode && a.size === b.size && a.mtimeNs === b.mtimeNs;
}

/** Whether owner, permissions, size and time of modification are the same. */
export function sameAttributes(a: Attributes, b: Attributes): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.uid === b.uid && a.gid === b.gid &&
    (a.mode & TRAVELLING_MODE) === (b.mode & TRAVELLING_MODE);
}

interface Attributes {
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What the entry knows of a replica. */
export function recordIn({ records }: IndexEntry, replica: ReplicaId): ReplicaRecord | undefined {
  return records.find((record) => record.replica === replica);
}

/**
 * What the channel knows of a replica. What a producer had while it was write-only is news: nothing was brought to it then,
 * and the others' deletions were none of its own.
 */
export function knownIn(
  entry: IndexEntry,
  { id, role }: { readonly id: ReplicaId; readonly role: ReplicaRole },
): ReplicaRecord | undefined {
  const record = recordIn(entry, id);
  return record?.status === "own" && role !== "diode" ? undefined : record;
}

/** The channel's version on which a replica's change is made; 0 if it is none of them. */
export function baseIn(entry: IndexEntry, replica: ReplicaId): number {
  const record = recordIn(entry, replica);
  return record === undefined || record.status === "own" ? 0 : record.version;
}

/**
 * The entry with `record` in place of what it knew of that replica. What a replica has of its own is no version of the
 * channel's, and a deletion is still the last one.
 */
export function withRecord(entry: IndexEntry, record: ReplicaRecord): IndexEntry {
  const others = entry.records.filter((other) => other.replica !== record.replica);
  return {
    version: Math.max(entry.version, record.version),
    deleted: record.status !== "current" && entry.deleted,
    records: [...others, record],
  };
}

/** A directory in one replica, of the channel's. */
export interface DirectoryAt {
  readonly id: ReplicaId;
  readonly status: FileStatus;
}

/**
 * The entry of a directory that was made at `made` like the one at `model`, if that is the channel's as well. Known at
 * once, so that nobody takes it for a guest's own when the model is gone before the next look.
 */
export function withMadeDirectory(
  entry: IndexEntry,
  model: DirectoryAt | undefined,
  made: DirectoryAt,
): IndexEntry {
  // What became of a file of that name is decided when it is looked at.
  if (entry.records.some(({ kind, status }) => kind === "file" && status !== "own")) return entry;
  const noted = withRecord(entry, recordOf(made.id, made.status, "current", entry.version));
  // A change of the model's attributes is still to travel.
  if (model === undefined || recordIn(entry, model.id) !== undefined) return noted;
  return withRecord(noted, recordOf(model.id, model.status, "current", entry.version));
}

/** The entry with a deletion as its last version; whoever is still known has yet to learn of it, or keeps what it has. */
export function withDeletion(entry: IndexEntry): IndexEntry {
  return { ...entry, version: entry.version + 1, deleted: entry.records.length > 0 };
}

/**
 * The entry after the removal of a directory from `receivers`. Whoever is not there has yet to learn of it; of a file that has
 * taken its place since only the directory's last trace was removed.
 */
export function withoutDirectory(
  entry: IndexEntry,
  receivers: ReadonlySet<ReplicaId>,
): IndexEntry {
  const isReplaced = entry.records.some(({ replica, kind, status, version }) =>
    receivers.has(replica) && kind === "file" && status === "current" && version === entry.version
  );
  if (!isReplaced) return withDeletion(withoutRecords(entry, receivers));
  const records = entry.records.filter(({ replica, kind }) =>
    kind === "file" || !receivers.has(replica)
  );
  return { ...entry, records };
}

/** The entry without any memory of a replica. */
export function withoutRecord(entry: IndexEntry, replica: ReplicaId): IndexEntry {
  return { ...entry, records: entry.records.filter((other) => other.replica !== replica) };
}

/** The entry without any memory of several replicas. */
export function withoutRecords(entry: IndexEntry, replicas: ReadonlySet<ReplicaId>): IndexEntry {
  return { ...entry, records: entry.records.filter(({ replica }) => !replicas.has(replica)) };
}
