/**
 * Whoever made the channel's version of a file is not there any more, or is write-only now, and another brings a file of that
 * name that was not made of it: it is a conflict, though only the export has the other side of it.
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { AbsentShare } from "../support/absent_share.ts";
import type { Channel } from "../support/channel.ts";
import { must } from "../support/command.ts";
import { EICAR } from "../support/eicar.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const OLD = "2001-01-01";

/** What is at `f` in the end, and what is kept beside it. */
async function versions(channel: Channel): Promise<readonly string[]> {
  await channel.settled();
  const names = channel.export.list().filter((name) => name === "f" || name.startsWith("f.sync-"));
  assert(names.length < 3, "nothing is kept twice");
  return (await Promise.all(names.map((name) => channel.export.readText(name)))).map(String);
}

const CASES = [
  { name: "its author is away, the other is later", expected: ["by bob", "by ann"] },
  { name: "its author is away, the other is earlier", time: OLD, expected: ["by ann", "by bob"] },
  {
    name: "both changed what they had in common, never together",
    before: "in common",
    expected: ["by bob", "by ann"],
  },
];

for (const { name, before, time, expected } of CASES) {
  testOnEachFilesystem(`I3: ${name}`, async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { producers: ["ann", "bob"] } },
    });
    const { only } = world;
    if (before !== undefined) {
      await only.share("ann").write("f", before);
      await only.settled();
    }
    const bob = await AbsentShare.take(world, "bob");
    await only.share("ann").write("f", "by ann");
    await waitFor("the export has it", async () => await only.export.readText("f") === "by ann");
    const ann = await AbsentShare.take(world, "ann");
    await bob.write("f", "by bob");
    if (time !== undefined) await must("touch", ["-d", time, `${bob.path}/f`]);
    await bob.back();
    await waitFor("both are there", () => only.share("bob").list().length === 2);
    await ann.back();
    assertEquals(await versions(only), expected);
  });
}

testOnEachFilesystem("no conflict: who was away had it from the export", async (kind) => {
  await using world = await World.start(kind, {
    channels: { docs: { producers: ["ann", "bob"] } },
  });
  const { only } = world;
  const bob = await AbsentShare.take(world, "bob");
  await only.share("ann").write("f", "by ann");
  await waitFor("the export has it", () => only.export.has("f"));
  const ann = await AbsentShare.take(world, "ann");
  await bob.back();
  await waitFor("bob has it", () => only.share("bob").has("f"));
  await only.share("bob").write("f", "by ann and bob");
  await waitFor("the export has that", async () => await only.export.readText("f") !== "by ann");
  await ann.back();
  assertEquals(await versions(only), ["by ann and bob"]);
});

testOnEachFilesystem("I3: producers take turns in being write-only", async (kind) => {
  await using world = await World.start(kind, {
    channels: { docs: { producers: ["ann", "web"], diodeProducers: ["web"] } },
  });
  const { only, gate } = world;
  const { docs } = world.configuration;
  await only.share("web").write("f", "by web");
  await waitFor("ann has it", () => only.share("ann").has("f"));
  await only.share("ann").write("f", "by ann, later");
  await only.settled();
  for (const diodeProducers of [["ann"], []]) {
    gate.configure({ docs: { ...Object(docs), diodeProducers } });
    await gate.reload();
    await only.quiet();
  }
  assertEquals(await only.peersWithout("by ann, later"), []);
  assertEquals(await only.share("ann").readText("f"), "by ann, later");
});

testOnEachFilesystem(
  "I3: its author is taken out of the configuration, and put in again",
  async (kind) => {
    await using world = await World.prepare(kind, {
      channels: { docs: { producers: ["ann", "bob"] } },
    });
    const { only } = world;
    const { docs } = world.configuration;
    const configure = (producers: readonly string[]) => ({ docs: { ...Object(docs), producers } });
    await world.clamd.start();
    await only.share("bob").write("f", "by bob");
    await sleep(50);
    await only.share("ann").write("f", "by ann, later");
    const gate = await world.startGate({ configuration: configure(["ann"]) });
    await waitFor("the export has it", () => only.export.has("f"));
    for (const producers of [["bob"], ["ann", "bob"]]) {
      gate.configure(configure(producers));
      await gate.reload();
      await waitFor("bob has both", () => only.share("bob").list().length === 2);
    }
    assertEquals(await versions(only), ["by ann, later", "by bob"]);
  },
);

testOnEachFilesystem("I3: its author has malware in its place, which stays", async (kind) => {
  await using world = await World.start(kind, {
    channels: { docs: { scanning: { infectedAction: "log" } } },
    unequal: ["docs"],
  });
  const { only, user } = world;
  const ann = await AbsentShare.take(world, "ann");
  const cid = await AbsentShare.take(world, "cid");
  await only.share("bob").write("f", "by bob");
  await waitFor("the export has it", () => only.export.has("f"));
  await Deno.writeFile(only.share("bob").at("f"), EICAR);
  await waitFor("the user is told", () => user.lines.length === 1);
  await ann.write("f", "by ann");
  await ann.back();
  await cid.back();
  await waitFor("cid has both", () => only.share("cid").list().length === 2);
  await only.quiet();
  assertEquals(await only.peersWithout("by bob"), []);
});

for (const by of ["removed", "moved"] as const) {
  testOnEachFilesystem(
    `a write-only producer overwrites nothing of who is away: the export was ${by}`,
    async (kind) => {
      await using world = await World.start(kind, {
        channels: { docs: { producers: ["ann", "web"], diodeProducers: ["web"] } },
      });
      const { only, gate } = world;
      await only.share("ann").write("f", "by ann");
      await only.settled();
      const ann = await AbsentShare.take(world, "ann");
      if (by === "removed") await Deno.remove(only.export.at("f"));
      else {
        await Deno.rename(only.export.path, `${only.export.path}.old`);
        await gate.logged(/export was removed/);
      }
      await only.share("web").write("f", "by web");
      await only.share("web").write("other", "by web");
      await waitFor("the export has the other", () => only.export.has("other"));
      await ann.back();
      await only.settled();
      assertEquals(await only.share("ann").readText("f"), "by ann");
      assertEquals(await only.share("web").readText("f"), "by web");
    },
  );
}
