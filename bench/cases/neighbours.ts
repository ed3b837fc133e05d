/** What a large file, and a flood of small ones, cost the small files beside them (I7). */

import { must } from "../../tests/support/command.ts";
import { sleep } from "../../tests/support/wait.ts";
import { type Case, type Effort, type Figure, inRounds } from "../case.ts";
import { build, numbersOf } from "../reference.ts";
import { Stage } from "../stage.ts";
import { median, percentile } from "../statistics.ts";

const SIZE = 4096;
const DEBOUNCE_MS = 50;
const PAUSE_MS = 20;

/** Milliseconds beyond the debounce that files of one share take, one after the other. */
async function latencies(stage: Stage, share: string, files: number, seed: number) {
  const targets = stage.producers.map((name) => stage.share(name)).filter((path) => path !== share);
  const args = [
    "single",
    share,
    files,
    SIZE,
    PAUSE_MS,
    seed,
    ...targets,
    `${stage.basePath}/export`,
  ];
  const all = await numbersOf(await build("guest"), args);
  return all.map((us) => us / 1000 - DEBOUNCE_MS);
}

async function besideLargeFile(effort: Effort): Promise<readonly Figure[]> {
  const sizeMiB = effort.quick ? 256 : 1024;
  const files = effort.quick ? 50 : 150;
  await using stage = await Stage.set({
    debounceMs: DEBOUNCE_MS,
    sizeMiB: 8192,
    clamd: { MaxFileSize: "2000M", MaxScanSize: "2000M" },
  });
  await stage.startGate(effort);
  const share = stage.share("bob");
  await latencies(stage, share, 50, 1000); // warms up
  const all = await inRounds(effort, async (round) => {
    const alone = await latencies(stage, share, files, 2000 + round);
    const large = `${stage.source}/large-${round}`;
    const writing = must("dd", [
      "if=/dev/urandom",
      `of=${large}`,
      "bs=1M",
      `count=${sizeMiB}`,
      "status=none",
    ]);
    const beside = await latencies(stage, share, files, 3000 + round);
    await writing;
    while (!has(`${stage.basePath}/export/large-${round}`)) {
      beside.push(...await latencies(stage, share, 10, round * 100_000 + beside.length));
    }
    await Deno.remove(large);
    await sleep(1000);
    return {
      p99: percentile(beside, 99),
      p99Alone: percentile(alone, 99),
      p50: median(beside),
      p50Alone: median(alone),
    };
  });
  return [
    { title: "p99", unit: "ms", ours: all.p99, reference: all.p99Alone, bar: { ratio: 2 } },
    { title: "p50", unit: "ms", ours: all.p50, reference: all.p50Alone, bar: {} },
  ];
}

async function besideFlood(effort: Effort): Promise<readonly Figure[]> {
  const flood = effort.quick ? 10_000 : 50_000;
  const guest = await build("guest");
  await using stage = await Stage.set({ debounceMs: DEBOUNCE_MS });
  await stage.startGate(effort);
  const share = stage.share("bob");
  await latencies(stage, share, 50, 1000);
  const all = await inRounds(effort, async (round) => {
    const alone = await latencies(stage, share, 30, 2000 + round);
    let flooding = true;
    const flooded = numbersOf(guest, [
      "burst",
      stage.source,
      flood,
      SIZE,
      100,
      4000 + round,
      ...stage.targets,
    ]).finally(() => flooding = false);
    await sleep(500); // the gate has begun
    const beside: number[] = [];
    while (flooding) {
      beside.push(...await latencies(stage, share, 1, round * 100_000 + beside.length));
    }
    await flooded;
    for (const place of [stage.source]) {
      await Deno.remove(`${place}/${4000 + round}`, { recursive: true });
    }
    await sleep(5000);
    return { beside: median(beside.slice(0, -1)), alone: median(alone) };
  });
  return [{
    title: "p50",
    unit: "ms",
    ours: all.beside,
    reference: all.alone,
    bar: { ratio: 3 },
  }];
}

function has(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false; // not yet
  }
}

export const smallBesideLarge: Case = {
  name: "beside-large",
  title: "small files beside a 1 GiB file being written, cloned, scanned",
  how:
    `4 KiB files of another guest, one after the other, beyond debounceMs ${DEBOUNCE_MS}, until the ` +
    "large one has arrived, beside the same alone",
  run: besideLargeFile,
};

export const smallBesideFlood: Case = {
  name: "beside-flood",
  title: "one guest floods 50,000 files; another guest's single file",
  how:
    `beyond debounceMs ${DEBOUNCE_MS}, while the flood is written and dealt with, beside the same file alone`,
  run: besideFlood,
};
