/**
 * One guest floods its share; another one writes a file now and then. Each of these arrives while next to nothing of the
 * flood does (I7), the daemon's memory stays small, and in the end the flood has arrived, too (I3, I6).
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { onEachFilesystem } from "../support/fixture.ts";
import type { Share } from "../support/share.ts";
import { PATIENCE_MS, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";
import { report } from "./support/size.ts";
import { NIGHTLY } from "../support/size.ts";

interface Flood {
  readonly what: string;
  readonly count: number;
  /** Makes `$N` things below `$D`, which is there. */
  readonly script: string;
}

const FLOODS: readonly Flood[] = [
  {
    what: "empty files",
    count: NIGHTLY ? 100_000 : 6000,
    script: "cd $D; seq $N | xargs -n 2000 touch",
  },
  {
    what: "files with content",
    count: NIGHTLY ? 100_000 : 3000,
    script: "cd $D; for i in $(seq $N); do echo $i > $i; done",
  },
  {
    what: "directories",
    count: NIGHTLY ? 100_000 : 12_000,
    script: "cd $D; seq $N | xargs -n 2000 mkdir",
  },
  {
    what: "files in a hundred directories",
    count: NIGHTLY ? 100_000 : 2000,
    script:
      "cd $D; seq 100 | xargs mkdir; for i in $(seq $N); do echo $i > $((i % 100 + 1))/f$i; done",
  },
  {
    what: "names of one file, which is written to",
    count: NIGHTLY ? 3000 : 1000,
    script: "cd $D; echo 1 > 0; for i in $(seq $((N - 1))); do ln 0 $i; done; echo 2 >> 0",
  },
  {
    what: "directories in each other",
    count: NIGHTLY ? 4000 : 1200, // deeper ones are not followed
    script: "cd $D; for i in $(seq $N); do mkdir d; cd -P d; done",
  },
];

/** Files in a directory that is renamed: each is a new name to be scanned, and an old one to be removed. */
const RENAMED = NIGHTLY ? 60_000 : 8000;

/** Files of the other guest while the flood is on its way. */
const PROBES = 5;
/** Directories of its own that it renames. */
const RENAMES = 3;
/**
 * The part of a flood that may arrive while one file does: in turn with it comes what its own way takes, and what
 * its quiet time lets by. So a flood must be long beside that.
 */
const MOST_AT_ONCE = 0.15;
/** While a renamed directory does: it has several quiet times. */
const MOST_AT_A_RENAME = 0.3;
const MOST_MEMORY_MIB = 400;

onEachFilesystem(
  "floods",
  (kind) => World.start(kind, { channels: { docs: {} }, filesystem: { sizeMiB: 4096 } }),
  (test, kind) => {
    for (const [number, { what, count, script }] of FLOODS.entries()) {
      test(`I7: ${count} ${what} of one guest let another's file pass`, async (world) => {
        const { ann, bob, cid } = sharesOf(world);
        const folder = `flood-${number}`;
        const arrived = () => countBelow(cid.at(folder));
        const writing = ann.shell(`D=${folder}; N=${count}; mkdir $D; ${script}`);
        await waitFor("the flood comes", () => arrived() > 0);
        const passed = await probe(PROBES, count, arrived, async (probe) => {
          const name = `file-${number}-${probe}`;
          await bob.write(name, name);
          await waitFor("another guest's file arrives", () => cid.has(name));
        });
        await writing;
        report(`flood on ${kind}: ${count} ${what}: passed by ${passed.join(", ")}`);
        assertPassed(passed, PROBES, MOST_AT_ONCE * count);
        await arrival(count, arrived);
        const memory = world.gate.memoryMiB();
        assert(memory < MOST_MEMORY_MIB, `${Math.round(memory)} MiB`);
        // The next flood begins on an empty stage.
        await ann.shell(`rm -rf ${folder}`);
        await waitFor("it goes again", () => !cid.has(folder), PATIENCE_MS + 20 * count);
      });
    }

    test(`I7: ${RENAMED} files that one guest renames let another's renamed file pass`, async (world) => {
      const { ann, bob, cid } = sharesOf(world);
      const probes = Array.from({ length: RENAMES }, (_, number) => `probe-${number}`);
      await ann.shell(`mkdir many; cd many; seq ${RENAMED} | xargs -n 2000 touch`);
      for (const name of probes) await bob.write(`${name}/file`, name);
      await arrival(RENAMED, () => countBelow(cid.at("many")));
      await waitFor("the other's arrive", () => probes.every((name) => cid.has(`${name}/file`)));

      const arrived = () => countBelow(cid.at("renamed"));
      // In two steps, so that the others' directories are not renamed with it.
      await ann.shell("mv many on-its-way; mv on-its-way renamed");
      await waitFor("the flood comes", () => arrived() > 0);
      const passed = await probe(RENAMES, RENAMED, arrived, async (number) => {
        const name = probes[number];
        await bob.shell(`mv ${name} ${name}-renamed`);
        await waitFor("another guest's file arrives", () => cid.has(`${name}-renamed/file`));
      });
      report(`flood on ${kind}: ${RENAMED} files renamed: passed by ${passed.join(", ")}`);
      assertPassed(passed, RENAMES, MOST_AT_A_RENAME * RENAMED);
      await arrival(RENAMED, arrived);
      await waitFor("the old name goes", () => !cid.has("many"), PATIENCE_MS + 20 * RENAMED);
      await ann.shell("rm -rf renamed");
      await waitFor("it goes again", () => !cid.has("renamed"), PATIENCE_MS + 20 * RENAMED);
    });
  },
);

function sharesOf({ only }: World): { ann: Share; bob: Share; cid: Share } {
  return { ann: only.share("ann"), bob: only.share("bob"), cid: only.share("cid") };
}

/** How much of a flood arrives while each of `probes` deeds of another guest does. */
async function probe(
  probes: number,
  count: number,
  arrived: () => number,
  deed: (number: number) => Promise<void>,
): Promise<number[]> {
  const passed: number[] = [];
  while (passed.length < probes) {
    const before = arrived();
    if (before >= count) break;
    await deed(passed.length);
    passed.push(arrived() - before);
  }
  return passed;
}

function assertPassed(passed: readonly number[], probes: number, most: number): void {
  assertEquals(passed.length, probes, "the flood was through before its end was looked for");
  const [median = Infinity] = passed.toSorted((a, b) => a - b).slice(probes >> 1);
  assert(median <= most, `${passed.join(", ")} were first; ${most} may be`);
}

async function arrival(count: number, arrived: () => number): Promise<void> {
  await waitFor(
    () => `${arrived()} of ${count} arrived`,
    () => arrived() >= count,
    PATIENCE_MS + 20 * count,
  );
}

/** How many things are below a directory; 0 if it is not there. Not by path: it may be too deep for one. */
function countBelow(path: string): number {
  const { stdout } = new Deno.Command("find", {
    args: [path, "-mindepth", "1", "-printf", "."],
    stderr: "null",
  }).outputSync();
  return stdout.length;
}
