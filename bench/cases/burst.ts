/** How long many small files take that come at once. */

import { type Case, type Effort, type Figure, type Runtime, sized } from "../case.ts";
import { burst as burstInto, smallFiles, write } from "../guest.ts";
import { inRounds, warmUp } from "../rounds.ts";
import { addSignatures } from "../signatures.ts";
import { Stage, type StageOptions } from "../stage.ts";
import { secondsOf } from "../timed.ts";

const DEBOUNCE_MS = 100;

/** Seconds for what lies in `folder`. */
type Reference = (stage: Stage, folder: string) => Promise<number>;

async function clamdscan({ clamd }: Stage, folder: string): Promise<number> {
  if (clamd === undefined) throw new Error("clamd is needed");
  const config = `--config-file=${clamd.configuration}`;
  return await secondsOf("clamdscan", [config, "--multiscan", "--fdpass", "--quiet", folder]);
}

export async function reflinkCopies(_stage: Stage, folder: string): Promise<number> {
  let seconds = 0;
  for (let i = 0; i < 3; i++) {
    seconds += await secondsOf("cp", ["--reflink=always", "-r", folder, `${folder}-${i}`]);
  }
  return seconds;
}

async function run(
  effort: Effort,
  count: number,
  options: StageOptions,
  seconds: Reference,
  ratio: number,
): Promise<readonly Figure[]> {
  await using stage = await Stage.set({ sizeMiB: 8192, ...options });
  const channel = await stage.channels(effort, { debounceMs: DEBOUNCE_MS });
  const contest = (files: number) => ({
    reference: async () => ({
      all: await seconds(stage, await write(stage.outside, smallFiles(files))),
    }),
    ours: async (runtime: Runtime) => {
      const { seconds } = await burstInto(channel(runtime), smallFiles(files));
      await channel(runtime).gate.quiet();
      return { all: seconds };
    },
  });
  await warmUp(effort, contest(count / 4));
  const measured = await inRounds(effort, contest(count));
  return [measured.figure("all", { title: "", unit: "s", bar: { ratio } })];
}

const OURS =
  `100 files a directory, from the first write until the last target has the last one, debounceMs ` +
  `${DEBOUNCE_MS} and the writing included; `;
const OTHERS = "over as many other files of that kind, already written";

export const burst: Case = {
  name: "burst",
  title: "10,000 × 4 KiB burst to 2 producers + export, tiny database",
  how: `${OURS}clamdscan --multiscan --fdpass ${OTHERS} (clamd remembers what it has seen)`,
  run: (effort) =>
    run(effort, sized(effort, { full: 10_000, quick: 3000, smoke: 100 }), {}, clamdscan, 2),
};

export const burstManySignatures: Case = {
  name: "burst-signatures",
  title: "the same burst, 1.5 million signatures",
  how: `${OURS}clamdscan --multiscan --fdpass ${OTHERS}`,
  jitlessRounds: 2,
  run: (effort) =>
    run(
      effort,
      sized(effort, { full: 10_000, quick: 1000, smoke: 100 }),
      { prepareDatabase: (folder) => addSignatures(folder, effort.size === "smoke" ? 100 : 1) },
      clamdscan,
      1.15,
    ),
};

export const burstUnscanned: Case = {
  name: "burst-unscanned",
  title: "the same burst, scanning off",
  how: `${OURS}cp --reflink=always -r three times ${OTHERS}`,
  run: (effort) =>
    run(
      effort,
      sized(effort, { full: 10_000, quick: 3000, smoke: 100 }),
      { scanning: false },
      reflinkCopies,
      2,
    ),
};
