/**
 * One guest nests thousands of directories in each other, as mkdirat(2) lets it: far beyond what a path can say (PATH_MAX).
 * What each of them costs grows with the length of its path, so that together they would take gigabytes, and minutes.
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { type FileName, fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { writeAll } from "../../ffi/file_content.ts";
import { onEachFilesystem } from "../support/fixture.ts";
import type { Share } from "../support/share.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const LEVELS = 10_000;
const NAME = fileName("d".repeat(250));
/** As deep as it is followed: 32 names of 250 bytes and their slashes are less than 8192 bytes. */
const FOLLOWED = 32;
const MOST_MEMORY_MIB = 400;

/** Nests directories below `top`, with a file in the last of them. */
function nest(share: Share, top: string): void {
  Deno.mkdirSync(share.at(top));
  let here = Directory.openTrusted(fromText(share.at(top)));
  try {
    for (let level = 0; level < LEVELS; level++) {
      here.makeDirectory(NAME, 0o755);
      here = stepDown(here, NAME);
    }
    using file = here.createFile(fileName("file"), 0o644);
    writeAll(file, new TextEncoder().encode("from below"));
  } finally {
    here.close();
  }
}

/** The directory `levels` below `top`; `undefined` if there is none. */
function below(share: Share, top: string, levels: number): Directory | undefined {
  if (!share.has(top)) return undefined;
  using root = Directory.openTrusted(fromText(share.at(top)));
  return root.openBeneath(Array(levels).fill(NAME).join("/") as RelativePath);
}

function reaches(share: Share, top: string, levels: number): boolean {
  using found = below(share, top, levels);
  return found !== undefined;
}

function stepDown(from: Directory, name: FileName): Directory {
  using left = from;
  const next = left.openBeneath(name);
  if (next === undefined) throw new Error("it is gone");
  return next;
}

onEachFilesystem(
  "deep trees",
  (kind) => World.start(kind, { channels: { docs: {} }, filesystem: { sizeMiB: 2048 } }),
  (test) => {
    const OTHERS = ["bob", "cid", "export"];

    test(`I6, I7: ${LEVELS} directories in each other are in nobody's way`, async ({ only, gate }) => {
      nest(only.share("ann"), "deep");
      await only.share("bob").write("beside", "beside");
      await waitFor("another guest's file arrives", () => only.share("cid").has("beside"));
      await gate.logged(/share\/ann\/deep\/d{50}.* a path of more than 8192 bytes/);
      await waitFor(
        "it arrives as deep as it is followed",
        () => OTHERS.every((name) => reaches(only.share(name), "deep", FOLLOWED)),
      );
      await only.quiet();
      for (const name of OTHERS) assert(!reaches(only.share(name), "deep", FOLLOWED + 1), name);
      const memory = gate.memoryMiB();
      assert(memory < MOST_MEMORY_MIB, `${Math.round(memory)} MiB`);
    });

    test("I6, I7: nor are they when the gate starts", async (world) => {
      const { only } = world;
      await world.gate.term();
      await only.share("bob").write("meanwhile", "meanwhile");
      await world.startGate();
      await waitFor("another guest's file arrives", () => only.share("cid").has("meanwhile"));
      const memory = world.gate.memoryMiB();
      assert(memory < MOST_MEMORY_MIB, `${Math.round(memory)} MiB`);
    });

    test("I3: what lay too deep travels from where it is moved to", async ({ only }) => {
      using lowest = below(only.share("ann"), "deep", LEVELS - 1);
      using root = Directory.openTrusted(fromText(only.share("ann").path));
      assert(lowest !== undefined);
      lowest.rename(NAME, root, fileName("lifted"));
      await waitFor(
        "all have it",
        () => OTHERS.every((name) => only.share(name).has("lifted/file")),
      );
      assertEquals(await only.share("cid").readText("lifted/file"), "from below");
    });

    test("I3: when they are removed they go everywhere", async ({ only }) => {
      await only.share("ann").shell("rm -r deep");
      await waitFor("they go", () => OTHERS.every((name) => !only.share(name).has("deep")));
    });

    test("I3: what another guest removes comes back where something lay too deep", async ({ only }) => {
      nest(only.share("ann"), "again");
      await waitFor("it arrives", () => reaches(only.share("bob"), "again", FOLLOWED));
      await only.share("bob").shell("rm -r again");
      await waitFor("it is back", () => reaches(only.share("bob"), "again", FOLLOWED));
      assert(reaches(only.share("ann"), "again", LEVELS));
      await only.share("ann").shell("rm -r again");
      await waitFor("they go", () => OTHERS.every((name) => !only.share(name).has("again")));
    });
  },
);
