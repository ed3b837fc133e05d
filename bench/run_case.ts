/**
 * `run_case.ts NAME SIZE ROUNDS JITLESS_ROUNDS`: one case in a process of its own, so that it can be ended together
 * with everything that it started. Prints the result as JSON; how far it is goes to stderr.
 */

import { CannotRun, type Effort, type Size } from "./case.ts";
import { CASES } from "./cases/all.ts";
import type { CaseResult } from "./results.ts";
import { say } from "../tests/support/terminal.ts";

export async function runCase(name: string, effort: Effort): Promise<CaseResult> {
  const found = CASES.find((one) => one.name === name);
  if (found === undefined) throw new Error(`there is no case ${name}`);
  const { title, how } = found;
  const begin = performance.now();
  const head = { name, title, how, figures: [], growth: [] };
  const seconds = () => (performance.now() - begin) / 1000;
  try {
    const got = "run" in found
      ? { figures: await found.run(effort) }
      : { growth: await found.grow(effort) };
    return { ...head, ...got, seconds: seconds() };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const kind = error instanceof CannotRun ? "skipped" : "failed";
    return { ...head, seconds: seconds(), problem: { kind, reason } };
  }
}

if (import.meta.main) {
  const [name = "", size = "", jit, jitless] = Deno.args;
  const encoder = new TextEncoder();
  const result = await runCase(name, {
    size: size as Size, // main.ts is the only caller
    rounds: { jit: Number(jit), jitless: Number(jitless) },
    say: (text) => Deno.stderr.writeSync(encoder.encode(`    ${text}\n`)),
  });
  say(JSON.stringify(result));
}
