/**
 * A guest waits for what others' files bring into its share, and takes their names at that very moment: nothing that it
 * does there is taken for the daemon's own work (I5), hidden from the others (I3), or hides malware (I1).
 */

// @ts-types="../support/assert.d.ts"
import { assert } from "@std/assert";
import { EICAR } from "../support/eicar.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import type { Share } from "../support/share.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";
import { NIGHTLY } from "../support/size.ts";

const FILES = NIGHTLY ? 600 : 12;
const PATIENCE_MS = 10_000;

/** What bob does with a name as soon as he has it. `own` is a file of his. */
const TAKING: readonly ((path: string, own: string) => void)[] = [
  (path) => Deno.removeSync(path),
  (path, own) => {
    Deno.removeSync(path);
    Deno.linkSync(own, path); // the same event as that of the daemon's own name
  },
  (path) => {
    Deno.removeSync(path);
    Deno.symlinkSync("own", path);
  },
  (path) => Deno.writeFileSync(path, EICAR),
  (path) => {
    Deno.writeTextFileSync(`${path}.new`, "bob's");
    Deno.renameSync(`${path}.new`, path);
  },
  (path) => {
    Deno.removeSync(path);
    Deno.mkdirSync(path);
  },
];

/** Watches for `path` without a pause; `false` if it did not come. */
function comes(share: Share, path: string): boolean {
  const until = performance.now() + PATIENCE_MS;
  while (performance.now() < until) if (share.has(path)) return true;
  return false;
}

testOnEachFilesystem(
  "I1, I3, I5: whoever takes a name at the moment it was given hides nothing by that",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann");
    const bob = only.share("bob");
    await bob.write("own", "bob's own");
    await only.settled();
    for (const where of ["known", "new"]) {
      for (let number = 0; number < FILES; number++) {
        // In a new directory nothing is watched yet when the first file gets there.
        const path = where === "new" ? `directory-${number}/file` : `file-${number}`;
        await ann.write(path, `ann's ${number}`);
        assert(comes(bob, path), `${path} did not come\n${world.report()}`);
        TAKING[number % TAKING.length]?.(bob.at(path), bob.at("own"));
      }
      await waitFor(
        "the malware is gone",
        async () => (await only.infectedElsewhere()).length === 0,
      );
      await bob.shell("find . -type l -delete"); // links do not travel
      await only.settled();
    }
    await world.verify();
  },
);
