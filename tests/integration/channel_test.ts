/** Channels side by side: one that is broken, or slow, is its own affair (I7). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Channel, DEBOUNCE_MS } from "../support/channel.ts";
import { EICAR } from "../support/eicar.ts";
import { onEachFilesystem } from "../support/fixture.ts";
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
