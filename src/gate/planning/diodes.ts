/** What is to be done about what write-only producers have. */

import type { IndexEntry, ReplicaRecord } from "../replica_record.ts";
import {
  type Findings,
  idOf,
  isDirectory,
  isFile,
  isTaken,
  SETTLED,
  type Situation,
  type Step,
} from "./situation.ts";

/**
 * Write-only producers: what they create travels unless the name is taken, and once more where it was lost, as with an
 * export that was removed; nothing else does.
 */
export function planDiodes(
  diodes: readonly Situation[],
  shares: readonly Situation[],
  exported: Situation | undefined,
  entry: IndexEntry,
  findings: Findings,
): Step {
  const gone = diodes.filter(({ state }) => state === "deleted");
  if (gone.length > 0) return { kind: "forget", replicas: gone.map(idOf), isDeletion: false };
  const others = exported === undefined ? shares : [...shares, exported];
  const taken = others.some(isTaken) || (!entry.deleted && othersHaveIt(entry, diodes));
  const ready = others.map(idOf).filter((id) => !findings.postponed.has(id));
  const lost = !taken && ready.length > 0 && !entry.deleted &&
    othersKnown(entry, diodes).length === 0;
  const author = diodes.find((diode) =>
    !findings.postponed.has(idOf(diode)) &&
    (diode.state === "changed" || (lost && isKnown(diode)))
  );
  if (author === undefined) return SETTLED;
  // Nobody can take it now: it is offered again.
  if (!taken && ready.length === 0 && others.length > 0) return SETTLED;
  const targets = taken ? [] : ready;
  if (isDirectory(author)) {
    return targets.length === 0
      ? { kind: "adopt", replicas: [idOf(author)], newVersion: false }
      : { kind: "make-directory", model: idOf(author), targets };
  }
  return { kind: "offer", author: idOf(author), targets, setAside: [], forgotten: [] };
}

/** A share that is not there now may still have a file of that name. */
function othersHaveIt(entry: IndexEntry, diodes: readonly Situation[]): boolean {
  return othersKnown(entry, diodes).some(({ kind }) => kind === "file");
}

function othersKnown(
  { records }: IndexEntry,
  diodes: readonly Situation[],
): readonly ReplicaRecord[] {
  return records.filter(({ replica, status }) =>
    status !== "own" && !diodes.some((diode) => idOf(diode) === replica)
  );
}

/** Whether it was offered, or was the channel's, when it was looked at last. */
function isKnown(diode: Situation): boolean {
  const status = diode.record?.status;
  return (isFile(diode) || isDirectory(diode)) && (status === "own" || status === "current");
}
