/** How the cost of files grows with their number. */

import { type Effort, type Growth, type GrowthCase, sized } from "../case.ts";
import { burst, type Files } from "../guest.ts";
import { Stage } from "../stage.ts";
import { median } from "../statistics.ts";

type Points = [number, number][];

const FEW = 1000;
const FEW_ROUNDS = 3;
const STARTS = 3;

function numbers(effort: Effort): number[] {
  const most = sized(effort, { full: 100_000, quick: 10_000, smoke: 1000 });
  return [10, 100, 1000, 3000, 10_000, 30_000, 100_000].filter((number) => number <= most);
}

/** Serves bursts of more and more files; with `startAgain`, the gate is started again after each. */
async function serve(
  effort: Effort,
  filesOf: (count: number) => Files,
  startAgain: boolean,
): Promise<readonly Growth[]> {
  await using stage = await Stage.set({ scanning: false, sizeMiB: 8192 });
  const channel = await stage.channel("jit", { debounceMs: 100 });
  await channel.start();
  const once = async (count: number) => {
    const { gate } = channel;
    const before = gate.cpuSeconds();
    const { seconds } = await burst(channel, filesOf(count));
    await gate.quiet();
    return { cpu: gate.cpuSeconds() - before, wall: seconds - channel.debounceMs / 1000 };
  };
  await once(FEW); // compiles what is hot
  const cpu: Points = [];
  const wall: Points = [];
  const started: Points = [];
  let total = FEW;
  for (const count of numbers(effort)) {
    effort.say(`${count} files`);
    const rounds = [];
    for (let round = 0; round < (count > FEW ? 1 : FEW_ROUNDS); round++) {
      rounds.push(await once(count));
      total += count;
    }
    cpu.push([count, median(rounds.map((round) => round.cpu))]);
    wall.push([count, median(rounds.map((round) => round.wall))]);
    if (startAgain) {
      const starts = [];
      for (let start = 0; start < STARTS; start++) {
        await channel.stop();
        starts.push((await channel.start()).cpuSeconds());
      }
      started.push([total, median(starts)]);
    }
  }
  const of = "files";
  const growths: Growth[] = [
    { title: "passing them on to 3 targets, CPU", of, unit: "s", points: cpu },
    { title: "passing them on to 3 targets, time", of, unit: "s", points: wall },
  ];
  if (startAgain) {
    growths.push({ title: "starting over them, unchanged, CPU", of, unit: "s", points: started });
  }
  return growths;
}

export const files: GrowthCase = {
  name: "growth-files",
  title: "growth with files",
  how: "bursts of 4 KiB files, 100 a directory, scanning off; the gate is started again after each",
  grow: (effort) => serve(effort, (count) => ({ count, size: 4096, perDirectory: 100 }), true),
};

export const filesInOneDirectory: GrowthCase = {
  name: "growth-directory",
  title: "growth with files in one directory",
  how: "bursts of files of 1 byte, all in one directory, scanning off",
  grow: async (effort) => {
    const growths = await serve(
      effort,
      (count) => ({ count, size: 1, perDirectory: count }),
      false,
    );
    return growths.map((growth) => ({ ...growth, of: "files in one directory" }));
  },
};
