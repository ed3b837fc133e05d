/** What a large file, and a flood of small ones, cost the small files beside them (I7). */

import { marked } from "../../tests/support/command.ts";
import { type Case, type Effort, type Figure, sized } from "../case.ts";
import type { Channel } from "../channel.ts";
import { burst, latencies, smallFiles } from "../guest.ts";
import { MinimalPublisher } from "../minimal_publisher.ts";
import { inRounds, type Sample } from "../rounds.ts";
import { Stage } from "../stage.ts";
import { median, percentile } from "../statistics.ts";
import { sleep } from "../../tests/support/wait.ts";

const DEBOUNCE_MS = 20;
/** The guest whose small files are looked at; the first one is the other. */
const NEIGHBOUR = "bob";
const FILES_A_LOOK = 5;

function summary(alone: readonly number[], beside: readonly number[]): Sample {
  return {
    p50: median(beside),
    p50Alone: median(alone),
    p99: percentile(beside, 99),
    p99Alone: percentile(alone, 99),
    files: beside.length,
  };
}

/** What `latencies` finds, again and again, for as long as `disturbance` lasts. */
async function during(
  disturbance: Promise<unknown>,
  latencies: () => Promise<readonly number[]>,
): Promise<number[]> {
  const beside: number[] = [];
  let lasts = true;
  const end = disturbance.finally(() => lasts = false);
  while (lasts) beside.push(...await latencies());
  await end;
  return beside;
}

/** Writes a file of random bytes into the channel and waits until the export has it. */
async function largeFile(channel: Channel, name: string, sizeMiB: number): Promise<void> {
  const writing = new Deno.Command("dd", {
    args: ["if=/dev/urandom", `of=${channel.source}/${name}`, "bs=1M", `count=${sizeMiB}`],
    env: marked(),
    stdout: "null",
    stderr: "null",
  });
  if (!(await writing.output()).success) throw new Error("dd failed");
  const begin = performance.now();
  while (!has(`${channel.basePath}/export/${name}`)) {
    if (performance.now() - begin > 300_000) {
      throw new Error(`the large file did not arrive:\n${channel.gate.log.slice(-2000)}`);
    }
    await sleep(20);
  }
}

function has(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false; // not yet
  }
}

async function besideLargeFile(effort: Effort): Promise<readonly Figure[]> {
  const sizeMiB = sized(effort, { full: 1024, quick: 256, smoke: 32 });
  const files = sized(effort, { full: 200, quick: 60, smoke: 5 });
  await using stage = await Stage.set({
    sizeMiB: 8192,
    clamd: { MaxFileSize: "2000M", MaxScanSize: "2000M", MaxScanTime: 0 },
  });
  const channel = await stage.channels(effort, { debounceMs: DEBOUNCE_MS });
  const minimal = await MinimalPublisher.prepare(stage, DEBOUNCE_MS);
  const measured = await inRounds(effort, {
    ours: async (runtime, round) => {
      const here = channel(runtime);
      const share = here.share(NEIGHBOUR);
      if (round === 0) await latencies(here, files, share); // warms up
      const measure = async (latencies: (files: number) => Promise<readonly number[]>) => {
        const alone = await latencies(files);
        const large = `large-${round}`;
        const passing = largeFile(here, large, sizeMiB);
        const beside = await during(passing, () => latencies(FILES_A_LOOK));
        await Deno.remove(`${here.source}/${large}`);
        await here.gate.quiet();
        return summary(alone, beside);
      };
      const ours = await measure((files) => latencies(here, files, share));
      const { p99: minimalP99 = NaN, p99Alone: minimalP99Alone = NaN } = await measure((files) =>
        minimal.latencies(files)
      );
      return { ...ours, minimalP99, minimalP99Alone };
    },
  });
  return [
    measured.figure("p99", { title: "p99", unit: "ms", bar: { ratio: 2 } }, "p99Alone"),
    measured.figure("p50", { title: "p50", unit: "ms", bar: {} }, "p50Alone"),
    measured.figure(
      "minimalP99",
      { title: "p99 of a C program that publishes in the gate's place", unit: "ms", bar: {} },
      "minimalP99Alone",
    ),
  ];
}

async function besideFlood(effort: Effort): Promise<readonly Figure[]> {
  const flood = sized(effort, { full: 50_000, quick: 10_000, smoke: 500 });
  const files = sized(effort, { full: 50, quick: 30, smoke: 5 });
  await using stage = await Stage.set({ sizeMiB: 12_288 });
  const channel = await stage.channels(effort, { debounceMs: DEBOUNCE_MS });
  const measured = await inRounds(effort, {
    ours: async (runtime, round) => {
      const here = channel(runtime);
      const share = here.share(NEIGHBOUR);
      if (round === 0) await latencies(here, files, share); // warms up
      const alone = await latencies(here, files, share);
      const flooding = burst(here, smallFiles(flood));
      const beside = await during(flooding, () => latencies(here, 1, share));
      await here.gate.quiet();
      // The first met an idle gate perhaps, and the last one outlived the flood.
      return summary(alone, beside.length > 2 ? beside.slice(1, -1) : beside);
    },
  });
  return [
    measured.figure("p50", { title: "p50", unit: "ms", bar: { ratio: 3 } }, "p50Alone"),
    measured.figure("p99", { title: "p99", unit: "ms", bar: {} }, "p99Alone"),
  ];
}

export const smallBesideLarge: Case = {
  name: "beside-large",
  title: "small files beside a 1 GiB file being written, cloned, scanned",
  how:
    `4 KiB files of another guest, one after the other, beyond debounceMs ${DEBOUNCE_MS}, from ` +
    "the large file's first byte until the export has it, beside 200 such files alone",
  jitlessRounds: 2,
  run: besideLargeFile,
};

export const smallBesideFlood: Case = {
  name: "beside-flood",
  title: "one guest floods 50,000 files; another guest's single file",
  how:
    `beyond debounceMs ${DEBOUNCE_MS}, one file after the other while the flood is written and ` +
    "dealt with, beside the same file alone",
  jitlessRounds: 1,
  run: besideFlood,
};
