/** How much is tried: a sample in every run of the tests, everything at night. */

/** Set VIRTIOFS_GATE_NIGHTLY to anything for the nightly size. */
export const NIGHTLY: boolean = Deno.env.has("VIRTIOFS_GATE_NIGHTLY");

/** How many sequences a property of a pure state machine is tried with. */
export function runs(usual: number, nightly = 1_000_000): { readonly numRuns: number } {
  return { numRuns: NIGHTLY ? Math.max(usual, nightly) : usual };
}
