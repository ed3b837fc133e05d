/** Files and directories that nobody may change, by chattr(1): neither may the daemon, until somebody lifts that. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { must } from "../support/command.ts";
import { EICAR } from "../support/eicar.ts";
import { onEachFilesystem } from "../support/fixture.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

onEachFilesystem(
  "flags",
  (kind) =>
    World.start(kind, { channels: { docs: { scanning: { infectedAction: "quarantine" } } } }),
  (test) => {
    for (const flag of ["i", "a"]) {
      test(`I3, I7: files and directories with +${flag} in one share are in no other's way, and follow when that is lifted`, async (world) => {
        const { only, gate } = world;
        const [ann, bob, cid] = [only.share("ann"), only.share("bob"), only.share("cid")];
        const top = `in-way-${flag}`;
        for (
          const name of ["changed", "removed", "inside/changed", "inside/removed", "gone/file"]
        ) {
          await ann.write(`${top}/${name}`, "first");
        }
        await only.settled(top);
        const barred = ["changed", "removed", "inside", "gone"].map((name) =>
          bob.at(`${top}/${name}`)
        );
        await must("chattr", [`+${flag}`, ...barred]);
        await ann.write(`${top}/changed`, "second");
        await ann.write(`${top}/inside/changed`, "second");
        await ann.write(`${top}/inside/new`, "new");
        await ann.write(`${top}/inside/deep/new`, "new");
        await ann.shell(`cd ${top}; rm removed inside/removed; rm -r gone`);
        await ann.write(`${top}/beside`, "beside");
        await waitFor(
          "the others have all of it",
          async () =>
            await cid.readText(`${top}/changed`) === "second" &&
            await cid.readText(`${top}/inside/changed`) === "second" &&
            await only.export.readText(`${top}/inside/deep/new`) === "new" &&
            !cid.has(`${top}/removed`) && !cid.has(`${top}/inside/removed`) &&
            !cid.has(`${top}/gone`) &&
            await bob.readText(`${top}/beside`) === "beside",
        );
        const line = await gate.logged(new RegExp(`bob/${top}/changed cannot be written`));
        assert(line.includes("immutable or append-only") && !line.includes("taken-"), line);
        await must("chattr", [`-${flag}`, ...barred]);
        await only.settled(top);
        assertEquals(await bob.readText(`${top}/changed`), "second");
      });
    }

    test("I1, I6: malware that cannot be removed goes nowhere, is told once, and is removed when it can be", async (world) => {
      const { only, gate } = world;
      const ann = only.share("ann");
      await ann.write("malware/directory/known", "clean");
      await ann.write("malware/known", "clean");
      await only.settled("malware");
      gate.signal("SIGSTOP");
      await ann.write("malware/file", EICAR);
      await ann.write("malware/known", EICAR);
      await ann.write("malware/directory/known", EICAR);
      const barred = ["file", "known", "directory"].map((name) => ann.at(`malware/${name}`));
      await must("chattr", ["+i", ...barred]);
      gate.signal("SIGCONT");
      await gate.logged(/malware .*malware\/file/);
      await only.quiet();
      // Attempts are a second apart at first.
      const scans = world.clamd.scans;
      await waitFor("it is tried again and again", () => world.clamd.scans >= scans + 6);
      assertEquals(await only.infectedElsewhere(["ann"]), []);
      assertEquals(await only.share("bob").readText("malware/known"), "clean");
      assertEquals(world.user.lines.filter((line) => /malware/.test(line)).length, barred.length);
      const quarantined = [...Deno.readDirSync(only.quarantine)].length;
      assertEquals(quarantined, 2 * barred.length, "each with what is known of it");
      await must("chattr", ["-i", ...barred]);
      await only.settled("malware");
      assertEquals(await ann.readText("malware/known"), "clean");
      assertEquals(await ann.readText("malware/directory/known"), "clean");
      assert(!ann.has("malware/file"));
    });

    test("I3, I7: the loser of a conflict cannot be kept beside: nobody else waits for that", async (world) => {
      const { only, gate } = world;
      const [ann, bob, cid] = [only.share("ann"), only.share("bob"), only.share("cid")];
      gate.signal("SIGSTOP");
      await bob.write("lost/file", "the loser", { mtimeNs: 1_700_000_000_000_000_000n });
      await must("chattr", ["+i", bob.at("lost/file")]);
      await ann.write("lost/file", "the winner");
      gate.signal("SIGCONT");
      await waitFor("it arrives", async () => await cid.readText("lost/file") === "the winner");
      await must("chattr", ["-i", bob.at("lost/file")]);
      await only.settled("lost");
      assertEquals(only.export.list("lost").length, 2);
    });

    test("I3, I6, I7: what was replaced cannot be given up: nothing else lingers for that, nor is a start stopped by it", async (world) => {
      const { only, gate } = world;
      const [ann, bob] = [only.share("ann"), only.share("bob")];
      await ann.write("lingering/file", "first");
      await ann.write("lingering/other", "first");
      await only.settled("lingering");
      // Another name of what is going to be replaced stays in the guest's reach.
      await Deno.link(bob.at("lingering/file"), bob.at("lingering/name"));
      await only.settled("lingering");
      await ann.write("lingering/file", "second");
      await waitFor(
        "it is replaced",
        async () => await bob.readText("lingering/file") === "second",
      );
      await must("chattr", ["+i", bob.at("lingering/name")]);
      await gate.logged(/lingering\/file cannot be given up now/);
      const taken = () =>
        [...Deno.readDirSync(`${only.stateDirectory}/recovery`)].map(({ name }) => name)
          .filter((name) => name.startsWith("taken-"));
      await ann.write("lingering/other", "second");
      await waitFor(
        "it is replaced",
        async () => await bob.readText("lingering/other") === "second",
      );
      await waitFor("nothing else lingers", () => taken().length === 1);
      await world.startGate();
      await ann.write("lingering/after", "the start");
      await waitFor("it goes on", () => bob.has("lingering/after"));
      await must("chattr", ["-i", bob.at("lingering/name")]);
      await only.settled("lingering");
      await waitFor("it is given up", () => taken().length === 0);
    });
  },
);
