/**
 * Decides what is to be done about one path, from what is seen of it in every replica and what was last
 * known. Pure: nothing here touches a disk. One step at a time: the step is performed, the replicas are
 * looked at again, and the next step follows, until there is nothing left to do.
 */

import type { FileStatus } from "../../ffi/file_status.ts";
import {
  type IndexEntry,
  matches,
  type ReplicaId,
  type ReplicaRecord,
  sameAttributes,
} from "./replica_record.ts";

/** A non-diode producer, a write-only producer, or the read-only export. */
export type ReplicaRole = "producer" | "diode" | "export";

export type Seen =
  | { readonly kind: "absent" }
  | { readonly kind: "file"; readonly status: FileStatus }
  | { readonly kind: "directory"; readonly status: FileStatus }
  /** A symbolic link or a special file: never followed, never copied, replaced where a file is due. */
  | { readonly kind: "obstacle"; readonly status: FileStatus };

export interface Observation {
  readonly replica: ReplicaId;
  readonly role: ReplicaRole;
  readonly seen: Seen;
}

/** What this job has already found out, so that it is not done twice. */
export interface Findings {
  /** Whether two replicas' files are byte-equal; undefined while nobody has compared them. */
  equal(a: ReplicaId, b: ReplicaId): boolean | undefined;
  /** Replicas that could not be read or written now: they wait for another occasion. */
  readonly postponed: ReadonlySet<ReplicaId>;
  /** A directory that was deleted elsewhere stays, since something that does not travel is in it. */
  readonly directoryStays: boolean;
}

export interface PlanOptions {
  readonly conflictCopies: boolean;
  /** Nanoseconds since 1970. */
  readonly nowNs: bigint;
  /** Whether held files are to be tried again. */
  readonly retryHeld: boolean;
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
  }
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
  | { readonly kind: "forget"; readonly replicas: readonly ReplicaId[] }
  | {
    readonly kind: "make-directory";
    readonly model: ReplicaId;
    readonly targets: readonly ReplicaId[];
  }
  | { readonly kind: "remove-directory"; readonly replicas: readonly ReplicaId[] };

const SETTLED: Step = { kind: "settled" };

type State =
  /** Known version of the channel. */
  | "current"
  /** Unchanged since it was known, but the channel has moved on. */
  | "stale"
  /** Its own change, already looked at: held or infected. */
  | "parked"
  | "changed"
  | "deleted"
  | "missing";

interface Situation {
  readonly observation: Observation;
  readonly record: ReplicaRecord | undefined;
  readonly state: State;
}

/** The next step for one path. */
export function plan(
  observations: readonly Observation[],
  entry: IndexEntry,
  findings: Findings,
  options: PlanOptions,
): Step {
  const situations = observations.map((observation): Situation => {
    const record = entry.records.find((known) => known.replica === observation.replica);
    return { observation, record, state: stateOf(observation.seen, record, entry, options) };
  });
  const shares = situations.filter(({ observation }) => observation.role === "producer");
  const diodes = situations.filter(({ observation }) => observation.role === "diode");
  const exported = situations.find(({ observation }) => observation.role === "export");

  const step = planShares(shares, diodes, exported, entry, findings, options);
  return step.kind === "settled" ? planDiodes(diodes, shares, exported, findings) : step;
}

function stateOf(
  seen: Seen,
  record: ReplicaRecord | undefined,
  entry: IndexEntry,
  options: PlanOptions,
): State {
  if (seen.kind === "absent" || seen.kind === "obstacle") {
    return record === undefined || isOutdated(record, entry) ? "missing" : "deleted";
  }
  if (record === undefined || !matches(record, seen.status)) return "changed";
  if (record.status === "held") return options.retryHeld ? "changed" : "parked";
  if (record.status === "infected") return "parked";
  return record.version === entry.version ? "current" : "stale";
}

/** Of a version that the channel has left behind: who removed it has not seen the present one. */
function isOutdated(record: ReplicaRecord, entry: IndexEntry): boolean {
  return record.kind === "file" && record.status !== "infected" && record.version !== entry.version;
}

function planShares(
  shares: readonly Situation[],
  diodes: readonly Situation[],
  exported: Situation | undefined,
  entry: IndexEntry,
  findings: Findings,
  options: PlanOptions,
): Step {
  const replicas = exported === undefined ? shares : [...shares, exported];
  const hasDirectory = shares.some(isDirectory);
  const hasFile = shares.some(isFile);
  if (hasDirectory && hasFile) return planClash(shares, exported, entry, findings);
  if (hasDirectory) return planDirectories(shares, replicas, findings);
  if (replicas.some(({ record }) => record?.kind === "directory")) {
    return planVanishedDirectory(replicas, hasFile, findings);
  }
  return planFiles(shares, diodes, exported, entry, findings, options);
}

