// deno-lint-ignore-file no-console -- to print is what a benchmark is for
/**
 * `deno task bench [--quick] [--only NAME]… [--rounds N] [--jitless] [--write]`: what the programs cost, each figure
 * beside a reference that was measured in the same run, in turns.
 *
 * `--write` puts the results into RESULTS.md, results.json and the plots beside this file.
 */

import { parseArgs } from "node:util";
import { CannotRun, type Case, type Effort } from "./case.ts";
import { CASES } from "./cases/all.ts";
import { type CaseResult, lineOf } from "./report.ts";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    rounds: { type: "string" },
    jitless: { type: "boolean", default: false },
  },
});

const effort: Effort = {
  rounds: Number(options.rounds ?? (options.quick ? 3 : 5)),
  quick: options.quick,
  runtime: options.jitless ? ["--v8-flags=--jitless"] : [],
  say: (text) => console.error(`    ${text}`),
};

async function measure(one: Case): Promise<CaseResult> {
  console.error(`${one.name}: ${one.title}`);
  const { title, how } = one;
  try {
    const figures = await one.run(effort);
    for (const figure of figures) console.log(`  ${lineOf(figure)}`);
    return { title, how, figures };
  } catch (error) {
    if (!(error instanceof CannotRun)) throw error;
    console.log(`  not run: ${error.message}`);
    return { title, how, figures: [], skipped: error.message };
  }
}

for (const one of CASES) {
  if (options.only.length === 0 || options.only.includes(one.name)) await measure(one);
}
