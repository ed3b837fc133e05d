/** Whether all of very many files arrive although events are lost, and how often each is scanned. */

import { type Case, type Effort, type Figure, sized } from "../case.ts";
import { burst } from "../guest.ts";
import { inRounds } from "../rounds.ts";
import { Stage } from "../stage.ts";

async function run(effort: Effort): Promise<readonly Figure[]> {
  const count = sized(effort, { full: 20_000, quick: 5000, smoke: 100 });
  await using stage = await Stage.set({ clamd: { LogClean: "yes" } });
  const channel = await stage.channels(effort, { debounceMs: 100 });
  const scans = () => stage.clamd?.scans ?? NaN;
  const measured = await inRounds(effort, {
    ours: async (runtime) => {
      const before = scans();
      // It ends when every target has every file.
      const { seconds } = await burst(channel(runtime), { count, size: 1, perDirectory: count });
      await channel(runtime).gate.quiet(1000);
      return { seconds, more: Math.abs(scans() - before - count) };
    },
  });
  return [
    measured.figure("seconds", { title: "until all have arrived", unit: "s", bar: {} }),
    measured.figure("more", { title: "scans more than files", unit: "scans", bar: { most: 0 } }),
  ];
}

export const tinyFiles: Case = {
  name: "tiny",
  title: "20,000 files of 1 byte, default inotify limits",
  how:
    "in one directory, from the first write until every target has every one; clamd's log counts the " +
    "scans, fewer count as well as more",
  run,
};
