/** What the gate takes when nothing happens, and whether it grows with what has passed. */

import { sleep } from "../../tests/support/wait.ts";
import { CannotRun, type Case, type Effort, type Figure } from "../case.ts";
import { build, numbersOf } from "../reference.ts";
import { Stage } from "../stage.ts";
import { makeDirectories } from "../trees.ts";

const WATCH_LIMIT = "/proc/sys/fs/inotify/max_user_watches";

async function idle(effort: Effort): Promise<readonly Figure[]> {
  const directories = effort.quick ? 20_000 : 100_000;
  const seconds = effort.quick ? 20 : 60;
  const limit = Number(Deno.readTextFileSync(WATCH_LIMIT));
  if (limit < directories) throw new CannotRun(`fs.inotify.max_user_watches is ${limit}`);
  // One share: what the gate makes in others would be watched as well.
  await using stage = await Stage.set({ producers: ["ann"], debounceMs: 1000 });
  effort.say(`making ${directories} directories`);
  await makeDirectories(stage.source, directories);
  const first = await stage.startGate({ runtime: effort.runtime });
  effort.say("waiting until the export has them");
  for (let before = NaN, now = first.cpuSeconds(); now !== before;) {
    await sleep(3000);
    before = now;
    now = first.cpuSeconds();
  }
  const afterMaking = first.memoryMiB();
  await first.stop();
  const gate = await stage.startGate({ runtime: effort.runtime });
  await sleep(15_000);
  const memory: number[] = [];
  const cpu: number[] = [];
  for (let round = 0; round < effort.rounds; round++) {
    effort.say(`round ${round + 1} of ${effort.rounds}`);
    const before = gate.cpuSeconds();
    await sleep(seconds * 1000);
    cpu.push((gate.cpuSeconds() - before) / seconds * 100);
    memory.push(gate.memoryMiB());
  }
  return [
    { title: "processor", unit: "%", ours: cpu, reference: [], bar: { most: 0.1 } },
    { title: "RSS", unit: "MiB", ours: memory, reference: [], bar: { most: 100 } },
    {
      title: "RSS of the process that made them in the export",
      unit: "MiB",
      ours: [afterMaking],
      reference: [],
      bar: {},
    },
  ];
}

async function manyFiles(effort: Effort): Promise<readonly Figure[]> {
  const batches = effort.quick ? 6 : 100;
  const batch = 10_000;
  const guest = await build("guest");
  await using stage = await Stage.set({ debounceMs: 100 });
  const gate = await stage.startGate(effort);
  /** After a rest, the least of some looks: garbage is collected when it pleases. */
  const rest = async () => {
    const looks: number[] = [];
    for (let i = 0; i < 10; i++) {
      await sleep(1000);
      looks.push(gate.memoryMiB());
    }
    return Math.min(...looks);
  };
  let early = NaN;
  for (let i = 1; i <= batches; i++) {
    effort.say(`${i * batch} files`);
    await numbersOf(guest, ["burst", stage.source, batch, 4096, 100, i, ...stage.targets]);
    await Deno.remove(`${stage.source}/${i}`, { recursive: true });
    if (i === 1) early = await rest();
  }
  return [{
    title: `RSS after ${batches * batch} files`,
    unit: "MiB",
    ours: [await rest()],
    reference: [early],
    bar: { ratio: 1.2 },
  }];
}

export const idleCost: Case = {
  name: "idle",
  title: "idle over 100,000 directories",
  how: "one share and the export, started again over the unchanged tree, debounceMs 1000",
  run: idle,
};

export const memoryGrowth: Case = {
  name: "memory",
  title: "memory after 1,000,000 files have passed",
  how:
    "10,000 files at a time, written, published to 3 targets and deleted again, beside the memory " +
    "after the first 10,000",
  run: manyFiles,
};
