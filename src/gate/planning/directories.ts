/** What is to be done about a path that is a directory somewhere, or was one. */

import type { IndexEntry } from "../replica_record.ts";
import {
  type Findings,
  idOf,
  isDirectory,
  isFile,
  isIgnored,
  isOutdated,
  isTaken,
  SETTLED,
  type Situation,
  type Step,
} from "./situation.ts";

export function planDirectories(
  shares: readonly Situation[],
  replicas: readonly Situation[],
  entry: IndexEntry,
  findings: Findings,
): Step {
  const unseen = shares.find((share) => isDirectory(share) && share.state === "changed");
  // Or it was deleted while those who have it were not there.
  const isDeleted = entry.deleted ||
    shares.some((share) => share.state === "deleted" && wasDirectory(share));
  if (unseen === undefined && isDeleted && !findings.directoryStays) {
    return {
      kind: "remove-directory",
      replicas: replicas.filter(isDirectory).map(idOf),
    };
  }
  const model = unseen ?? shares.find((share) => isDirectory(share) && share.state === "current") ??
    shares.find(isDirectory);
  if (model === undefined) return SETTLED;
  const unlike = replicas.filter((replica) =>
    replica !== model && !isIgnored(replica) && !isAlike(replica, model)
  );
  const targets = unlike.filter((replica) => !findings.postponed.has(idOf(replica)));
  if (targets.length > 0) {
    return { kind: "make-directory", model: idOf(model), targets: targets.map(idOf) };
  }
  // Adopted before it is everywhere, the change would be nobody's, and might be undone.
  if (unlike.length > 0) return SETTLED;
  const alike = replicas.filter(isDirectory);
  const unrecorded = alike.some(({ state }) => state === "changed" || state === "stale");
  // Whoever is not there has yet to learn of other permissions; who has a file there, not that it was replaced.
  const newVersion = unseen !== undefined && wasDirectory(unseen) &&
    entry.records.every(({ kind }) => kind === "directory");
  return unrecorded ? { kind: "adopt", replicas: alike.map(idOf), newVersion } : SETTLED;
}

const wasDirectory = ({ record }: Situation) => record?.kind === "directory";

function isAlike(replica: Situation, model: Situation): boolean {
  const a = replica.observation.seen;
  const b = model.observation.seen;
  return a.kind === "directory" && b.kind === "directory" && a.status.uid === b.status.uid &&
    a.status.gid === b.status.gid && (a.status.mode & 0o777) === (b.status.mode & 0o777);
}

/** No share has the directory that the index knows: it was deleted, or they have yet to get it. */
export function planVanishedDirectory(
  shares: readonly Situation[],
  replicas: readonly Situation[],
  entry: IndexEntry,
  findings: Findings,
): Step {
  const hasFile = shares.some(isFile);
  const exported = replicas.find((replica) => isDirectory(replica));
  const isDeleted = hasFile || entry.deleted || shares.some(wasDirectory);
  // As what only a write-only producer had, or shares that are not there, or were lost.
  if (exported !== undefined && !isDeleted) return planFilling(exported, shares, findings);
  const left = findings.directoryStays ? [] : replicas.filter(isDirectory);
  const unjudged = left.length > 0 ? toBeJudged(shares, findings) : undefined;
  if (unjudged !== undefined) return unjudged;
  if (left.length > 0) return { kind: "remove-directory", replicas: left.map(idOf) };
  const known = replicas.filter(wasDirectory).map(idOf);
  // A file took its place: what was known of the directory is no base for it.
  return hasFile || known.length > 0
    ? { kind: "forget", replicas: known, isDeletion: false }
    : SETTLED;
}

/** A directory that no share has, but the export, goes where nothing is. */
export function planFilling(
  exported: Situation,
  shares: readonly Situation[],
  { postponed }: Findings,
): Step {
  const targets = shares.filter((share) => !isTaken(share) && !postponed.has(idOf(share)));
  return targets.length > 0
    ? { kind: "make-directory", model: idOf(exported), targets: targets.map(idOf) }
    : SETTLED;
}

/** A directory in one share, a file in another: the directory keeps its place. */
export function planClash(
  shares: readonly Situation[],
  exported: Situation | undefined,
  entry: IndexEntry,
  findings: Findings,
): Step {
  const files = shares.filter(isFile);
  const directories = shares.filter(isDirectory);
  const known = files.filter(({ state }) => state === "current" || state === "stale");
  // Those who were not there meanwhile have what it was before.
  const isLatest = ({ state }: Situation) => state === "current";
  const isOlder = ({ state }: Situation) => state === "stale";
  // Somebody replaced the known file by a directory: the file's deletion travels. Whoever had malware of its own
  // there has not deleted the others' version.
  const replaced = directories.some(({ record }) =>
    record?.kind === "file" && record.status !== "infected" && !isOutdated(record, entry)
  );
  const wasReplaced = directories.some(isLatest) && known.every(isOlder);
  if ((replaced || wasReplaced) && known.length > 0) {
    const inExport = exported !== undefined && isFile(exported) ? [exported] : [];
    return { kind: "remove", replicas: [...known, ...inExport].map(idOf), orphan: false };
  }
  // Somebody replaced the known directory by a file: the directory's deletion travels, if it is empty.
  const emptied = files.some(wasDirectory) && directories.every(isLatest);
  const wasEmptied = files.some(isLatest) && directories.every(isOlder);
  if ((emptied || wasEmptied) && !findings.directoryStays) {
    const unjudged = toBeJudged(files, findings);
    if (unjudged !== undefined) return unjudged;
    const inExport = exported !== undefined && isDirectory(exported) ? [exported] : [];
    return { kind: "remove-directory", replicas: [...directories, ...inExport].map(idOf) };
  }
  const file = files.find((replica) => !findings.postponed.has(idOf(replica)));
  return file === undefined ? SETTLED : { kind: "set-aside", replica: idOf(file) };
}

/**
 * Before the directory may go, a file in its place: it may be what one in the directory has become, of which there is no clean
 * copy any more then.
 */
function toBeJudged(
  shares: readonly Situation[],
  { judged, postponed }: Findings,
): Step | undefined {
  const file = shares.find((share) =>
    isFile(share) && share.state === "changed" && !judged.has(idOf(share)) &&
    !postponed.has(idOf(share))
  );
  return file === undefined ? undefined : { kind: "judge", author: idOf(file) };
}
