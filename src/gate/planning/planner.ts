/**
 * Decides what is to be done about one path, from what is seen of it in every replica and what was last
 * known. Pure: nothing here touches a disk. One step at a time: the step is performed, the replicas are
 * looked at again, and the next step follows, until there is nothing left to do.
 */

import { type IndexEntry, knownIn } from "../replica_record.ts";
import { planDiodes } from "./diodes.ts";
import { planClash, planDirectories, planVanishedDirectory } from "./directories.ts";
import { planFiles } from "./files.ts";
import {
  type Findings,
  isDirectory,
  isFile,
  type Observation,
  type PlanOptions,
  type Situation,
  stateOf,
  type Step,
} from "./situation.ts";

/** The next step for one path. */
export function plan(
  observations: readonly Observation[],
  entry: IndexEntry,
  findings: Findings,
  options: PlanOptions,
): Step {
  const situations = observations.map((observation): Situation => {
    const record = knownIn(entry, { id: observation.replica, role: observation.role });
    return { observation, record, state: stateOf(observation, record, entry, options) };
  });
  const shares = situations.filter(({ observation }) => observation.role === "producer");
  const diodes = situations.filter(({ observation }) => observation.role === "diode");
  const exported = situations.find(({ observation }) => observation.role === "export");

  const step = planShares(shares, diodes, exported, entry, findings, options);
  return step.kind === "settled" ? planDiodes(diodes, shares, exported, entry, findings) : step;
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
  if (hasDirectory) return planDirectories(shares, replicas, entry, findings);
  if (replicas.some(({ record }) => record?.kind === "directory")) {
    return planVanishedDirectory(shares, replicas, entry, findings);
  }
  return planFiles(shares, diodes, exported, entry, findings, options);
}