const isDirectory = ({ observation }: Situation) => observation.seen.kind === "directory";
const isFile = ({ observation }: Situation) => observation.seen.kind === "file";
const idOf = ({ observation }: Situation) => observation.replica;

/** Files */

function planFiles(
  shares: readonly Situation[],
  diodes: readonly Situation[],
  exported: Situation | undefined,
  entry: IndexEntry,
  findings: Findings,
  options: PlanOptions,
): Step {
  const changed = shares.filter((share) =>
    share.state === "changed" && !findings.postponed.has(idOf(share))
  );
  if (changed.length > 0) {
    return planChanges(changed, shares, exported, entry, findings, options);
  }
  // Somebody's malware that stayed (`log`) and was removed by its author: not a deletion of the clean version.
  const revoked = shares.filter((share) =>
    share.state === "deleted" && share.record?.status === "infected"
  );
  if (revoked.length > 0) return { kind: "forget", replicas: revoked.map(idOf) };

  const deleted = shares.filter((share) => share.state === "deleted");
  if (deleted.length > 0) return planDeletion(deleted, shares, exported);
  return planDistribution(shares, diodes, exported, entry, findings, options);
}

/** Nobody changed anything; whoever lacks the channel's version gets it. */
function planDistribution(
  shares: readonly Situation[],
  diodes: readonly Situation[],
  exported: Situation | undefined,
  entry: IndexEntry,
  findings: Findings,
  options: PlanOptions,
): Step {
  // The export is out of guests' reach, so it is the best source.
  const all = exported === undefined ? shares : [exported, ...shares];
  const source = all.find((replica) => replica.state === "current" && isFile(replica)) ??
    all.find((replica) => replica.state === "stale" && isFile(replica));
  if (source !== undefined) {
    if (source.state === "stale") {
      // It was deleted while this share was not there.
      if (entry.deleted) return planDeletion([], shares, exported);
      return { kind: "adopt", replicas: [idOf(source)], newVersion: true };
    }
    const targets = all.filter((replica) =>
      replica !== source && lacks(replica) && !findings.postponed.has(idOf(replica))
    ).map(idOf);
    return targets.length === 0 ? SETTLED : { kind: "distribute", source: idOf(source), targets };
  }
  // Only the export has something, and the index does not say why.
  if (exported === undefined || exported.observation.seen.kind === "absent") {
    const stillKnown = all.filter((replica) =>
      replica.record !== undefined && replica.observation.seen.kind === "absent"
    );
    return stillKnown.length === 0 ? SETTLED : { kind: "forget", replicas: stillKnown.map(idOf) };
  }
  const somebodyHasIt = [...shares, ...diodes].some(isFile);
  if (exported.state === "changed" && shares.length > 0 && !somebodyHasIt && options.orphansMayGo) {
    return isDirectory(exported)
      ? { kind: "remove-directory", replicas: [idOf(exported)] }
      : { kind: "remove", replicas: [idOf(exported)], orphan: true };
  }
  return SETTLED;
}

function lacks({ state, observation }: Situation): boolean {
  if (state === "missing" || state === "stale") return true;
  return observation.role === "export" && (state === "deleted" || state === "changed");
}

function planDeletion(
  deleted: readonly Situation[],
  shares: readonly Situation[],
  exported: Situation | undefined,
): Step {
  // What a share holds of its own (held, infected) is not the version that was deleted.
  const remaining = shares.filter((share) =>
    isFile(share) && (share.state === "current" || share.state === "stale")
  );
  // A share that gets the file while another deletes it: the deletion is newer.
  const inExport = exported !== undefined && isFile(exported);
  const replicas = inExport ? [...remaining, exported] : remaining;
  return replicas.length > 0
    ? { kind: "remove", replicas: replicas.map(idOf), orphan: false }
    : { kind: "forget", replicas: deleted.map(idOf) };
}

