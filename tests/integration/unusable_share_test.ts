/** Something is where a share belongs that no file can be renamed into: the gate says what it is, and waits. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { must } from "../support/command.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const CASES = {
  "a link": { put: 'mv "$1" "$1.away"; ln -s "$1.away" "$1"', take: 'rm "$1"; mv "$1.away" "$1"' },
  "a mount": { put: 'mount --bind "$1" "$1"', take: 'umount "$1"' },
};

for (const [what, { put, take }] of Object.entries(CASES)) {
  testOnEachFilesystem(`I2, I3: a share that is ${what}, from the start or since`, async (kind) => {
    await using world = await World.prepare(kind, { channels: { docs: {} } });
    const { only } = world;
    const ann = only.share("ann").path;
    const putThere = () => must("sh", ["-ec", put, "sh", ann]);
    const putBack = () => must("sh", ["-ec", take, "sh", ann]);
    await world.clamd.start();
    await putThere();
    const told = /share\/ann cannot be used: .*share\/ann must be a directory on the same mount/;
    try {
      await world.startGate();
      await world.gate.logged(told);
    } finally {
      await putBack();
    }
    await world.gate.logged(/share\/ann is there/);
    await only.share("ann").write("file", "x");
    await only.settled();
    world.mark();
    await putThere();
    try {
      // It may have been met while nothing was there.
      const isTold = () => /share\/ann (is gone|cannot be used)/.test(world.gate.recentLog);
      await waitFor("it is told again", isTold);
    } finally {
      await putBack();
    }
    await only.share("bob").write("other", "y");
    await only.settled();
    assertEquals(only.share("ann").list(), ["file", "other"]);
  });
}
