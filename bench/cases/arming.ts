/** How long it takes to watch a large tree. */

import { REPOSITORY } from "../../tests/support/gate.ts";
import { LoopFilesystem } from "../../tests/support/loop_filesystem.ts";
import { makeDirectories } from "../trees.ts";
import { type Case, type Effort, type Figure, inRounds } from "../case.ts";
import { build, numbersOf } from "../reference.ts";

async function run(effort: Effort): Promise<readonly Figure[]> {
  const directories = effort.quick ? 20_000 : 100_000;
  const reference = await build("arm_watches");
  await using filesystem = await LoopFilesystem.create("btrfs", { sizeMiB: 4096 });
  const tree = await filesystem.directory("tree");
  effort.say(`making ${directories} directories`);
  await makeDirectories(tree, directories);
  const all = await inRounds(effort, async () => {
    const [, theirs = NaN] = await numbersOf(reference, [tree]);
    const ours = await armingSeconds(tree, effort);
    return { ours, theirs };
  });
  return [{ title: "", unit: "s", ours: all.ours, reference: all.theirs, bar: { ratio: 2 } }];
}

/** In a process of its own, as a daemon that has just started. */
export async function armingSeconds(
  tree: string,
  { runtime }: Pick<Effort, "runtime">,
): Promise<number> {
  const script = new URL("../arm_watches.ts", import.meta.url).pathname;
  const [, seconds = NaN] = await numbersOf(Deno.execPath(), [
    "run",
    "-P=gate",
    "--no-prompt",
    "--config",
    `${REPOSITORY}deno.json`,
    "--quiet",
    ...runtime,
    script,
    tree,
  ]);
  return seconds;
}

export const arming: Case = {
  name: "arming",
  title: "arming watches, 100,000 directories",
  how:
    "the gate's watcher in a fresh process, beside a C program that opens and watches each directory",
  run,
};
