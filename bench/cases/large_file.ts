/** How long a large file takes that is only cloned. */

import { must } from "../../tests/support/command.ts";
import { waitFor } from "../../tests/support/wait.ts";
import { type Case, type Effort, type Figure, inRounds } from "../case.ts";
import { Stage } from "../stage.ts";

const SIZE = 2 ** 30;
const DEBOUNCE_MS = 50;

async function run(effort: Effort): Promise<readonly Figure[]> {
  await using stage = await Stage.set({
    debounceMs: DEBOUNCE_MS,
    scanning: false,
    sizeMiB: 6144,
  });
  await stage.startGate(effort);
  const all = await inRounds(effort, async (round) => {
    const file = `${stage.outside}/${round}`;
    const zeros = ["if=/dev/zero", `of=${file}`, "bs=1M", `count=${SIZE / 2 ** 20}`];
    await must("dd", [...zeros, "conv=fsync", "status=none"]);
    const cloning = performance.now();
    await must("cp", ["--reflink=always", file, `${file}-copy`]);
    const theirs = performance.now() - cloning;
    const begin = performance.now();
    await Deno.rename(file, `${stage.source}/${round}`);
    await waitFor("it is everywhere", () => stage.targets.every((target) => has(target, round)));
    const ours = performance.now() - begin - DEBOUNCE_MS;
    await Deno.remove(`${file}-copy`);
    await Deno.remove(`${stage.source}/${round}`);
    await waitFor("it is gone", () => !stage.targets.some((target) => has(target, round)));
    return { ours, theirs };
  });
  return [{
    title: "",
    unit: "ms",
    ours: all.ours,
    reference: all.theirs,
    bar: { ratio: 1.5, plus: 50 },
  }];
}

function has(target: string, round: number): boolean {
  try {
    return Deno.lstatSync(`${target}/${round}`).size === SIZE;
  } catch {
    return false; // not yet
  }
}

export const largeFile: Case = {
  name: "large",
  title: "1 GiB file, scanning off, page cache clean",
  how: `moved into the share, until the last of 3 targets has it, debounceMs ${DEBOUNCE_MS} ` +
    "subtracted, beside cp --reflink=always",
  run,
};
