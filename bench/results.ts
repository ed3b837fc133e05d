/** What a run of the benchmark found, as it is kept in results.json. */

import type { Figure, Growth, Size } from "./case.ts";
import type { Machine } from "./machine.ts";

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
}

export interface Results {
  readonly size: Size;
  readonly begun: string;
  readonly seconds: number;
  readonly machine: Machine;
  readonly cases: readonly CaseResult[];
}
