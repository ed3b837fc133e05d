// deno-lint-ignore-file no-console -- to print is what a profile is for
/**
 * Where the gate's time goes: serves bursts of small files under the runtime's CPU profiler, and prints the
 * processor time for a file, and which functions had it.
 *
 *     deno run -A bench/profile.ts [--files N] [--rounds N] [--unscanned] [--startup] [--lines]
 *
 * Processor time tells what a change brought even where others load the machine.
 */

import { parseArgs } from "node:util";
import { scratchDirectory } from "../tests/support/scratch.ts";
import { burst, smallFiles } from "./guest.ts";
import { Stage } from "./stage.ts";

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
  readonly children?: readonly number[];
  readonly positionTicks?: readonly { readonly line: number; readonly ticks: number }[];
}

/** What `--cpu-prof` writes. */
interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const { values: options } = parseArgs({
  options: {
    files: { type: "string", default: "3000" },
    rounds: { type: "string", default: "3" },
    unscanned: { type: "boolean", default: false },
    startup: { type: "boolean", default: false },
    lines: { type: "boolean", default: false },
    plain: { type: "boolean", default: false },
    top: { type: "string", default: "45" },
  },
});

const files = Number(options.files);
const rounds = Number(options.rounds);
/** What the profiler itself takes of a processor is less than this. */
const RESTING = 0.2;
const REPOSITORY = new URL("../", import.meta.url).href;

/** Microseconds by function: its own, and with what it called. */
function summarize(profile: Profile): void {
  const own = new Map<number, number>();
  for (const [i, id] of profile.samples.entries()) {
    own.set(id, (own.get(id) ?? 0) + (profile.timeDeltas[i] ?? 0));
  }
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const selfOf = new Map<string, number>();
  const totalOf = new Map<string, number>();
  const lines = new Map<string, number>();
  const visit = (node: ProfileNode, above: ReadonlySet<string>): number => {
    const key = nameOf(node);
    const self = own.get(node.id) ?? 0;
    selfOf.set(key, (selfOf.get(key) ?? 0) + self);
    const within = above.has(key) ? above : new Set([...above, key]);
    let total = self;
    for (const child of node.children ?? []) {
      const found = byId.get(child);
      if (found !== undefined) total += visit(found, within);
    }
    if (!above.has(key)) totalOf.set(key, (totalOf.get(key) ?? 0) + total);
    const ticks = node.positionTicks ?? [];
    const all = ticks.reduce((sum, tick) => sum + tick.ticks, 0);
    for (const { line, ticks: count } of ticks) {
      const place = `${shortUrl(node.callFrame.url)}:${line}`;
      lines.set(place, (lines.get(place) ?? 0) + self * count / all);
    }
    return total;
  };
  const [root] = profile.nodes;
  if (root !== undefined) visit(root, new Set());
  const idle = selfOf.get("(idle)") ?? 0;
  const busy = (totalOf.get("(root)") ?? 0) - idle;
  const each = (us: number) => (us / files / rounds).toFixed(2).padStart(8);
  const print = (map: ReadonlyMap<string, number>) => {
    const rows = [...map].filter(([key]) => key !== "(idle)").sort(([, a], [, b]) => b - a);
    for (const [key, us] of rows.slice(0, Number(options.top))) {
      console.log(`${each(us)} µs ${(us / busy * 100).toFixed(1).padStart(5)} %  ${key}`);
    }
  };
  console.log(`main thread busy ${each(busy)} µs a file. Own time:`);
  print(selfOf);
  console.log("With what was called:");
  print(totalOf);
  if (options.lines) {
    console.log("Lines:");
    print(lines);
  }
}

function nameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  if (url === "") return functionName;
  return `${functionName || "(anonymous)"} ${shortUrl(url)}:${lineNumber + 1}`;
}

function shortUrl(url: string): string {
  return url.replace(REPOSITORY, "");
}

const folder = scratchDirectory("profile");
await using stage = await Stage.set({ scanning: !options.unscanned });
const channel = await stage.channel("jit");
const runtimeOptions = options.plain ? [] : ["--cpu-prof", `--cpu-prof-dir=${folder}`];

if (options.startup) {
  const first = await channel.start();
  for (let round = 0; round < rounds; round++) await burst(channel, smallFiles(files));
  await first.stop();
  const gate = await channel.start({ runtimeOptions });
  console.log(`ready after ${gate.readySeconds.toFixed(3)} s, CPU ${gate.cpuSeconds()} s`);
  await gate.stop();
} else {
  const gate = await channel.start({ runtimeOptions });
  await gate.quiet(500, RESTING);
  const before = gate.cpuSeconds();
  for (let round = 0; round < rounds; round++) {
    const { seconds } = await burst(channel, smallFiles(files));
    console.log(`everywhere after ${seconds.toFixed(2)} s`);
  }
  await gate.quiet(500, RESTING);
  const cpu = gate.cpuSeconds() - before;
  console.log(`gate's CPU ${(cpu / files / rounds * 1e6).toFixed(1)} µs a file`);
  await gate.stop();
}
for (const entry of Deno.readDirSync(folder)) {
  const text = Deno.readTextFileSync(`${folder}/${entry.name}`);
  const profile: Profile = JSON.parse(text);
  summarize(profile);
}
