/** Channels with more guests than most: whatever all of them do at once comes to rest (I3). */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { World } from "../support/world.ts";

const names = (count: number) => Array.from({ length: count }, (_, number) => `vm${number}`);
const THEN_NS = 1_700_000_000_000_000_000n;

testOnEachFilesystem(
  "I3: a dozen versions of one file, of one size and time, come to rest, and all are kept",
  async (kind) => {
    const producers = names(12);
    await using world = await World.start(kind, { channels: { docs: { producers } } });
    const { only } = world;
    await Promise.all(
      producers.map((producer, number) =>
        only.share(producer).write("report.txt", `version ${10 + number}`, { mtimeNs: THEN_NS })
      ),
    );
    await only.settled();
    const texts = await Promise.all(only.export.list().map((name) => only.export.readText(name)));
    assertEquals(texts.sort(), producers.map((_, number) => `version ${10 + number}`));
    assertEquals(await only.export.readText("report.txt"), "version 10", "the first of producers");
  },
);

testOnEachFilesystem(
  "I3: what more guests than a path has rounds have already is taken for one file, and exported",
  async (kind) => {
    const producers = names(27);
    await using world = await World.prepare(kind, { channels: { docs: { producers } } });
    const { only } = world;
    await world.clamd.start();
    for (const producer of producers) {
      await only.share(producer).write("letter", "to all", { mtimeNs: THEN_NS });
    }
    await world.startGate();
    await only.settled();
    assertEquals(only.export.list(), ["letter"]);
    assertEquals(world.clamd.scans, 1);
  },
);
