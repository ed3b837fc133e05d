/** How long a directory takes that a guest renames, with all that is in it. */

import { type Case, type Effort, type Figure, sized } from "../case.ts";
import { burst, move, smallFiles, write } from "../guest.ts";
import { inRounds } from "../rounds.ts";
import { Stage } from "../stage.ts";
import { reflinkCopies } from "./burst.ts";

const DEBOUNCE_MS = 20;

async function run(effort: Effort): Promise<readonly Figure[]> {
  const count = sized(effort, { full: 10_000, quick: 3000, smoke: 200 });
  await using stage = await Stage.set({ sizeMiB: 8192 });
  const channel = await stage.channels(effort, { debounceMs: DEBOUNCE_MS });
  const measured = await inRounds(effort, {
    reference: async () => {
      const folder = await write(stage.outside, smallFiles(count));
      return { renamed: 1000 * await reflinkCopies(stage, folder) };
    },
    ours: async (runtime) => {
      const here = channel(runtime);
      const { name } = await burst(here, smallFiles(count));
      await here.gate.quiet();
      const renamed = await move(here, `${here.source}/${name}`, `${name}-renamed`);
      for (const target of here.targets) {
        if (filesIn(`${target}/${name}-renamed`) !== count) throw new Error(`partial: ${target}`);
      }
      await here.gate.quiet();
      return { renamed };
    },
  });
  return [measured.figure("renamed", { title: "", unit: "ms", bar: {} })];
}

function filesIn(directory: string): number {
  let files = 0;
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    files += isDirectory ? filesIn(`${directory}/${name}`) : 1;
  }
  return files;
}

export const renamedDirectory: Case = {
  name: "renamed",
  title: "a directory of 10,000 × 4 KiB, renamed by one guest",
  how: `until the last of 3 targets has it under its new name, whole, beyond debounceMs ` +
    `${DEBOUNCE_MS}, beside cp --reflink=always -r three times over as many other files: ` +
    `what it would take at least to make it anew`,
  run,
};
