/** How long many small files take that come at once. */

import { must } from "../../tests/support/command.ts";
import { type Case, type Effort, type Figure, inRounds } from "../case.ts";
import { build, numbersOf } from "../reference.ts";
import { addSignatures } from "../signatures.ts";
import { Stage, type StageOptions } from "../stage.ts";

const SIZE = 4096;
const FILES_A_DIRECTORY = 100;
const DEBOUNCE_MS = 100;

type Reference = (stage: Stage, folder: string) => Promise<void>;

async function clamdscan({ clamd }: Stage, folder: string): Promise<void> {
  if (clamd === undefined) throw new Error("clamd is needed");
  const config = `--config-file=${clamd.configuration}`;
  await must("clamdscan", [config, "--multiscan", "--fdpass", "--quiet", folder]);
}

async function reflinkCopies(_stage: Stage, folder: string): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await must("cp", ["--reflink=always", "-r", folder, `${folder}-${i}`]);
  }
}

async function timed(work: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await work();
  return (performance.now() - begin) / 1000;
}

async function run(
  effort: Effort,
  files: number,
  options: StageOptions,
  reference: Reference,
  ratio: number,
): Promise<readonly Figure[]> {
  const guest = await build("guest");
  await using stage = await Stage.set({ debounceMs: DEBOUNCE_MS, ...options });
  await stage.startGate(effort);
  const write = (program: string, place: string, seed: number, ...targets: string[]) =>
    numbersOf(guest, [program, place, files, SIZE, FILES_A_DIRECTORY, seed, ...targets]);
  const all = await inRounds(effort, async (round) => {
    const folder = `${stage.outside}/${2000 + round}`;
    await write("write", stage.outside, 2000 + round);
    const theirs = await timed(() => reference(stage, folder));
    const [, ours = NaN] = await write("burst", stage.source, 1 + round, ...stage.targets);
    return { ours, theirs };
  });
  return [{ title: "", unit: "s", ours: all.ours, reference: all.theirs, bar: { ratio } }];
}

const OURS =
  `10,000 files in 100 directories, from the first write until the last target has the ` +
  `last one, debounceMs ${DEBOUNCE_MS} and the writing included; `;
const CLAMDSCAN = "the reference finds as many other files already written";

export const burst: Case = {
  name: "burst",
  title: "10,000 × 4 KiB at once to 3 targets, small database",
  how: `${OURS}clamdscan --multiscan --fdpass: ${CLAMDSCAN}`,
  run: (effort) => run(effort, effort.quick ? 3000 : 10_000, {}, clamdscan, 2),
};

export const burstManySignatures: Case = {
  name: "burst-signatures",
  title: "the same with 1.5 million signatures",
  how: `${OURS}clamdscan --multiscan --fdpass: ${CLAMDSCAN}`,
  run: (effort) =>
    run(
      effort,
      effort.quick ? 1000 : 10_000,
      { prepareDatabase: addSignatures },
      clamdscan,
      1.15,
    ),
};

export const burstUnscanned: Case = {
  name: "burst-unscanned",
  title: "the same, scanning off",
  how: `${OURS}cp --reflink=always -r three times: ${CLAMDSCAN}`,
  run: (effort) => run(effort, effort.quick ? 3000 : 10_000, { scanning: false }, reflinkCopies, 2),
};
