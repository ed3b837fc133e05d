/** What the gate takes when nothing happens, and whether it grows with what has passed. */

import { sleep } from "../../tests/support/wait.ts";
import { type Case, type Effort, type Figure, type Runtime, runtimesOf, sized } from "../case.ts";
import { burst, smallFiles } from "../guest.ts";
import { inRounds } from "../rounds.ts";
import { Stage } from "../stage.ts";
import { makeDirectories, needWatches } from "../trees.ts";

async function idle(effort: Effort): Promise<readonly Figure[]> {
  const directories = sized(effort, { full: 100_000, quick: 20_000, smoke: 100 });
  const seconds = sized(effort, { full: 15, quick: 10, smoke: 1 });
  needWatches(directories);
  // One share: what the gate makes in others would be watched as well.
  await using stage = await Stage.set();
  const options = { producers: ["ann"], debounceMs: 1000 };
  const channel = await stage.channel("jit", options);
  effort.say(`making ${directories} directories`);
  await makeDirectories(channel.source, directories);
  const first = await channel.start();
  effort.say("waiting until the export has them");
  await first.quiet(2000);
  const afterMaking = first.memoryMiB();
  await first.stop();
  const measure = async (runtime: Runtime) => {
    const here = runtime === "jit" ? channel : stage.runtimeOn(channel, runtime);
    const gate = await here.start();
    await gate.quiet(5000);
    const looks = await inRounds(
      { ...effort, rounds: { jit: effort.rounds[runtime], jitless: 0 } },
      {
        ours: async () => {
          const before = gate.cpuSeconds();
          await sleep(seconds * 1000);
          const cpu = (gate.cpuSeconds() - before) / seconds * 100;
          return { cpu, memory: gate.memoryMiB() };
        },
      },
    );
    await gate.stop();
    return looks;
  };
  const jit = await measure("jit");
  const jitless = effort.rounds.jitless > 0 ? await measure("jitless") : undefined;
  const figure = (name: string, ...head: [title: string, unit: "%" | "MiB", most: number]) => {
    const [title, unit, most] = head;
    const own = jit.figure(name, { title, unit, bar: { most } });
    return { ...own, jitless: jitless?.figure(name, own).ours ?? [] };
  };
  return [
    figure("cpu", "CPU", "%", 0.1),
    figure("memory", "RSS", "MiB", 100),
    {
      title: "RSS of the process that made them in the export",
      unit: "MiB",
      ours: [afterMaking],
      reference: [],
      jitless: [],
      bar: {},
    },
  ];
}

const BATCH = 10_000;

/** On a slow machine there are fewer files: the figure tells how many. */
const MOST_MINUTES = 7;

/** RSS after the first batch of files and after the last. */
async function memoryAfter(
  effort: Effort,
  runtime: Runtime,
  batches: number,
  batch: number,
): Promise<{ readonly early: number; readonly late: number; readonly passed: number }> {
  await using stage = await Stage.set();
  const channel = await stage.channel(runtime, { producers: ["ann", "bob"] });
  const gate = await channel.start();
  const looks = sized(effort, { full: 30, quick: 30, smoke: 1 });
  /** The least of some looks: garbage is collected when the gate has rested for some seconds. */
  const rest = async () => {
    await gate.quiet();
    let least = Infinity;
    for (let i = 0; i < looks; i++) {
      await sleep(500);
      least = Math.min(least, gate.memoryMiB());
    }
    return least;
  };
  let early = NaN;
  let passed = 0;
  let before: string | undefined;
  const until = performance.now() + MOST_MINUTES * 60_000;
  for (let i = 1; i <= batches && performance.now() < until; i++) {
    if (i % 10 === 1) effort.say(`${runtime}: ${i * batch} files`);
    const { name } = await burst(channel, smallFiles(batch));
    // The deletion of one batch travels while the next one is written.
    if (before !== undefined) await Deno.remove(before, { recursive: true });
    before = `${channel.source}/${name}`;
    passed += batch;
    if (i === 1) early = await rest();
  }
  return { early, late: await rest(), passed };
}

async function manyFiles(effort: Effort): Promise<readonly Figure[]> {
  const batches = sized(effort, { full: 100, quick: 6, smoke: 3 });
  const batch = sized(effort, { full: BATCH, quick: BATCH, smoke: 100 });
  const figures: Figure[] = [];
  for (const runtime of runtimesOf(effort)) {
    // Ten times as long would not tell more than that of the other.
    const count = runtime === "jit" ? batches : Math.ceil(batches / 20);
    const { early, late, passed } = await memoryAfter(effort, runtime, count, batch);
    const title = `RSS after ${passed} files${runtime === "jit" ? "" : ", jitless"}`;
    const bar = { ratio: 1.2 };
    figures.push({ title, unit: "MiB", ours: [late], reference: [early], jitless: [], bar });
  }
  return figures;
}

export const idleCost: Case = {
  name: "idle",
  title: "idle over 100,000 directories",
  how: "one share and the export, started again over the unchanged tree, debounceMs 1000",
  jitlessRounds: 2,
  run: idle,
};

export const memoryGrowth: Case = {
  name: "memory",
  title: "memory after 1,000,000 files have passed",
  how:
    "10,000 files at a time, written, scanned, published to a share and the export and deleted again; " +
    "the reference is the memory of the same process after the first 10,000; one run",
  patienceMinutes: 15,
  run: manyFiles,
};
