/** What one run of the reconciler works with: the parts it is given, one look at all replicas, and what it has found out. */

import type { RelativePath } from "../../ffi/byte_string.ts";
import { lacksDescriptors, SystemError } from "../../ffi/errno.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import type { EarlySnapshot } from "./early_snapshot.ts";
import type { FileIndex } from "./file_index.ts";
import type { Judge } from "./judge.ts";
import type { MoveMemory } from "./move_memory.ts";
import {
  type Findings,
  isSameInode,
  type Observation,
  type Seen,
  type Step,
} from "./planning/situation.ts";
import { type Publisher, type PublishOutcome, showPlace } from "./publisher.ts";
import { refusal } from "./refusal.ts";
import type { Replica, View } from "./replica.ts";
import {
  type FileIdentity,
  type IndexEntry,
  recordIn,
  type ReplicaId,
  sameIdentity,
} from "./replica_record.ts";
import type { Hindrance } from "./retry_schedule.ts";
import type { Snapshot, Stager } from "./snapshot.ts";
import type { UnarrivedFiles } from "./unarrived_files.ts";

/** Whether the path is at rest, or wants to be looked at again after a while. */
export type Rest =
  | { readonly kind: "settled" }
  /** Whether it is the trace of a rename is known when the trees were read. */
  | { readonly kind: "unread" }
  | { readonly kind: "later"; readonly delayMs: number } & Hindrance;

export const AT_REST: Rest = { kind: "settled" };
export const UNREAD: Rest = { kind: "unread" };
export const SOON: Rest = { kind: "later", delayMs: 100 };
/** Something stands where a directory above belongs: that waits for nothing here, but this for that. */
const BLOCKED: Rest = { kind: "later", delayMs: 100, isBlocked: true };
/** The removal of something whose new name is still to be found waits for that. */
export const WHILE_UNMET: Rest = { kind: "later", delayMs: 250, isStuck: true };
/** After a failure that will not go away by itself at once: disk full, read-only. */
const AFTER_FAILURE: Rest = { kind: "later", delayMs: 10_000, isStuck: true };
/** The channel is going to be made anew. */
export const WHILE_DISPLACED: Rest = { kind: "later", delayMs: 10_000, isStuck: true };
/** For want of descriptors: others will be done with theirs by then. */
export const AFTER_SHORTAGE = { kind: "later", delayMs: 250 } as const satisfies Rest;

export interface ReconcilerParts {
  readonly replicas: readonly Replica[];
  /** Producers that take no part now, and may again: what they have of the channel is still known. */
  readonly former: ReadonlySet<ReplicaId>;
  readonly index: FileIndex;
  readonly stager: Stager;
  readonly early: EarlySnapshot;
  readonly unarrived: UnarrivedFiles;
  readonly publisher: Publisher;
  readonly judge: Judge;
  readonly conflictCopies: boolean;
  /** Renames inside a producer's share. */
  moves(replica: Replica): MoveMemory | undefined;
  /** Whether `moves` has all renames up to now that a producer's watcher tells. */
  catchUp(replica: Replica): boolean;
  /** Whether what a producer had at `path` may have another name, which is still to be found. */
  mayBeMet(replica: Replica, path: RelativePath): boolean;
  /** Files that stay where they are; a directory of that name is none of them. */
  isIgnored(path: RelativePath): boolean;
  /** Directories of which nothing travels. */
  isIgnoredDirectory(path: RelativePath): boolean;
  orphansMayGo(): boolean;
  /** What a share has at a path, and whether the index knew; for files with several names. */
  onSeen(replica: Replica, path: RelativePath, seen: Seen, isKnown: boolean): void;
  /** Whether the path is to be looked at sooner or later, as far as is known. */
  isPending(path: RelativePath): boolean;
  /** Whether all trees were read since the start: renames that were made before are known from then on. */
  areTreesRead(): boolean;
  /**
   * Whether a directory that is worked on is going to be read, or is being read, for whoever it is worked on for: more in it
   * may turn out to be looked at.
   */
  isStillToBeRead(directory: RelativePath): boolean;
  /** Another path is to be looked at, because of the one that is worked on. */
  lookAt(path: RelativePath, cause: RelativePath): void;
  /** A file of the replica waits for the scanner from now on. */
  onHeld(replica: Replica): void;
  /** Everything below a directory that is worked on is to be looked at. */
  reread(directory: RelativePath): void;
  /** The daemon itself has changed what `replica` has at `path`. */
  onChanged(replica: Replica, path: RelativePath): void;
  /** Something changed in a share or the export. */
  onPublished(path: RelativePath, what: PublishedKind, from: Replica): void;
  /** Of what a replica has. */
  onTrouble(message: string, replica: Replica): void;
  /** What `loser` has at a path lost a conflict. */
  onConflict(loser: Replica, path: RelativePath, end: LosersEnd): void;
  /** Something else is mounted at a place, or above it: what is there is to be looked at when that is gone. */
  onCovered(place: Place): void;
  /** There were no descriptors for what was to be done, which is tried again. */
  onShortage(error: SystemError): void;
}

