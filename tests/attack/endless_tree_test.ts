/** A guest makes directories faster than they can be read, at a start: the others' deletions do not wait for an end (I7). */

import { marked } from "../support/command.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

/** All of them are below one that is still to be read. */
const LEVEL = "seq 500 | xargs mkdir; cd 1";
const HEAD_START = `for i in $(seq 30); do ${LEVEL}; done; pwd`;
const ENDLESS = `while sleep 0.04; do ${LEVEL}; done`;

testOnEachFilesystem(
  "I7: a tree that grows without end keeps neither others' deletions nor the start",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { producers: ["ann", "bob"] } },
      filesystem: { sizeMiB: 4096 },
    });
    const { only } = world;
    for (const name of ["file", "other"]) await only.share("ann").write(name, "known");
    await only.settled();
    await world.gate.term();
    await only.share("ann").shell("rm file");
    const begun = await only.share("bob").shell(HEAD_START);
    const guest = new Deno.Command("sh", {
      args: ["-c", ENDLESS],
      cwd: begun.trim(),
      env: marked(),
    }).spawn();
    try {
      await world.startGate();
      await waitFor("the deletion has travelled", () => !only.export.has("file"));
    } finally {
      guest.kill("SIGKILL");
      await guest.status;
    }
  },
);
