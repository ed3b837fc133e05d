/** What a run of the benchmark found, as it is kept in results.json. */

import type { Figure, Growth, Size } from "./case.ts";
import type { Machine } from "./machine.ts";

/** Of a machine's description, what may differ between two runs on it. */
const CHANGING: ReadonlySet<string> = new Set(["load", "commit"]);

export interface CaseResult {
  readonly name: string;
  readonly title: string;
  readonly how: string;
  readonly figures: readonly Figure[];
  readonly growth: readonly Growth[];
  /** How long it took, its preparations included. */
  readonly seconds: number;
  /** Why there are no figures: it cannot be run here, or it failed. */
  readonly problem?: { readonly kind: "skipped" | "failed"; readonly reason: string };
  /** Where it was measured after the others (`--only`). */
  readonly again?: { readonly begun: string; readonly commit: string };
}

export interface Results {
  readonly size: Size;
  readonly begun: string;
  readonly seconds: number;
  readonly machine: Machine;
  readonly cases: readonly CaseResult[];
}

/** The whole run's results with some cases measured again. Throws if they are of another size or machine. */
export function withAgain(whole: Results, later: Results): Results {
  if (whole.size !== later.size) throw new Error(`the results there are of a ${whole.size} run`);
  const changed = Object.keys(whole.machine).filter((what) =>
    !CHANGING.has(what) && whole.machine[what] !== later.machine[what]
  );
  if (changed.length > 0) throw new Error(`the results there are of another ${changed.join(", ")}`);
  const again = { begun: later.begun, commit: later.machine["commit"] ?? "unknown" };
  const cases = new Map(whole.cases.map((one) => [one.name, one]));
  for (const one of later.cases) cases.set(one.name, { ...one, again });
  return { ...whole, cases: [...cases.values()] };
}
