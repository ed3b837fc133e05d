/** How much is tried: a sample in every run of the tests, everything at night. */

/** Set VIRTIOFS_GATE_NIGHTLY to anything for the nightly size. */
export const NIGHTLY: boolean = Deno.env.has("VIRTIOFS_GATE_NIGHTLY");

/** 0, 1, 2 …: all of them at night, otherwise one of `sample`, beginning with one that depends on `number`. */
export function* sampled(sample: number, number: number): Generator<number> {
  const step = NIGHTLY ? 1 : sample;
  // 7 is prime to most samples: neighbours in a list begin far from each other.
  for (let at = NIGHTLY ? 0 : (number * 7) % sample;; at += step) yield at;
}

/** Where VIRTIOFS_GATE_ATTACK_REPORT names a file, adds to it what was tried and found. */
export function report(summary: string, details: readonly string[] = []): void {
  const path = Deno.env.get("VIRTIOFS_GATE_ATTACK_REPORT");
  if (path === undefined) return;
  Deno.writeTextFileSync(path, [summary, ...details, ""].join("\n"), { append: true });
}
