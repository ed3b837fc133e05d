/** The host changes owner, permissions or times of what is in the export: it is the channel's version still. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { AbsentShare } from "../support/absent_share.ts";
import { must } from "../support/command.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

/** Of the first only the time of its change is another in the end. */
const TOUCH = "chmod 600 1; chmod 644 1; chmod 640 2";

testOnEachFilesystem("I3: it goes from a write-only producer's to who was away", async (kind) => {
  await using world = await World.start(kind, {
    channels: { docs: { producers: ["ann", "web"], diodeProducers: ["web"] } },
  });
  const { only } = world;
  const ann = await AbsentShare.take(world, "ann");
  await only.share("web").shell("mkdir d; echo 1 > d/1; echo 2 > d/2");
  await waitFor("the export has both", () => only.export.list("d").length === 2);
  await must("sh", ["-c", TOUCH], { cwd: only.export.at("d") });
  await ann.back();
  await waitFor("ann has both", () => only.share("ann").list("d").length === 2);
  await only.settled();
  assertEquals(await only.share("ann").readText("d/2"), "2\n");
});

testOnEachFilesystem(
  "I3: it goes to the only producer's successor, and is no orphan",
  async (kind) => {
    await using world = await World.prepare(kind, {
      channels: { docs: { producers: ["ann", "bob"] } },
    });
    await world.clamd.start();
    const { only } = world;
    const { docs } = world.configuration;
    const configure = (producers: readonly string[]) => ({ docs: { ...Object(docs), producers } });
    const gate = await world.startGate({ configuration: configure(["ann"]) });
    await only.share("ann").shell("mkdir d; echo 1 > d/1; echo 2 > d/2; echo 3 > d/untouched");
    await waitFor("the export has all", () => only.export.list("d").length === 3);
    await only.share("ann").write("last", "1");
    await waitFor("all is known", () => only.export.has("last"));
    await must("sh", ["-c", TOUCH], { cwd: only.export.at("d") });
    gate.configure(configure(["bob"]));
    await gate.reload();
    await waitFor("bob has all", () => only.share("bob").list("d").length === 3);
    assertEquals(only.export.list("d"), ["1", "2", "untouched"]);
  },
);

testOnEachFilesystem("it is put right where a share has it as it was", async (kind) => {
  await using world = await World.start(kind, { channels: { docs: {} } });
  const { only } = world;
  await only.share("ann").shell("mkdir d; echo 1 > d/1; echo 2 > d/2");
  await only.settled();
  await must("sh", ["-c", TOUCH], { cwd: only.export.at("d") });
  await world.startGate();
  await only.settled();
  const { mode } = await Deno.stat(only.export.at("d/2"));
  assertEquals((mode ?? 0) & 0o777, 0o644);
});
