/** What is to be done about a path that is a file, or was one. */

import { type IndexEntry, sameAttributes } from "../replica_record.ts";
import { planFilling } from "./directories.ts";
import {
  type Findings,
  holdersBeside,
  idOf,
  isDirectory,
  isFile,
  isSameInode,
  type PlanOptions,
  SETTLED,
  type Situation,
  type Step,
} from "./situation.ts";

export function planFiles(
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
  if (revoked.length > 0) return { kind: "forget", replicas: revoked.map(idOf), isDeletion: false };

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
  // What got no clean verdict in the export gets none in a share that has the same.
  if (exported?.state === "parked" && exported.record?.version === entry.version) return SETTLED;
  // The export is out of guests' reach, so it is the best source.
  const all = exported === undefined ? shares : [exported, ...shares];
  const source = (["current", "touched", "stale"] as const).map((state) =>
    all.find((replica) => replica.state === state && isFile(replica))
  ).find((replica) => replica !== undefined);
  if (source !== undefined) {
    if (findings.postponed.has(idOf(source))) return SETTLED;
    if (source.state === "stale") {
      // It was deleted while this share was not there.
      if (entry.deleted) return planDeletion([], shares, exported);
      const later = holdersBeside(entry, all);
      // What has become write-only since has none of the channel's any more; others will come back with it.
      const diode = diodes.find((diode) =>
        diode.state === "current" && later.includes(idOf(diode))
      );
      if (diode !== undefined) {
        return { kind: "adopt", replicas: [idOf(diode)], newVersion: false };
      }
      if (later.length > 0) return SETTLED;
      return { kind: "adopt", replicas: [idOf(source)], newVersion: true };
    }
    const targets = all.filter((replica) =>
      replica !== source && (lacks(replica) || isLinked(replica, source, all)) &&
      !findings.postponed.has(idOf(replica))
    ).map(idOf);
    // What got no clean verdict is to get one, though nobody may lack it any more.
    return targets.length > 0 || source.record?.status !== "current"
      ? { kind: "distribute", source: idOf(source), targets }
      : SETTLED;
  }
  // Only the export has something, and the index does not say why.
  if (exported === undefined || isGone(exported)) {
    const stillKnown = all.filter((replica) => replica.record !== undefined && isGone(replica));
    return stillKnown.length === 0
      ? SETTLED
      : { kind: "forget", replicas: stillKnown.map(idOf), isDeletion: false };
  }
  const isAlike = isDirectory(exported) ? isDirectory : isFile;
  const somebodyHasIt = [...shares, ...diodes].some(isAlike);
  if (exported.state !== "changed" || shares.length === 0) return SETTLED;
  if (somebodyHasIt) {
    return isDirectory(exported) ? planFilling(exported, shares, findings) : SETTLED;
  }
  if (!options.orphansMayGo || findings.directoryStays) return SETTLED;
  return isDirectory(exported)
    ? { kind: "remove-directory", replicas: [idOf(exported)] }
    : { kind: "remove", replicas: [idOf(exported)], orphan: true };
}

const isGone = (replica: Situation) => !isFile(replica) && !isDirectory(replica);

function lacks({ state, observation }: Situation): boolean {
  if (state === "missing" || state === "stale") return true;
  return observation.role === "export" && state !== "current";
}

/** Whether it is to have a file of its own, in place of one that it shares with the source or another. */
function isLinked(replica: Situation, source: Situation, all: readonly Situation[]): boolean {
  return replica.state === "current" &&
    all.some((other, at) =>
      other !== replica && isSameInode(other.observation.seen, replica.observation.seen) &&
      (other === source || at < all.indexOf(replica))
    );
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
    : { kind: "forget", replicas: deleted.map(idOf), isDeletion: true };
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
    isFile(replica) && (isPublished(replica) || isDrifted(replica, changed))
  );
  // A change that is none: only the inode differs from what the channel has (link, lost index, restart).
  const references = holder === undefined ? changed.slice(0, 1) : [holder];
  for (const reference of references) {
    for (const other of changed) {
      if (other === reference || !isAlike(reference, other)) continue;
      const equal = findings.equal(reference.observation, other.observation);
      if (equal === undefined) return { kind: "compare", a: idOf(reference), b: idOf(other) };
      if (equal && holder !== undefined) {
        if (wasRestored(other) && shares.some(hasDeleted)) {
          const replicas = [reference, ...shares.filter(isPublished), other];
          return { kind: "adopt", replicas: replicas.map(idOf), newVersion: true };
        }
        const replicas = holder.state === "current" ? [other] : [reference, other];
        return { kind: "adopt", replicas: replicas.map(idOf), newVersion: false };
      }
    }
  }

  // The channel's version takes part in the conflict unless every change was made on it. Who made it may be away, and
  // only the export have it now.
  const published = [...shares, ...(exported ? [exported] : [])].find((replica) =>
    isFile(replica) && isPublished(replica)
  );
  const hasOtherBase = !changed.every((replica) => isBasedOnLast(replica, entry));
  const divergent = published !== undefined && hasOtherBase;

  const rivals = divergent ? [...changed, published] : changed;
  const groups = groupEqual(rivals, findings);
  const undecided = firstUncompared(groups, findings);
  if (undecided !== undefined) return undecided;

  const winner = latest(rivals, options.nowNs);
  if (winner === undefined) return SETTLED;
  const winners = groups.find((group) => group.includes(winner)) ?? [winner];
  if (winner === published) {
    const loser = changed[0];
    if (loser === undefined) return SETTLED;
    if (options.conflictCopies && !isEmpty(loser) && !winners.includes(loser)) {
      return { kind: "set-aside", replica: idOf(loser) };
    }
    if (findings.postponed.has(idOf(published))) return SETTLED;
    return { kind: "distribute", source: idOf(published), targets: [idOf(loser)] };
  }
  const losers = groups.filter((group) => group !== winners).flatMap((group) => group.slice(0, 1))
    .filter((loser) => !isEmpty(loser) && (loser !== published || !findings.unchangedSinceExport));
  const kept = losers.filter((loser) => !findings.postponed.has(idOf(loser)));
  const unkept = losers.filter((loser) => !kept.includes(loser));
  // What only the export has is nobody's change, and would be replaced; and of equals that stay each would win in turn.
  const mayNotLose = (loser: Situation) =>
    loser === exported || timeOf(loser, options.nowNs) === timeOf(winner, options.nowNs);
  if (options.conflictCopies && unkept.some(mayNotLose)) return SETTLED;
  const others = exported === undefined ? shares : [...shares, exported];
  // Who has it will be in conflict with this one.
  const unseen = published === undefined && hasOtherBase ? holdersBeside(entry, others) : [];
  return {
    kind: "offer",
    author: idOf(winner),
    targets: others.filter((replica) =>
      replica !== winner && takesOffer(replica, winner, winners, findings)
    ).map(idOf),
    setAside: options.conflictCopies ? kept.map(idOf) : [],
    forgotten: options.conflictCopies ? [...unkept.map(idOf), ...unseen] : [],
  };
}

