/** The daemon does not answer itself, and never takes a guest's write for its own (I5). */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertLessOrEqual } from "@std/assert";
import { DEBOUNCE_MS } from "../support/channel.ts";
import { onEachFilesystem } from "../support/fixture.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

onEachFilesystem(
  "echo",
  (kind) => World.start(kind, { channels: { docs: {} } }),
  (test) => {
    test("I5: each file is scanned once, however many shares it goes to", async (world) => {
      const { only } = world;
      const scans = world.clamd.scans;
      await only.share("ann").shell("mkdir once; for i in $(seq 100); do echo $i > once/$i; done");
      await waitFor("all are in export", () => only.export.list("once").length === 100);
      await only.settled();
      await sleep(5 * DEBOUNCE_MS);
      assertEquals(world.clamd.scans - scans, 100);
    });

    test("I5: what the daemon removes, makes and replaces is not scanned either", async (world) => {
      const { only } = world;
      await only.share("ann").shell("cp -r once twice");
      await waitFor("the copy is in export", () => only.export.list("twice").length === 100);
      await only.settled();
      const scans = world.clamd.scans;
      await only.share("bob").shell("rm -r once; mkdir -p directory/deep");
      await waitFor(
        "export has lost it",
        () => !only.export.has("once") && only.export.has("directory/deep"),
      );
      await only.settled();
      await sleep(5 * DEBOUNCE_MS);
      assertEquals(world.clamd.scans, scans);
    });

    test("I5: when all is quiet, the files stay the same inodes", async ({ only }) => {
      await only.share("cid").write("still/file", "still");
      await only.settled();
      const inodes = () => only.peers.map((share) => Deno.lstatSync(share.at("still/file")).ino);
      const before = inodes();
      await sleep(1000);
      assertEquals(inodes(), before);
    });

    test("I5: a guest that answers the moment a file arrives is heard: 40 rounds", async ({ only }) => {
      const players = [only.share("ann"), only.share("bob")];
      await players[0]?.write("ping/pong", "0");
      for (let round = 1; round <= 40; round++) {
        const [player, other] = [players[round % 2], players[(round + 1) % 2]];
        if (player === undefined || other === undefined) throw new Error("two players");
        await waitFor(
          `${player.name} sees round ${round - 1}`,
          async () => await player.readText("ping/pong") === `${round - 1}`,
        );
        await player.write("ping/pong", `${round}`);
      }
      await waitFor(
        "export has the last round",
        async () => await only.export.readText("ping/pong") === "40",
      );
      await only.settled("ping");
      assertEquals(only.export.list("ping"), ["pong"]);
    });

    test("I5: a guest that deletes the moment a file arrives is heard: 25 files", async ({ only }) => {
      await only.share("ann").shell("mkdir deleted");
      for (let i = 0; i < 25; i++) {
        await only.share("ann").write(`deleted/${i}`, `${i}`);
        await waitFor("bob sees it", () => only.share("bob").has(`deleted/${i}`));
        await Deno.remove(only.share("bob").at(`deleted/${i}`));
      }
      await waitFor(
        "all are gone everywhere",
        () => only.peers.every((share) => share.list("deleted").length === 0),
      );
      await only.settled();
    });

    test("I5: many guests' changes to many files are each scanned a bounded number of times", async (world) => {
      const { only } = world;
      const scans = world.clamd.scans;
      await Promise.all(only.producers.map((name) =>
        only.share(name).shell(`
          mkdir -p mixed; for i in $(seq 30); do echo ${name} > mixed/${name}-$i; done
        `)
      ));
      await waitFor("all are in export", () => only.export.list("mixed").length === 90);
      await only.settled();
      // A file may be caught between its creation and its last write, rarely.
      assertLessOrEqual(world.clamd.scans - scans, 100);
    });
  },
);
