// deno-lint-ignore-file no-console -- to print is what a benchmark is for
/**
 * What a change brought: serves the same bursts of small files (or files one by one) by the gates of two checkouts,
 * in turns.
 *
 *     git worktree add /tmp/before HEAD~1
 *     deno run -A bench/compare.ts /tmp/before [--files N] [--rounds N] [--unscanned] [--startup | --single]
 *
 * Processor time is what to look at where others load the machine; the medians of the pairs' ratios are printed.
 */

import { parseArgs } from "node:util";
import { REPOSITORY } from "../tests/support/gate.ts";
import { burst as burstInto, latencies, smallFiles } from "./guest.ts";
import { Stage } from "./stage.ts";
import { median, ratios } from "./statistics.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    files: { type: "string", default: "3000" },
    rounds: { type: "string", default: "5" },
    unscanned: { type: "boolean", default: false },
    startup: { type: "boolean", default: false },
    single: { type: "boolean", default: false },
  },
});
const [before] = positionals;
if (before === undefined) throw new Error("which checkout is it to be compared with?");

interface Cost {
  readonly cpuUs: number;
  readonly wallUs: number;
}

const files = Number(options.files);
await using stage = await Stage.set({ scanning: !options.unscanned });
const channel = await stage.channel("jit");
const burst = () => burstInto(channel, smallFiles(files));

async function serve(checkout: string): Promise<Cost> {
  const gate = await channel.start({ checkout });
  const names = [(await burst()).name]; // compiles what is hot
  const cpu = gate.cpuSeconds();
  const { name, seconds } = await burst();
  names.push(name);
  await gate.quiet();
  const cost = { cpuUs: (gate.cpuSeconds() - cpu) / files * 1e6, wallUs: seconds / files * 1e6 };
  await gate.stop();
  for (const place of [channel.source, ...channel.targets]) {
    for (const name of names) await Deno.remove(`${place}/${name}`, { recursive: true });
  }
  return cost;
}

async function start(checkout: string): Promise<Cost> {
  const gate = await channel.start({ checkout });
  const cost = {
    cpuUs: gate.cpuSeconds() / files * 1e6,
    wallUs: gate.readySeconds / files * 1e6,
  };
  await gate.stop();
  return cost;
}

async function serveOneByOne(checkout: string): Promise<Cost> {
  const gate = await channel.start({ checkout });
  await latencies(channel, files / 4); // compiles what is hot
  const cpu = gate.cpuSeconds();
  const wallUs = median(await latencies(channel, files)) * 1000;
  const cost = { cpuUs: (gate.cpuSeconds() - cpu) / files * 1e6, wallUs };
  await gate.stop();
  return cost;
}

if (options.startup) {
  const gate = await channel.start();
  await burst();
  await gate.stop();
}
const measure = options.startup ? start : options.single ? serveOneByOne : serve;
const costs: { before: Cost; after: Cost }[] = [];
for (let round = 0; round < Number(options.rounds); round++) {
  costs.push({ before: await measure(before), after: await measure(REPOSITORY) });
}
for (const what of ["cpuUs", "wallUs"] as const) {
  const was = costs.map((cost) => cost.before[what]);
  const is = costs.map((cost) => cost.after[what]);
  const pairs = ratios(is, was).map((ratio) => ratio.toFixed(2));
  console.log(
    `${what === "cpuUs" ? "CPU " : "wall"} a file: ${median(was).toFixed(0)} µs before, ` +
      `${median(is).toFixed(0)} µs after; ratio ${median(ratios(is, was)).toFixed(3)} (${
        pairs.join(", ")
      })`,
  );
}
