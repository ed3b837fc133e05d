/** How long one file takes when nothing else happens. */

import { type Case, type Effort, type Figure, inRounds } from "../case.ts";
import { build, numbersOf } from "../reference.ts";
import { Stage } from "../stage.ts";
import { median, percentile } from "../statistics.ts";

const SIZE = 4096;
const DEBOUNCE_MS = 50;
/** Between two files: all of the first one's echoes have passed. */
const PAUSE_MS = 20;

async function run(effort: Effort): Promise<readonly Figure[]> {
  const [guest, publish] = [await build("guest"), await build("publish")];
  const files = effort.quick ? 50 : 200;
  await using stage = await Stage.set({ debounceMs: DEBOUNCE_MS });
  const clamd = stage.clamd?.socket ?? "-";
  const places = ["staging", "source", "one", "two", "three"].map((n) => `${stage.outside}/${n}`);
  for (const place of places) await Deno.mkdir(place);
  await stage.startGate(effort);
  const latency = async (seed: number) =>
    (await numbersOf(guest, [
      "single",
      stage.source,
      files,
      SIZE,
      PAUSE_MS,
      seed,
      ...stage.targets,
    ])).map((us) => us / 1000 - DEBOUNCE_MS);
  await latency(1000); // warms up
  const [staging = "", source = "", ...targets] = places;
  const all = await inRounds(effort, async (round) => {
    const reference = (await numbersOf(publish, [
      staging,
      source,
      clamd,
      files,
      SIZE,
      2000 + round,
      ...targets,
    ])).map((us) => us / 1000);
    const ours = await latency(1 + round);
    return {
      p50: median(ours),
      p99: percentile(ours, 99),
      p50Reference: median(reference),
      p99Reference: percentile(reference, 99),
    };
  });
  return [
    {
      title: "p50",
      unit: "ms",
      ours: all.p50,
      reference: all.p50Reference,
      bar: { ratio: 3, most: 2 },
    },
    { title: "p99", unit: "ms", ours: all.p99, reference: all.p99Reference, bar: { most: 10 } },
  ];
}

export const singleFile: Case = {
  name: "single",
  title: "one 4 KiB file, idle: close to visible in the last of 3 targets",
  how:
    `debounceMs ${DEBOUNCE_MS}, subtracted; one file at a time, beside a C program that makes the ` +
    "same system calls and one FILDES scan in a session",
  run,
};
