/** What the planner looks at, and the steps it can choose: the words of planning. */

import type { FileStatus } from "../../../ffi/file_status.ts";
import {
  type IndexEntry,
  matches,
  type RecordStatus,
  type ReplicaId,
  type ReplicaRecord,
  sameContentIdentity,
} from "../replica_record.ts";

/** A non-diode producer, a write-only producer, or the read-only export. */
export type ReplicaRole = "producer" | "diode" | "export";

export type Seen =
  | { readonly kind: "absent" }
  | { readonly kind: "file"; readonly status: FileStatus }
  | { readonly kind: "directory"; readonly status: FileStatus }
  /** A symbolic link or a special file: never followed, never copied, replaced where a file is due. */
  | { readonly kind: "obstacle"; readonly status: FileStatus }
  /** A file that stays where it is: as good as absent, but nothing takes its place. */
  | { readonly kind: "ignored"; readonly status: FileStatus };

export interface Observation {
  readonly replica: ReplicaId;
  readonly role: ReplicaRole;
  readonly seen: Seen;
  /** Something that is no directory stands where one above belongs. */
  readonly isBlocked: boolean;
}

/** What this job has already found out, so that it is not done twice. */
export interface Findings {
  /** Whether these very files are byte-equal; undefined while nobody has compared them. */
  equal(a: Observation, b: Observation): boolean | undefined;
  /** Replicas that could not be read or written now: they wait for another occasion. */
  readonly postponed: ReadonlySet<ReplicaId>;
  /** The index knew nothing, and a share had what the export has: it has changed nothing, another one has. */
  readonly unchangedSinceExport: boolean;
  /** A directory that was deleted elsewhere stays, since something that does not travel is in it. */
  readonly directoryStays: boolean;
  /** Replicas whose file was judged, though it cannot go anywhere yet. */
  readonly judged: ReadonlySet<ReplicaId>;
}

export interface PlanOptions {
  readonly conflictCopies: boolean;
  /** Nanoseconds since 1970. */
  readonly nowNs: bigint;
  /** Whether held files are to be tried again. */
  readonly retryHeld: boolean;
  /** Whether infected files are to stay where they are, as they did when they were found. */
  readonly infectedStays: boolean;
  /** Whether what only the export has may be removed: every share is there, and not suddenly empty. */
  readonly orphansMayGo: boolean;
}

export type Step =
  | { readonly kind: "settled" }
  /** Compare two files byte by byte. */
  | { readonly kind: "compare"; readonly a: ReplicaId; readonly b: ReplicaId }
  /** Remember what is seen as the channel's version, without moving anything. */
  | {
    readonly kind: "adopt";
    readonly replicas: readonly ReplicaId[];
    readonly newVersion: boolean;
  }
  /** Take a snapshot of the author's change, scan it, and publish it to the targets if it is clean. */
  | {
    readonly kind: "offer";
    readonly author: ReplicaId;
    readonly targets: readonly ReplicaId[];
    /** Losers of a conflict: to be kept under another name first, in their own share. */
    readonly setAside: readonly ReplicaId[];
    /** Others of them, that cannot be kept now, or are not there: what they have counts as a change from now on. */
    readonly forgotten: readonly ReplicaId[];
  }
  /** Have a file scanned that cannot go anywhere before a directory has left its place elsewhere. */
  | { readonly kind: "judge"; readonly author: ReplicaId }
  /** Bring the channel's version to replicas that lack it. */
  | {
    readonly kind: "distribute";
    readonly source: ReplicaId;
    readonly targets: readonly ReplicaId[];
  }
  /** Keep what is there under a conflict name, in its own share. */
  | { readonly kind: "set-aside"; readonly replica: ReplicaId }
  /** A deletion travels: remove the known version. */
  | { readonly kind: "remove"; readonly replicas: readonly ReplicaId[]; readonly orphan: boolean }
  /** Nothing is left of the path, or of these replicas' part in it: forget. */
  | {
    readonly kind: "forget";
    readonly replicas: readonly ReplicaId[];
    /** Producers removed it, and nobody has it who is to lose it. */
    readonly isDeletion: boolean;
  }
  | {
    readonly kind: "make-directory";
    readonly model: ReplicaId;
    readonly targets: readonly ReplicaId[];
  }
  | { readonly kind: "remove-directory"; readonly replicas: readonly ReplicaId[] };

