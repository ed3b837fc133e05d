/** How long a large file takes that is only cloned. */

import { must } from "../../tests/support/command.ts";
import { type Case, type Effort, type Figure, sized } from "../case.ts";
import { move } from "../guest.ts";
import { inRounds } from "../rounds.ts";
import { Stage } from "../stage.ts";
import { secondsOf } from "../timed.ts";

const DEBOUNCE_MS = 20;

async function run(effort: Effort): Promise<readonly Figure[]> {
  const sizeMiB = sized(effort, { full: 1024, quick: 1024, smoke: 16 });
  await using stage = await Stage.set({ scanning: false, sizeMiB: 8192 });
  const channel = await stage.channels(effort, { debounceMs: DEBOUNCE_MS });
  const file = `${stage.outside}/file`;
  /** A file whose content is on the disk already. */
  const make = () =>
    must("dd", [
      "if=/dev/zero",
      `of=${file}`,
      "bs=1M",
      `count=${sizeMiB}`,
      "conv=fsync",
      "status=none",
    ]);
  const measured = await inRounds(effort, {
    reference: async () => {
      await make();
      const seconds = await secondsOf("cp", ["--reflink=always", file, `${file}-copy`]);
      await Deno.remove(file);
      await Deno.remove(`${file}-copy`);
      return { arrived: seconds * 1000 };
    },
    ours: async (runtime, round) => {
      await make();
      const here = channel(runtime);
      const arrived = await move(here, file, `${round}`);
      const sizes = here.targets.map((target) => Deno.lstatSync(`${target}/${round}`).size);
      if (sizes.some((size) => size !== sizeMiB * 2 ** 20)) throw new Error(`partial: ${sizes}`);
      await Deno.remove(`${here.source}/${round}`);
      await here.gate.quiet();
      return { arrived };
    },
  });
  return [measured.figure("arrived", { title: "", unit: "ms", bar: { ratio: 1.5, plus: 50 } })];
}

export const largeFile: Case = {
  name: "large",
  title: "1 GiB file, scanning off, page cache clean",
  how: `moved into the share, until the last of 3 targets has it, beyond debounceMs ` +
    `${DEBOUNCE_MS}, beside one cp --reflink=always`,
  run,
};
