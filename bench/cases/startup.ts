/** How long the gate needs until it is ready where nothing has changed. */

import { type Case, type Effort, type Figure, sized } from "../case.ts";
import { burst } from "../guest.ts";
import { inRounds } from "../rounds.ts";
import { Stage } from "../stage.ts";
import { secondsOf } from "../timed.ts";

async function run(effort: Effort): Promise<readonly Figure[]> {
  const count = sized(effort, { full: 100_000, quick: 20_000, smoke: 200 });
  await using stage = await Stage.set({ sizeMiB: 8192, clamd: { LogClean: "yes" } });
  const channel = await stage.channel("jit");
  effort.say(`making ${count} files in each of 4 places`);
  const first = await channel.start({ scanning: false });
  await burst(channel, { count, size: 1, perDirectory: 100 });
  await first.quiet();
  await first.stop();
  const jitless = stage.runtimeOn(channel, "jitless");
  const scans = () => stage.clamd?.scans ?? NaN;
  const before = scans();
  const places = [channel.source, ...channel.targets];
  const find = () => secondsOf("find", [...places, "-printf", "%T@ %s\n"]);
  await find(); // both find everything in the page cache
  const measured = await inRounds(effort, {
    reference: async () => ({ ready: await find() }),
    ours: async (runtime) => {
      const here = runtime === "jit" ? channel : jitless;
      const gate = await here.start();
      await gate.stop();
      return { ready: gate.readySeconds };
    },
  });
  const none = { reference: [], jitless: [] };
  return [
    measured.figure("ready", { title: "", unit: "s", bar: { ratio: 2 } }),
    { title: "scans in all", unit: "scans", ours: [scans() - before], bar: { most: 0 }, ...none },
  ];
}

export const startup: Case = {
  name: "startup",
  title: "startup, 100,000 unchanged files in each of 3 shares + export",
  how:
    "from the start of the process to READY=1, beside find -printf '%T@ %s' over the same trees; " +
    "both with a warm page cache",
  jitlessRounds: 2,
  run,
};
