/**
 * One guest floods its share; another one writes a file now and then. Each of these arrives while next to nothing of the
 * flood does (I7), the daemon's memory stays small, and in the end the flood has arrived, too (I3, I6).
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { onEachFilesystem } from "../support/fixture.ts";
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

/** Files of the other guest while the flood is on its way. */
const PROBES = 5;
/**
 * The part of a flood that may arrive while one file does: in turn with it comes what its own way takes, and what
 * its quiet time lets by. So a flood must be long beside that.
 */
const MOST_AT_ONCE = 0.15;
const MOST_MEMORY_MIB = 400;

onEachFilesystem(
  "floods",
  (kind) => World.start(kind, { channels: { docs: {} }, filesystem: { sizeMiB: 4096 } }),
  (test, kind) => {
    for (const [number, { what, count, script }] of FLOODS.entries()) {
      test(`I7: ${count} ${what} of one guest let another's file pass`, async (world) => {
        const [ann, bob, cid] = ["ann", "bob", "cid"].map((name) => world.only.share(name));
        if (ann === undefined || bob === undefined || cid === undefined) {
          throw new Error("no shares");
        }
        const folder = `flood-${number}`;
        const arrived = () => countBelow(cid.at(folder));
        const writing = ann.shell(`D=${folder}; N=${count}; mkdir $D; ${script}`);
        await waitFor("the flood comes", () => arrived() > 0);
        const passed: number[] = [];
        while (passed.length < PROBES) {
          const before = arrived();
          if (before >= count) break;
          const name = `file-${number}-${passed.length}`;
          await bob.write(name, name);
          await waitFor("another guest's file arrives", () => cid.has(name));
          passed.push(arrived() - before);
        }
        await writing;
        report(`flood on ${kind}: ${count} ${what}: passed by ${passed.join(", ")}`);
        assertEquals(passed.length, PROBES, "the flood was through before its end was looked for");
        const [median = count] = passed.toSorted((a, b) => a - b).slice(PROBES >> 1);
        assert(median <= MOST_AT_ONCE * count, `${passed.join(", ")} of ${count} were first`);
        await waitFor(
          () => `${arrived()} of ${count} arrived`,
          () => arrived() >= count,
          PATIENCE_MS + 20 * count,
        );
        const memory = world.gate.memoryMiB();
        assert(memory < MOST_MEMORY_MIB, `${Math.round(memory)} MiB`);
        // The next flood begins on an empty stage.
        await ann.shell(`rm -rf ${folder}`);
        await waitFor("it goes again", () => !cid.has(folder), PATIENCE_MS + 20 * count);
      });
    }
  },
);

/** How many things are below a directory; 0 if it is not there. Not by path: it may be too deep for one. */
function countBelow(path: string): number {
  const { stdout } = new Deno.Command("find", {
    args: [path, "-mindepth", "1", "-printf", "."],
    stderr: "null",
  }).outputSync();
  return stdout.length;
}
