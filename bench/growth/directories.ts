/** How the cost of directories grows with their number. */

import { type Effort, type Growth, type GrowthCase, sized } from "../case.ts";
import { armingSeconds, referenceSeconds } from "../cases/arming.ts";
import { Stage } from "../stage.ts";
import { makeDirectories, watchLimit } from "../trees.ts";

async function grow(effort: Effort): Promise<readonly Growth[]> {
  const most = sized(effort, { full: 100_000, quick: 10_000, smoke: 100 });
  // The gate watches all that were made so far, and beside it another process as many as the last ones.
  const affordable = watchLimit() / 2.5;
  const counts = [10, 100, 1000, 3000, 10_000, 30_000, 100_000].filter((count) =>
    count <= most && count <= affordable
  );
  await using stage = await Stage.set({ scanning: false });
  // One share: what the gate makes in others would be watched as well.
  const channel = await stage.channel("jit", { producers: ["ann"], debounceMs: 100 });
  const points: Record<"ours" | "reference" | "passing", [number, number][]> = {
    ours: [],
    reference: [],
    passing: [],
  };
  await channel.start();
  for (const count of counts) {
    effort.say(`${count} directories`);
    const tree = `${channel.source}/${count}`;
    await Deno.mkdir(tree);
    await channel.gate.quiet();
    const before = channel.gate.cpuSeconds();
    await makeDirectories(tree, count);
    await channel.gate.quiet(1000);
    points.passing.push([count, channel.gate.cpuSeconds() - before]);
    const copy = `${channel.basePath}/export/${count}`;
    points.reference.push([count, await referenceSeconds(copy)]);
    points.ours.push([count, await armingSeconds(copy, "jit")]);
  }
  const of = "directories";
  return [
    { title: "arming watches", of, unit: "s", points: points.ours },
    { title: "arming watches, the C program", of, unit: "s", points: points.reference },
    { title: "making them in the export, CPU", of, unit: "s", points: points.passing },
  ];
}

export const directories: GrowthCase = {
  name: "growth-directories",
  title: "growth with directories",
  how: "100 a directory, made while the gate serves one share; then a fresh process arms as many",
  grow,
};
