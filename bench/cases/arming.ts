/** How long it takes to watch a large tree. */

import { REPOSITORY } from "../../tests/support/gate.ts";
import { LoopFilesystem } from "../../tests/support/loop_filesystem.ts";
import { sleep } from "../../tests/support/wait.ts";
import { type Case, type Effort, type Figure, type Runtime, sized } from "../case.ts";
import { build, numbersOf } from "../reference.ts";
import { inRounds } from "../rounds.ts";
import { makeDirectories, needWatches } from "../trees.ts";

/** The kernel takes the watches of a process that has ended away at its leisure. */
const PAUSE_MS = 300;

async function run(effort: Effort): Promise<readonly Figure[]> {
  const directories = sized(effort, { full: 100_000, quick: 20_000, smoke: 100 });
  needWatches(directories);
  await using filesystem = await LoopFilesystem.create("btrfs", { sizeMiB: 4096 });
  const tree = await filesystem.directory("tree");
  effort.say(`making ${directories} directories`);
  await makeDirectories(tree, directories);
  await referenceSeconds(tree); // both find everything in the page cache
  const measured = await inRounds(effort, {
    reference: async () => ({ armed: await referenceSeconds(tree) }),
    ours: async (runtime) => ({ armed: await armingSeconds(tree, runtime) }),
  });
  return [measured.figure("armed", { title: "", unit: "s", bar: { ratio: 2 } })];
}

export async function referenceSeconds(tree: string): Promise<number> {
  const [, seconds = NaN] = await numbersOf(await build("arm_watches"), [tree]);
  await sleep(PAUSE_MS);
  return seconds;
}

/** In a process of its own, as a daemon that has just started. */
export async function armingSeconds(tree: string, runtime: Runtime): Promise<number> {
  const [, seconds = NaN] = await numbersOf(Deno.execPath(), [
    "run",
    "-P=gate",
    "--no-prompt",
    "--config",
    `${REPOSITORY}deno.json`,
    "--quiet",
    ...runtime === "jitless" ? ["--v8-flags=--jitless"] : [],
    new URL("../arm_watches.ts", import.meta.url).pathname,
    tree,
  ]);
  await sleep(PAUSE_MS);
  return seconds;
}

export const arming: Case = {
  name: "arming",
  title: "arming watches, 100,000 directories",
  how:
    "the gate's watcher in a fresh process, beside a C program that opens and watches each directory",
  run,
};