/** Whether another file has come in the place of the one that was known: from a backup, say, or another share. */
function wasRestored({ record, observation: { seen } }: Situation): boolean {
  return record?.kind === "file" && seen.kind === "file" && record.inode !== seen.status.inode;
}

const hasDeleted = ({ state, record }: Situation) =>
  state === "deleted" && record?.status !== "infected";

/** Whether the change was made on the channel's version. */
function isBasedOnLast({ record }: Situation, { version }: IndexEntry): boolean {
  return record?.kind === "file" && record.version === version;
}

/** Whether it has the channel's version, as far as its content goes. */
const isPublished = ({ state }: Situation) => state === "current" || state === "touched";

/**
 * The export's file counts as a reference where the index knows nothing of either side, but not if a share holds the
 * very file: then it is in a guest's reach.
 */
function isDrifted(replica: Situation, changed: readonly Situation[]): boolean {
  return replica.observation.role === "export" && replica.state === "changed" &&
    changed.every(({ record, observation }) =>
      record === undefined && !isSameInode(observation.seen, replica.observation.seen)
    );
}

function takesOffer(
  replica: Situation,
  winner: Situation,
  winners: readonly Situation[],
  findings: Findings,
): boolean {
  // What a share has of its own stays; the export has nothing of its own.
  const keepsIts = replica.state === "parked" && replica.observation.role !== "export";
  const hasIt = winners.includes(replica) && isAlike(replica, winner);
  return !hasIt && !keepsIts && !findings.postponed.has(idOf(replica));
}

/** Whether they are equal, owner and permissions included, if their content is. */
function isAlike(a: Situation, b: Situation): boolean {
  return a.observation.seen.kind === "file" && b.observation.seen.kind === "file" &&
    sameAttributes(a.observation.seen.status, b.observation.seen.status);
}

/** Whether their content may be equal. */
function looksEqual({ observation: a }: Situation, { observation: b }: Situation): boolean {
  return a.seen.kind === "file" && b.seen.kind === "file" &&
    a.seen.status.size === b.seen.status.size;
}

/** Changes that are byte-equal are one change; where owner, permissions or times differ, nothing is lost with them. */
function groupEqual(changed: readonly Situation[], findings: Findings): Situation[][] {
  const groups: Situation[][] = [];
  for (const one of changed) {
    const group = groups.find(([first]) =>
      first !== undefined && looksEqual(first, one) &&
      findings.equal(first.observation, one.observation)
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
      if (findings.equal(a.observation, b.observation) === undefined) {
        return { kind: "compare", a: idOf(a), b: idOf(b) };
      }
    }
  }
  return undefined;
}

/** Nothing is lost with it. */
function isEmpty({ observation: { seen } }: Situation): boolean {
  return seen.kind === "file" && seen.status.size === 0;
}

/**
 * The later mtime wins, a time in the future counts as now; ties go to the earlier in order, but not to an empty one: a
 * power failure may take the content alone.
 */
function latest(candidates: readonly Situation[], nowNs: bigint): Situation | undefined {
  let best: Situation | undefined;
  let bestTime = 0n;
  for (const candidate of candidates) {
    const time = timeOf(candidate, nowNs);
    if (time === undefined) continue;
    const isLater = best === undefined || time > bestTime;
    if (isLater || (time === bestTime && best !== undefined && isEmpty(best))) {
      best = candidate;
      bestTime = time;
    }
  }
  return best;
}

/** Of its last modification; the future is now. */
function timeOf({ observation: { seen } }: Situation, nowNs: bigint): bigint | undefined {
  if (seen.kind !== "file") return undefined;
  return seen.status.mtimeNs > nowNs ? nowNs : seen.status.mtimeNs;
}