/** One or more shares hold something that the channel has not seen. */
function planChanges(
  changed: readonly Situation[],
  shares: readonly Situation[],
  exported: Situation | undefined,
  entry: IndexEntry,
  findings: Findings,
  options: PlanOptions,
): Step {
  const holder = [...(exported ? [exported] : []), ...shares].find((replica) =>
    isFile(replica) && (replica.state === "current" || isDrifted(replica, changed))
  );
  // A change that is none: only the inode differs from what the channel has (link, lost index, restart).
  const references = holder === undefined ? changed.slice(0, 1) : [holder];
  for (const reference of references) {
    for (const other of changed) {
      if (other === reference || !looksEqual(reference, other)) continue;
      const equal = findings.equal(idOf(reference), idOf(other));
      if (equal === undefined) return { kind: "compare", a: idOf(reference), b: idOf(other) };
      if (equal && holder !== undefined) {
        const replicas = holder.state === "current" ? [other] : [reference, other];
        return { kind: "adopt", replicas: replicas.map(idOf), newVersion: false };
      }
    }
  }

  const groups = groupEqual(changed, findings);
  const undecided = firstUncompared(groups, findings);
  if (undecided !== undefined) return undecided;

  // The channel's version takes part in the conflict unless every change was made on it.
  // What only the export has left is what the author replaced.
  const published = shares.find((share) => share.state === "current" && isFile(share));
  const divergent = published !== undefined &&
    changed.some(({ record }) =>
      record === undefined || record.kind !== "file" || record.version !== entry.version
    );

  const winner = latest([...changed, ...(divergent ? [published] : [])], options.nowNs);
  if (winner === undefined) return SETTLED;
  if (winner === published) {
    const loser = changed[0];
    if (loser === undefined) return SETTLED;
    return options.conflictCopies
      ? { kind: "set-aside", replica: idOf(loser) }
      : { kind: "distribute", source: idOf(published), targets: [idOf(loser)] };
  }
  const winners = groups.find((group) => group.includes(winner)) ?? [winner];
  const losers = groups.filter((group) => group !== winners).flatMap((group) => group.slice(0, 1));
  if (divergent) losers.push(published);
  const others = exported === undefined ? shares : [...shares, exported];
  return {
    kind: "offer",
    author: idOf(winner),
    targets: others.filter((replica) =>
      replica !== winner && takesOffer(replica, winners, findings)
    ).map(
      idOf,
    ),
    setAside: options.conflictCopies ? losers.map(idOf) : [],
  };
}

/** The export's file counts as a reference where the index knows nothing of either side. */
function isDrifted(replica: Situation, changed: readonly Situation[]): boolean {
  return replica.observation.role === "export" && replica.state === "changed" &&
    changed.every(({ record }) => record === undefined);
}

function takesOffer(
  replica: Situation,
  winners: readonly Situation[],
  findings: Findings,
): boolean {
  return !winners.includes(replica) && replica.state !== "parked" &&
    !findings.postponed.has(idOf(replica));
}

function looksEqual(a: Situation, b: Situation): boolean {
  return a.observation.seen.kind === "file" && b.observation.seen.kind === "file" &&
    sameAttributes(a.observation.seen.status, b.observation.seen.status);
}

/** Changes that are byte-equal are one change. */
function groupEqual(changed: readonly Situation[], findings: Findings): Situation[][] {
  const groups: Situation[][] = [];
  for (const one of changed) {
    const group = groups.find(([first]) =>
      first !== undefined && looksEqual(first, one) && findings.equal(idOf(first), idOf(one))
    );
    if (group === undefined) groups.push([one]);
    else group.push(one);
  }
  return groups;
}

function firstUncompared(groups: readonly Situation[][], findings: Findings): Step | undefined {
  for (const [i, [a]] of groups.entries()) {
    for (const [b] of groups.slice(i + 1)) {
      if (a === undefined || b === undefined || !looksEqual(a, b)) continue;
      if (findings.equal(idOf(a), idOf(b)) === undefined) {
        return { kind: "compare", a: idOf(a), b: idOf(b) };
      }
    }
  }
  return undefined;
}

/** The later mtime wins, a time in the future counts as now; ties go to the earlier in order. */
function latest(candidates: readonly Situation[], nowNs: bigint): Situation | undefined {
  let best: Situation | undefined;
  let bestTime = 0n;
  for (const candidate of candidates) {
    const { seen } = candidate.observation;
    if (seen.kind !== "file") continue;
    const time = seen.status.mtimeNs > nowNs ? nowNs : seen.status.mtimeNs;
    if (best === undefined || time > bestTime) {
      best = candidate;
      bestTime = time;
    }
  }
  return best;
}

/** Directories */