export interface Place {
  readonly replica: Replica;
  readonly path: RelativePath;
}

/** `rename`: of a directory, with all that is in it. */
export type PublishedKind = "file" | "directory" | "removal" | "rename";

/** It is kept beside the winner; it is one too many to be kept; or it was replaced, since none is to be kept. */
export type LosersEnd = "kept" | "discarded" | "replaced";

export type StepOf<K extends Step["kind"]> = Extract<Step, { kind: K }>;

/** What one run has found out so far. */
export class Job implements Findings, Disposable {
  readonly postponed = new Set<ReplicaId>();
  readonly judged = new Set<ReplicaId>();
  directoryStays = false;
  unchangedSinceExport = false;
  rest: Rest = AT_REST;
  readonly #equal = new Map<string, boolean>();
  readonly #snapshots = new Map<ReplicaId, Snapshot>();

  constructor(readonly path: RelativePath, readonly retryHeld: boolean) {}

  equal(a: Observation, b: Observation): boolean | undefined {
    if (a.seen.kind !== "file" || b.seen.kind !== "file") return undefined;
    return this.#equal.get(pairOf(a.seen.status, b.seen.status));
  }

  /** How many of `setEqual` there were. */
  get comparisons(): number {
    return this.#equal.size;
  }

  /** Of these two versions, whatever bears the path's name later. */
  setEqual(a: FileIdentity, b: FileIdentity, equal: boolean): void {
    this.#equal.set(pairOf(a, b), equal);
  }

  snapshot(replica: ReplicaId, status: FileStatus): Snapshot | undefined {
    const snapshot = this.#snapshots.get(replica);
    if (snapshot === undefined || snapshot.isSpent) return undefined;
    return sameIdentity(snapshot.source, status) ? snapshot : undefined;
  }

  keep(replica: ReplicaId, snapshot: Snapshot): void {
    this.#snapshots.get(replica)?.[Symbol.dispose]();
    this.#snapshots.set(replica, snapshot);
  }

  /** The snapshot that was kept is somebody else's from now on. */
  release(replica: ReplicaId): void {
    this.#snapshots.delete(replica);
  }

  [Symbol.dispose](): void {
    for (const snapshot of this.#snapshots.values()) snapshot[Symbol.dispose]();
  }
}

function pairOf(a: FileIdentity, b: FileIdentity): string {
  return [a, b].map(({ inode, size, mtimeNs, ctimeNs }) => `${inode} ${size} ${mtimeNs} ${ctimeNs}`)
    .sort().join(", ");
}

/** One look at a path in every replica that is there, and in which nothing is mounted over it. */
export class Look implements Disposable {
  readonly views: readonly View[];
  /** Where something else is mounted at the path, or above it: those replicas take no part. */
  readonly covered: readonly Place[];
  /** Replicas in which something that is no directory stands where one above the path belongs. */
  readonly #blocked = new Set<ReplicaId>();

