/** What is to be done about what write-only producers have. */

import {
  type Findings,
  idOf,
  isDirectory,
  isTaken,
  SETTLED,
  type Situation,
  type Step,
} from "./situation.ts";

/** Write-only producers: what they create travels unless the name is taken; nothing else does. */
export function planDiodes(
  diodes: readonly Situation[],
  shares: readonly Situation[],
  exported: Situation | undefined,
  findings: Findings,
): Step {
  const gone = diodes.filter(({ state }) => state === "deleted");
  if (gone.length > 0) return { kind: "forget", replicas: gone.map(idOf), isDeletion: false };
  const author = diodes.find((diode) =>
    diode.state === "changed" && !findings.postponed.has(idOf(diode))
  );
  if (author === undefined) return SETTLED;
  const others = exported === undefined ? shares : [...shares, exported];
  const taken = others.some(isTaken);
  const ready = others.map(idOf).filter((id) => !findings.postponed.has(id));
  // Nobody can take it now: it is offered again.
  if (!taken && ready.length === 0 && others.length > 0) return SETTLED;
  const targets = taken ? [] : ready;
  if (isDirectory(author)) {
    return targets.length === 0
      ? { kind: "adopt", replicas: [idOf(author)], newVersion: false }
      : { kind: "make-directory", model: idOf(author), targets };
  }
  return { kind: "offer", author: idOf(author), targets, setAside: [] };
}
