/** From a file in one guest's share to the refreshed file browser in another guest: gate and virtiofs-notify. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { Daemon } from "../support/daemon.ts";
import { EICAR } from "../support/eicar.ts";
import { onEachFilesystem, testOnEachFilesystem } from "../support/fixture.ts";
import { telling } from "../support/notified_guests.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const TRIGGER = ".virtiofs-refresh";
const uds = `${scratchDirectory("guests")}/bob`;
const away = `${scratchDirectory("guests")}/away`;
/** bob's virtiofs-notify can be reached, the other guest is off. */
const guests = [`${uds}_3401`, away];

onEachFilesystem(
  "guest notifications",
  (kind) => World.start(kind, telling(guests)),
  (test) => {
    test("a published file refreshes the other guest, and the trigger travels nowhere", async (world) => {
      const { only } = world;
      const bob = only.share("bob");
      const args = ["--uds", uds, "--map", `docs=${bob.path}`, "--debug"];
      await using notify = await Daemon.start("notify", args);
      await only.share("ann").write("hello", "hello");
      await waitFor("bob has the file", () => bob.has("hello"));
      await waitFor("bob was notified", () => bob.has(TRIGGER));
      await sleep(1500); // the end of a burst, if it was taken for one
      assertEquals(notify.log.match(/docs: trigger/g)?.length, 1, "one file is told of once");
      await only.quiet();
      for (const place of [only.share("ann"), only.share("cid"), only.export]) {
        assert(!place.has(TRIGGER), place.name);
      }
      await bob.shell(`rm -f ${TRIGGER}`);
    });

    test("malware that is taken out of a share refreshes the file browsers, too", async ({ only }) => {
      const bob = only.share("bob");
      const args = ["--uds", uds, "--map", `docs=${bob.path}`];
      await using _notify = await Daemon.start("notify", args);
      await bob.write("evil", EICAR);
      await waitFor("it is removed", () => !bob.has("evil"));
      await waitFor("bob was notified", () => bob.has(TRIGGER));
      await bob.shell(`rm -f ${TRIGGER}`);
    });

    test("a burst is told a few times, and always after its last file", async ({ only }) => {
      const bob = only.share("bob");
      const args = ["--uds", uds, "--map", `docs=${bob.path}`, "--debug"];
      await using notify = await Daemon.start("notify", args);
      const start = performance.now();
      for (let i = 0; i < 300; i++) await only.share("ann").write(`burst/${i}`, `${i}`);
      await waitFor("bob has all", () => bob.list("burst").length === 300);
      // The trigger comes and goes in the share itself, the last file came into its directory.
      await waitFor(
        "a notification after the last",
        () => changedAt(bob.path) >= changedAt(bob.at("burst")),
      );
      await sleep(1500);
      const seconds = (performance.now() - start) / 1000;
      const told = notify.log.match(/docs: trigger/g)?.length ?? 0;
      assertGreaterOrEqual(told, 1);
      assertLessOrEqual(told, Math.ceil(seconds) + 1, "at most one in a second");
      await bob.shell(`rm -f ${TRIGGER}`);
    });

    test("I7: guests that are off hold up nothing, and are reported once each", async ({ only, gate }) => {
      const start = performance.now();
      await only.share("ann").write("unheard", "unheard");
      await waitFor("it arrives all the same", () => only.share("bob").has("unheard"));
      assertLessOrEqual(performance.now() - start, 10_000);
      const warnings = gate.log.split("\n").filter((line) =>
        line.includes(`${away} cannot be notified`)
      );
      assertEquals(warnings.length, 1);
    });
  },
);

testOnEachFilesystem(
  "a guest hears of the last changes before a crash, and of none before a stop",
  async (kind) => {
    const uds = `${scratchDirectory("guests")}/bob`;
    await using world = await World.start(kind, telling([`${uds}_3401`]));
    const { only } = world;
    const bob = only.share("bob");
    await only.share("ann").write("file", "x");
    await world.gate.logged(/cannot be notified of changes/);
    await world.gate.kill();
    await using _notify = await Daemon.start("notify", ["--uds", uds, "--map", `docs=${bob.path}`]);
    await world.startGate();
    await waitFor("bob was told", () => bob.has(TRIGGER), 5000);
    await world.gate.term();
    await world.startGate();
    await sleep(1500);
    assert(bob.has(TRIGGER), "there was nothing more to tell");
  },
);

/** When something in the directory came or went, in ms since 1970. */
function changedAt(directory: string): number {
  return Deno.statSync(directory).mtime?.getTime() ?? NaN;
}
