/** A guest makes directories faster than they can be read, at a start: the others' deletions do not wait for an end (I7). */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";

import { marked } from "../support/command.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { startMachineAnew } from "../support/index_file.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

/** All of them are below one that is still to be read. */
const LEVEL = "seq 500 | xargs mkdir; cd 1";
const HEAD_START = `for i in $(seq 30); do ${LEVEL}; done; pwd`;
const ENDLESS = `while sleep 0.04; do ${LEVEL}; done`;

for (const isPowerFailure of [false, true]) {
  testOnEachFilesystem(
    `I7: a tree that grows without end keeps neither others' deletions nor the start${
      isPowerFailure ? ", after a power failure" : ""
    }`,
    async (kind) => {
      await using world = await World.start(kind, {
        channels: { docs: { producers: ["ann", "bob"] } },
        filesystem: { sizeMiB: 4096 },
      });
      const { only } = world;
      const ann = only.share("ann");
      for (const name of ["file", "other"]) await ann.write(name, "known");
      await only.settled();
      await world.gate.term();
      // What was deleted in between would come back.
      if (isPowerFailure) startMachineAnew(only.indexPath);
      else await ann.shell("rm file");
      const begun = await only.share("bob").shell(HEAD_START);
      const guest = new Deno.Command("sh", {
        args: ["-c", ENDLESS],
        cwd: begun.trim(),
        env: marked(),
      }).spawn();
      try {
        await world.startGate();
        if (isPowerFailure) await ann.shell("rm file");
        await waitFor("the deletion has travelled", () => !only.export.has("file"));
        await sleep(500);
        assertEquals([ann.has("file"), only.export.has("file")], [false, false]);
      } finally {
        guest.kill("SIGKILL");
        await guest.status;
      }
    },
  );
}
