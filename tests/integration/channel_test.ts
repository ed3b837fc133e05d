/** Channels side by side: one that is broken, or slow, is its own affair (I7). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Channel, DEBOUNCE_MS } from "../support/channel.ts";
import { EICAR } from "../support/eicar.ts";
import { onEachFilesystem, testOnEachFilesystem } from "../support/fixture.ts";
import { Gate } from "../support/gate.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

onEachFilesystem(
  "channels",
  async (kind) => {
    const world = await World.prepare(kind, {
      channels: { one: {}, two: { producers: ["ann", "bob"] }, three: { producers: ["solo"] } },
    });
    await world.clamd.start();
    const { one } = world.configuration;
    await world.startGate({
      configuration: {
        ...world.configuration,
        malformed: { basePath: 7, producers: "ann" },
        missing: { basePath: "/nonexistent/base", producers: ["ann"] },
        // Whatever a configuration says twice, one of the two runs at most.
        "same-base": { ...Object(one), producers: ["dora"] },
        "other-filesystem": { basePath: "/proc", producers: ["ann"], debounceMs: DEBOUNCE_MS },
      },
    });
    return world;
  },
  (test) => {
    test("I7: good channels run beside broken ones, each for itself", async (world) => {
      const healthy = ["two", "three"].map((name) => world.channel(name));
      for (const channel of healthy) {
        const [author = ""] = channel.producers;
        await channel.share(author).write("where", channel.name);
      }
      for (const channel of healthy) {
        await waitFor(
          `${channel.name} delivers`,
          async () => await channel.export.readText("where") === channel.name,
        );
        await channel.settled();
      }
    });

    test("I7: each broken channel is named in the log with its reason", async (world) => {
      for (const name of ["malformed", "missing", "same-base", "other-filesystem"]) {
        assertMatch(await world.gate.logged(new RegExp(name)), /\S/);
      }
    });

    test("I7: three channels at once, with 200 files each", async (world) => {
      const channels = [...world.channels.values()].filter(({ name }) => name !== "one");
      await Promise.all(channels.map(async (channel) => {
        for (const producer of channel.producers) {
          await channel.share(producer).shell(`
            mkdir -p load/${producer}
            for i in $(seq 200); do echo "${channel.name} $i" > load/${producer}/$i; done
          `);
        }
      }));
      for (const channel of channels) {
        for (const producer of channel.producers) {
          await waitFor(
            `${channel.name} delivers all of ${producer}`,
            () => channel.export.list(`load/${producer}`).length === 200,
          );
        }
        await channel.settled();
      }
    });

    test("I1: malware in one channel is told with that channel's path", async (world) => {
      const two = world.channel("two");
      await two.share("ann").write("bad", EICAR);
      await waitFor(
        "the user is told",
        () =>
          world.user.lines.some((line) => line.endsWith(`in file: ${two.share("ann").at("bad")}`)),
      );
      for (const channel of world.channels.values()) {
        assert(!channel.share(channel.producers[0] ?? "").has("bad"));
      }
    });

    test("I2: nothing is made where a channel is broken", async (world) => {
      for (const path of ["/nonexistent", "/proc/export", "/proc/staging"]) {
        assertEquals(await Deno.stat(path).catch(() => "nothing"), "nothing");
      }
      assertEquals(world.gate.status, undefined);
    });

    test("the daemon makes staging, export and quarantine, and waits for a share", async (world) => {
      const basePath = await world.filesystem.directory("bare");
      await Deno.mkdir(`${basePath}/share/here`, { recursive: true });
      const late = await Channel.create("late", basePath, { producers: ["here", "later"] });
      await Deno.remove(late.share("later").path);
      await world.startGate({ configuration: { late: late.configuration } });
      await late.share("here").write("file", "1");
      await waitFor("export has it", () => late.export.has("file"));
      await Deno.mkdir(late.share("later").path);
      await waitFor("the late share has it", () => late.share("later").has("file"));
      await late.share("later").write("back", "2");
      await waitFor("the late share is watched", () => late.share("here").has("back"));
      await late.settled();
      await world.startGate();
    });
  },
);

testOnEachFilesystem(
  "I3: one directory has one daemon: not two channels through a link, not two processes",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { docs } = world.configuration;
    const link = `${world.filesystem.path}/link`;
    await Deno.symlink(world.only.basePath, link);
    const below = `${world.filesystem.path}/below`;
    await Deno.mkdir(world.only.share("ann").at("deep"));
    await Deno.symlink(world.only.share("ann").at("deep"), below);
    await world.startGate({
      configuration: {
        docs,
        linked: { ...Object(docs), basePath: link },
        below: { ...Object(docs), basePath: below },
      },
    });
    assertMatch(
      await world.gate.logged(/linked\.basePath/),
      /is the directory of the channel docs/,
    );
    assertMatch(await world.gate.logged(/below\.basePath/), /lies in .* the channel docs/);
    await world.only.share("ann").write("file", "x");
    await world.only.settled();

    await using second = Gate.launch({ configuration: { docs }, clamdSocket: world.clamd.socket });
    assertEquals((await second.exit()).code, 1);
    assertMatch(second.log, /docs is skipped: .* is served by another virtiofs-gate/);
    await world.only.share("bob").write("other", "y");
    await world.only.settled();

    // Who is killed lets go of it, and whoever waits for that need not be started again.
    await using third = Gate.launch({ configuration: { docs }, clamdSocket: world.clamd.socket });
    await world.gate.kill();
    await third.ready();
  },
);
