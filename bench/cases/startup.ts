/** How long the gate needs until it is ready where nothing has changed. */

import { must } from "../../tests/support/command.ts";
import { type Case, type Effort, type Figure, inRounds } from "../case.ts";
import { build, numbersOf } from "../reference.ts";
import { Stage } from "../stage.ts";

const FILES_A_DIRECTORY = 100;

async function run(effort: Effort): Promise<readonly Figure[]> {
  const files = effort.quick ? 20_000 : 100_000;
  const guest = await build("guest");
  await using stage = await Stage.set({ sizeMiB: 8192, clamd: { LogClean: "yes" } });
  effort.say(`making ${files} files in each of 4 places`);
  const first = await stage.startGate({ runtime: [] }, { scanning: false });
  await numbersOf(guest, [
    "burst",
    stage.source,
    files,
    1,
    FILES_A_DIRECTORY,
    1,
    ...stage.targets,
  ]);
  await first.stop();
  const scans = stage.clamd?.scans ?? NaN;
  const places = [stage.source, ...stage.targets];
  const find = () => must("find", [...places, "-printf", "%T@ %s\n"]);
  await find(); // both find everything in the page cache
  const all = await inRounds(effort, async () => {
    const begin = performance.now();
    await find();
    const theirs = (performance.now() - begin) / 1000;
    const gate = await stage.startGate(effort);
    await gate.stop();
    return { ours: gate.readySeconds, theirs };
  });
  return [
    { title: "", unit: "s", ours: all.ours, reference: all.theirs, bar: { ratio: 2 } },
    {
      title: "scans meanwhile",
      unit: "scans",
      ours: [(stage.clamd?.scans ?? NaN) - scans],
      reference: [],
      bar: { most: 0 },
    },
  ];
}

export const startup: Case = {
  name: "startup",
  title: "startup, 100,000 unchanged files in each of 3 shares and export",
  how:
    "from the start of the process to READY=1, beside find -printf '%T@ %s' over the same trees; " +
    "both with a warm page cache",
  run,
};
