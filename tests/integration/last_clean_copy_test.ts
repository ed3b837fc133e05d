/** The daemon's own removal of malware takes nobody's last clean copy away (I3). */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import type { Channel } from "../support/channel.ts";
import { EICAR } from "../support/eicar.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const CLEAN = "the last clean version";

/** All peers have the clean version at `path`, and keep it. */
async function allHaveClean(channel: Channel, path: string): Promise<void> {
  const contents = () => Promise.all(channel.peers.map((peer) => peer.readText(path)));
  await waitFor(
    `${path} is clean everywhere`,
    async () => (await contents()).every((content) => content === CLEAN),
    10_000,
  );
  await channel.settled();
  for (const content of await contents()) assertEquals(content, CLEAN);
}

testOnEachFilesystem(
  "I3: at a first start, the export's clean version is no orphan of malware",
  async (kind) => {
    await using world = await World.prepare(kind, { channels: { docs: { producers: ["ann"] } } });
    const { only } = world;
    await Deno.mkdir(only.export.path);
    await only.export.write("letter", CLEAN);
    await only.share("ann").write("letter", EICAR);
    await world.clamd.start();
    await world.startGate();
    await allHaveClean(only, "letter");
  },
);

testOnEachFilesystem(
  "I3: the index is lost, and all producers' copies were infected meanwhile",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { producers: ["ann", "bob"] } },
    });
    const { only } = world;
    await only.share("ann").write("letter", CLEAN);
    await only.settled();
    await world.gate.term();
    await Deno.remove(only.stateDirectory, { recursive: true });
    for (const name of only.producers) await only.share(name).write("letter", EICAR);
    await world.startGate();
    await allHaveClean(only, "letter");
  },
);
