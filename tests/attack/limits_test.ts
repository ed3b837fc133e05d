/** The kernel refuses descriptors while the daemon serves: it says so, lets nothing through, and recovers. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { must } from "../support/command.ts";
import { EICAR } from "../support/eicar.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

async function limitDescriptors(world: World, most: number): Promise<void> {
  await must("prlimit", ["--pid", `${world.gate.child.pid}`, `--nofile=${most}:4096`]);
}

function descriptors(world: World): number {
  return [...Deno.readDirSync(`/proc/${world.gate.child.pid}/fd`)].length;
}

testOnEachFilesystem(
  "I3, I6: without free descriptors work waits, and goes on when there are some",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    await only.share("ann").write("before", "before");
    await only.settled();
    // It has all that it needs to live, and next to nothing to work with.
    const own = descriptors(world);
    for (const spare of [0, 2, 8]) {
      await limitDescriptors(world, own + spare);
      await only.share("ann").shell(
        `mkdir -p d${spare}/sub; for i in $(seq 40); do echo $i > d${spare}/sub/$i; done`,
      );
      await only.share("bob").write(`d${spare}-virus`, EICAR);
      await sleep(1500);
      assertEquals(world.gate.status, undefined, "it lives");
      assertEquals(await only.infectedElsewhere(["bob"]), []);
    }
    await world.gate.logged(/too many open files/i);
    await limitDescriptors(world, 4096);
    await waitFor("the rest arrives", () => only.share("cid").list("d0/sub").length === 40);
    await waitFor("malware goes", () => !only.share("bob").has("d0-virus"));
    await only.settled();
    assert(descriptors(world) <= own + 8, `${descriptors(world)} descriptors, ${own} before`);
    await world.verify();
  },
);
