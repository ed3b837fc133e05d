/** Whether all of very many files arrive although events are lost, and how often each is scanned. */

import { sleep } from "../../tests/support/wait.ts";
import { type Case, type Effort, type Figure, inRounds } from "../case.ts";
import { build, numbersOf } from "../reference.ts";
import { Stage } from "../stage.ts";

async function run(effort: Effort): Promise<readonly Figure[]> {
  const files = effort.quick ? 5000 : 20_000;
  const guest = await build("guest");
  await using stage = await Stage.set({ debounceMs: 100, clamd: { LogClean: "yes" } });
  await stage.startGate(effort);
  const all = await inRounds(effort, async (round) => {
    const before = stage.clamd?.scans ?? NaN;
    // It ends when every target has every file; all of them are in one directory.
    const args = ["burst", stage.source, files, 1, files, 1 + round, ...stage.targets];
    const [, seconds = NaN] = await numbersOf(guest, args);
    await sleep(2000);
    const scans = (stage.clamd?.scans ?? NaN) - before;
    return { seconds, twice: Math.max(0, scans - files) };
  });
  return [
    { title: "until all have arrived", unit: "s", ours: all.seconds, reference: [], bar: {} },
    { title: "scans too many", unit: "scans", ours: all.twice, reference: [], bar: { most: 0 } },
  ];
}

export const tinyFiles: Case = {
  name: "tiny",
  title: "20,000 files of 1 byte, default inotify limits",
  how:
    "in one directory, from the first write until every target has every one; clamd's log counts the scans",
  run,
};