export const SETTLED: Step = { kind: "settled" };

export type State =
  /** Known version of the channel. */
  | "current"
  /** Unchanged since it was known, but the channel has moved on. */
  | "stale"
  /** Its own, or the export's, already looked at: held, infected, or a write-only producer's. */
  | "parked"
  /** In the export: the channel's version, but for owner, permissions and names, which only the host can have changed. */
  | "touched"
  | "changed"
  | "deleted"
  | "missing";

export interface Situation {
  readonly observation: Observation;
  readonly record: ReplicaRecord | undefined;
  readonly state: State;
}

export function stateOf(
  { seen, role }: Observation,
  record: ReplicaRecord | undefined,
  entry: IndexEntry,
  options: PlanOptions,
): State {
  if (seen.kind !== "file" && seen.kind !== "directory") {
    if (record === undefined) return "missing";
    return role === "diode" || !isOutdated(record, entry) ? "deleted" : "missing";
  }
  if (record === undefined) return "changed";
  if (!matches(record, seen.status)) {
    return role === "export" && isTouched(seen, record, entry) ? "touched" : "changed";
  }
  if (record.status === "current") return ageOf(record, entry);
  if (!isDue(record.status, options)) return "parked";
  // The export has no changes of its own: what got no clean verdict there is a version that is to be brought to others.
  return role === "export" ? ageOf(record, entry) : "changed";
}

function isTouched(seen: Seen, record: ReplicaRecord, entry: IndexEntry): boolean {
  return seen.kind === "file" && record.kind === "file" && record.status === "current" &&
    record.version === entry.version && sameContentIdentity(record, seen.status) &&
    seen.status.links === 1; // else it may have been written to elsewhere
}

/** Whether there may be another verdict than the last time. */
function isDue(status: RecordStatus, { retryHeld, infectedStays }: PlanOptions): boolean {
  switch (status) {
    case "held":
      return retryHeld;
    case "infected":
      return !infectedStays;
    case "current":
    case "own":
      return false;
  }
}

function ageOf(record: ReplicaRecord, entry: IndexEntry): "current" | "stale" {
  return record.version === entry.version ? "current" : "stale";
}

/** Of a version that the channel has left behind: who removed it has not seen the present one. */
export function isOutdated(record: ReplicaRecord, entry: IndexEntry): boolean {
  return record.kind === "file" && record.status !== "infected" && record.version !== entry.version;
}

/**
 * Whether both are names of one inode: a hard link, which only the host can have made. What is written to one of them is
 * in the other at once, unscanned.
 */
export function isSameInode(a: Seen, b: Seen): boolean {
  return a.kind === "file" && b.kind === "file" && a.status.links > 1 &&
    a.status.inode === b.status.inode && a.status.device === b.status.device;
}

/** Replicas that are not looked at, or are write-only by now, and have the channel's version as far as is known. */
export function holdersBeside(
  { records, version }: IndexEntry,
  looked: readonly Situation[],
): readonly ReplicaId[] {
  return records.filter((record) =>
    record.kind === "file" && record.status === "current" && record.version === version &&
    !looked.some((situation) => idOf(situation) === record.replica)
  ).map(({ replica }) => replica);
}

export const isDirectory = ({ observation }: Situation) => observation.seen.kind === "directory";
export const isFile = ({ observation }: Situation) => observation.seen.kind === "file";
export const isIgnored = ({ observation }: Situation) => observation.seen.kind === "ignored";
/** Whether something is there, whatever it is, or in the way. */
export const isTaken = ({ observation: { seen, isBlocked } }: Situation) =>
  seen.kind !== "absent" || isBlocked;
export const idOf = ({ observation }: Situation) => observation.replica;