function planDirectories(
  shares: readonly Situation[],
  replicas: readonly Situation[],
  findings: Findings,
): Step {
  const unseen = shares.find((share) => isDirectory(share) && share.state === "changed");
  const deletedBy = shares.filter((share) => share.state === "deleted" && wasDirectory(share));
  if (unseen === undefined && deletedBy.length > 0 && !findings.directoryStays) {
    return {
      kind: "remove-directory",
      replicas: replicas.filter(isDirectory).map(idOf),
    };
  }
  const model = unseen ?? shares.find(isDirectory);
  if (model === undefined) return SETTLED;
  const targets = replicas.filter((replica) =>
    replica !== model && !isAlike(replica, model) && !findings.postponed.has(idOf(replica))
  );
  const unrecorded = replicas.some((replica) =>
    isDirectory(replica) && replica.state === "changed"
  );
  if (targets.length > 0) {
    return { kind: "make-directory", model: idOf(model), targets: targets.map(idOf) };
  }
  return unrecorded ? { kind: "adopt", replicas: replicas.map(idOf), newVersion: false } : SETTLED;
}

const wasDirectory = ({ record }: Situation) => record?.kind === "directory";

function isAlike(replica: Situation, model: Situation): boolean {
  const a = replica.observation.seen;
  const b = model.observation.seen;
  return a.kind === "directory" && b.kind === "directory" && a.status.uid === b.status.uid &&
    a.status.gid === b.status.gid && (a.status.mode & 0o777) === (b.status.mode & 0o777);
}

/** No share has the directory (any more) that the index knows. */
function planVanishedDirectory(
  replicas: readonly Situation[],
  hasFile: boolean,
  findings: Findings,
): Step {
  const left = findings.directoryStays ? [] : replicas.filter(isDirectory);
  if (left.length > 0) return { kind: "remove-directory", replicas: left.map(idOf) };
  const known = replicas.filter(wasDirectory).map(idOf);
  // A file took its place: what was known of the directory is no base for it.
  return hasFile || known.length > 0 ? { kind: "forget", replicas: known } : SETTLED;
}

/** A directory in one share, a file in another: the directory keeps its place. */
function planClash(
  shares: readonly Situation[],
  exported: Situation | undefined,
  entry: IndexEntry,
  findings: Findings,
): Step {
  const files = shares.filter(isFile);
  const directories = shares.filter(isDirectory);
  const known = files.filter(({ state }) => state === "current" || state === "stale");
  // Somebody replaced the known file by a directory: the file's deletion travels.
  const replaced = directories.some(({ record }) =>
    record?.kind === "file" && !isOutdated(record, entry)
  );
  if (replaced && known.length > 0) {
    const inExport = exported !== undefined && isFile(exported) ? [exported] : [];
    return { kind: "remove", replicas: [...known, ...inExport].map(idOf), orphan: false };
  }
  // Somebody replaced the known directory by a file: the directory's deletion travels, if it is empty.
  const emptied = files.some(wasDirectory) && directories.every(({ state }) => state === "current");
  if (emptied && !findings.directoryStays) {
    const inExport = exported !== undefined && isDirectory(exported) ? [exported] : [];
    return { kind: "remove-directory", replicas: [...directories, ...inExport].map(idOf) };
  }
  const file = files.find((replica) => !findings.postponed.has(idOf(replica)));
  return file === undefined ? SETTLED : { kind: "set-aside", replica: idOf(file) };
}

/** Write-only producers: what they create travels unless the name is taken; nothing else does. */
function planDiodes(
  diodes: readonly Situation[],
  shares: readonly Situation[],
  exported: Situation | undefined,
  findings: Findings,
): Step {
  const gone = diodes.filter(({ state }) => state === "deleted");
  if (gone.length > 0) return { kind: "forget", replicas: gone.map(idOf) };
  const author = diodes.find((diode) =>
    diode.state === "changed" && !findings.postponed.has(idOf(diode))
  );
  if (author === undefined) return SETTLED;
  const others = exported === undefined ? shares : [...shares, exported];
  const taken = others.some((replica) => isFile(replica) || isDirectory(replica));
  const targets = others.filter((replica) => !isFile(replica) && !isDirectory(replica)).map(idOf);
  if (isDirectory(author)) {
    return taken || targets.length === 0
      ? { kind: "adopt", replicas: [idOf(author)], newVersion: false }
      : { kind: "make-directory", model: idOf(author), targets };
  }
  return { kind: "offer", author: idOf(author), targets: taken ? [] : targets, setAside: [] };
}
