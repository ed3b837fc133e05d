/** How long one file takes when nothing else happens. */

import { type Case, type Effort, type Figure, sized } from "../case.ts";
import { latencies } from "../guest.ts";
import { MinimalPublisher } from "../minimal_publisher.ts";
import { type Contest, inRounds, type Sample, warmUp } from "../rounds.ts";
import { Stage } from "../stage.ts";
import { median, percentile } from "../statistics.ts";

const DEBOUNCE_MS = 20;

async function run(effort: Effort): Promise<readonly Figure[]> {
  const files = sized(effort, { full: 250, quick: 100, smoke: 5 });
  await using stage = await Stage.set();
  const channel = await stage.channels(effort, { debounceMs: DEBOUNCE_MS });
  const minimal = await MinimalPublisher.prepare(stage, DEBOUNCE_MS);
  const summary = (ms: readonly number[]): Sample => ({ p50: median(ms), p99: percentile(ms, 99) });
  const contest = (files: number): Contest => ({
    reference: async () => summary(await minimal.latencies(files)),
    ours: async (runtime) => summary(await latencies(channel(runtime), files)),
  });
  await warmUp(effort, contest(files / 5));
  const measured = await inRounds(effort, contest(files));
  return [
    measured.figure("p50", { title: "p50", unit: "ms", bar: { ratio: 3, most: 2 } }),
    measured.figure("p99", { title: "p99", unit: "ms", bar: { most: 10 } }),
  ];
}

export const singleFile: Case = {
  name: "single",
  title: "one 4 KiB file, idle: close to visible in the last of 3 targets",
  how:
    `beyond debounceMs ${DEBOUNCE_MS}; one file at a time, beside a C program that makes the same ` +
    "system calls and one FILDES scan in a session, and waits as long before and between; each " +
    "figure is that of one round's 250 files",
  run,
};