  constructor(replicas: readonly Replica[], path: RelativePath) {
    const views: View[] = [];
    const covered: Place[] = [];
    try {
      for (const replica of replicas) {
        if (replica.root === undefined) continue;
        const view = replica.view(path);
        const barrier = view.seen.kind === "obstacle"
          ? { path, status: view.seen.status }
          : replica.barrierAbove(view, path);
        if (barrier !== undefined && replica.isForeign(barrier.status)) {
          covered.push({ replica, path: barrier.path });
          view[Symbol.dispose]();
          continue;
        }
        views.push(view);
        const isBlocked = barrier !== undefined && barrier.path !== path &&
          barrier.status.kind !== "directory";
        if (isBlocked) this.#blocked.add(replica.id);
      }
    } catch (error) {
      for (const view of views) view[Symbol.dispose]();
      throw error;
    }
    this.views = views;
    this.covered = covered;
  }

  /** Who is seen, and gets what others have. */
  get receivers(): ReadonlySet<ReplicaId> {
    const receivers = this.views.filter(({ replica }) => replica.role !== "diode");
    return new Set(receivers.map(({ replica }) => replica.id));
  }

  /** A rename to an ignored name is as good as a deletion. */
  observations(filesIgnored: boolean): Observation[] {
    return this.views.map(({ replica, seen }) => ({
      replica: replica.id,
      role: replica.role,
      seen: filesIgnored && seen.kind === "file" ? asIgnored(replica, seen.status) : seen,
      isBlocked: this.#blocked.has(replica.id),
    }));
  }

  view(id: ReplicaId): View {
    const view = this.views.find(({ replica }) => replica.id === id);
    if (view === undefined) throw new StaleLook();
    return view;
  }

  /** Whether another replica has the very same file. */
  hasElsewhere(view: View): boolean {
    return this.views.some((other) => other !== view && isSameInode(other.seen, view.seen));
  }

  [Symbol.dispose](): void {
    for (const view of this.views) view[Symbol.dispose]();
  }
}

/** A replica was replaced by another since the look. */
export class StaleLook extends Error {}

/** A guest's is its own; what the export holds was published before it was ignored, and gives way. */
function asIgnored({ role }: Replica, status: FileStatus): Seen {
  return { kind: role === "export" ? "obstacle" : "ignored", status };
}

/**
 * Remembers `entry`, which was made of `base` some time ago. What was dropped of that meanwhile stays so: where malware was
 * removed under another name, the former one counts as deleted by nobody.
 */
export function note(
  { index }: Pick<ReconcilerParts, "index">,
  path: RelativePath,
  entry: IndexEntry,
  base: IndexEntry,
): void {
  const now = index.get(path);
  const isDropped = (replica: ReplicaId) => recordIn(now, replica) === undefined;
  const records = entry.records.filter((record) =>
    !base.records.includes(record) || !isDropped(record.replica)
  );
  index.put(path, { ...entry, records });
}

/** Something stood in the way: whoever looks again will know better. */
export function onHindrance(
  parts: ReconcilerParts,
  outcome: Exclude<PublishOutcome, { kind: "done" }>,
  replica: Replica,
  job: Job,
): void {
  if (outcome.kind === "changed") return;
  if (outcome.kind === "unfinished") {
    job.postponed.add(replica.id);
    job.rest = SOON;
    return;
  }
  parts.lookAt(outcome.at, job.path);
  job.postponed.add(replica.id);
  job.rest = BLOCKED;
}

/** A replica that fails is left out of this run, and told. */
export function postpone(
  parts: ReconcilerParts,
  replica: Replica,
  error: unknown,
  what: string,
  job: Job,
): void {
  if (!(error instanceof Error)) throw error;
  job.postponed.add(replica.id);
  if (lacksDescriptors(error)) {
    job.rest = AFTER_SHORTAGE;
    parts.onShortage(error);
    return;
  }
  job.rest = AFTER_FAILURE;
  parts.onTrouble(
    `${showPlace(replica, job.path)} ${what}: ${refusal(error)}; it is tried again`,
    replica,
  );
}
