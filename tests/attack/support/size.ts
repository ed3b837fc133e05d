/** Where something is tried: at a sample of places in every run of the tests, at all of them at night. */

import { NIGHTLY } from "../../support/size.ts";

/** The calls by which names come and go: what is decided before them must still be true. */
const DECISIVE: ReadonlySet<string> = new Set(["renameat2", "linkat", "unlinkat", "mkdirat"]);

/**
 * Between which of `calls` something is tried: everywhere at night; otherwise before and behind the decisive ones,
 * of which `half` (0 or 1) gives every other.
 */
export function boundaries(calls: readonly string[], half: number): number[] {
  const all = Array.from({ length: calls.length + 1 }, (_, at) => at);
  if (NIGHTLY) return all;
  const isDecisive = (at: number) =>
    DECISIVE.has(calls[at] ?? "") || DECISIVE.has(calls[at - 1] ?? "");
  return all.filter(isDecisive).filter((_, index) => index % 2 === half);
}

/** Where VIRTIOFS_GATE_ATTACK_REPORT names a file, adds to it what was tried and found. */
export function report(summary: string, details: readonly string[] = []): void {
  const path = Deno.env.get("VIRTIOFS_GATE_ATTACK_REPORT");
  if (path === undefined) return;
  Deno.writeTextFileSync(path, [summary, ...details, ""].join("\n"), { append: true });
}
