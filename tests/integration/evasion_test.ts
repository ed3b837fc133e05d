/** Tricks by which malware could get past the scanner: the bytes that travel are the bytes that were scanned (I1). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { DEBOUNCE_MS } from "../support/channel.ts";
import { EICAR } from "../support/eicar.ts";
import { onEachFilesystem } from "../support/fixture.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

/** As long as EICAR, so that neither size nor name nor time tell them apart. */
const HARMLESS = new Uint8Array(EICAR.length).fill(0x41);

onEachFilesystem(
  "evasions",
  (kind) =>
    World.start(kind, {
      channels: {
        // Infected files stay where they are, so that their author can play with them.
        docs: {
          scanning: {
            infectedAction: "log",
            ignoreFilePatterns: [".part"],
            ignorePathPatterns: [".Trash-"],
          },
        },
      },
      unequal: ["docs"],
    }),
  (test) => {
    /** Nothing infected is anywhere but with ann, now and when everything has been dealt with. */
    const stoppedAt = async ({ only }: World, names: readonly string[]) => {
      assertEquals(await only.infectedElsewhere(["ann"]), []);
      await only.quiet();
      assertEquals(await only.infectedElsewhere(["ann"]), []);
      for (const name of names) {
        assert(only.share("ann").has(name), `${name} is still with its author`);
        assert(!only.export.has(name), `${name} is not in export`);
        assert(!only.share("bob").has(name), `${name} is not with bob`);
      }
    };

    test("I1: an ignored name is renamed to one that travels", async (world) => {
      await world.only.share("ann").write("a/virus.part", EICAR);
      await world.only.quiet();
      await world.only.share("ann").shell("mv a/virus.part a/virus.exe");
      await stoppedAt(world, ["a/virus.exe"]);
    });

    test("I1: an ignored name gets a hard link that travels", async (world) => {
      await world.only.share("ann").write("b/virus.part", EICAR);
      await world.only.quiet();
      await world.only.share("ann").shell("ln b/virus.part b/virus.exe");
      await stoppedAt(world, ["b/virus.exe"]);
    });

    test("I1: a directory is renamed out of an ignored path", async (world) => {
      await world.only.share("ann").write(".Trash-1000/files/c/virus.exe", EICAR);
      await world.only.share("ann").write(".Trash-1000/files/c/clean", "clean");
      await world.only.quiet();
      assert(!world.only.export.has(".Trash-1000"));
      await world.only.share("ann").shell("mv .Trash-1000/files/c c");
      await waitFor("the clean one travels", () => world.only.export.has("c/clean"));
      await stoppedAt(world, ["c/virus.exe"]);
    });

    test("I1: an infected file that was told of is renamed, linked, touched, moved", async (world) => {
      const ann = world.only.share("ann");
      await ann.write("d/virus", EICAR);
      await world.only.quiet();
      await ann.shell(`
        cd d
        mv virus renamed; sleep 0.2
        ln renamed linked; sleep 0.2
        chmod 755 linked; touch -d @1000000000 renamed; sleep 0.2
        mkdir sub; cp -a renamed sub/copied; mv linked sub/moved; sleep 0.2
        mv sub ../d-moved
      `);
      await stoppedAt(world, ["d/renamed", "d-moved/moved", "d-moved/copied"]);
    });

    test("I1: a clean file is infected, and its time put back", async (world) => {
      const ann = world.only.share("ann");
      const mtimeNs = 1_600_000_000_000_000_000n;
      await ann.write("e/file", HARMLESS, { mtimeNs });
      await world.only.settled("e");
      await ann.write("e/file", EICAR, { mtimeNs });
      await world.only.quiet();
      assertEquals(await world.only.export.read("e/file"), HARMLESS);
      assertEquals(await world.only.share("bob").read("e/file"), HARMLESS);
      // The same without ever closing it for writing in the meantime, by rename of a prepared one.
      await ann.write("e/prepared.part", EICAR, { mtimeNs });
      await ann.shell("mv e/prepared.part e/second-file; touch -d @1600000000 e/second-file");
      await stoppedAt(world, ["e/second-file"]);
    });

    test("I1: empty when it is looked at, infected a moment later", async (world) => {
      const ann = world.only.share("ann");
      await ann.shell("mkdir f");
      for (let i = 0; i < 60; i++) {
        using file = await Deno.open(ann.at(`f/${i}`), { create: true, write: true });
        // A second descriptor closes, so that an event says "written" while the file is empty.
        (await Deno.open(ann.at(`f/${i}`), { write: true })).close();
        await sleep(DEBOUNCE_MS + (i % 20) - 8);
        await file.write(EICAR);
      }
      await world.only.quiet();
      assertEquals(await world.only.infectedElsewhere(["ann"]), []);
    });

    test("I1: clean when it is scanned, infected when it is published", async (world) => {
      const ann = world.only.share("ann");
      await ann.shell("mkdir g");
      let leaks: string[] = [];
      for (let i = 0; i < 40 && leaks.length === 0; i++) {
        await ann.write(`g/${i}`, HARMLESS);
        const file = await Deno.open(ann.at(`g/${i}`), { write: true });
        await sleep(DEBOUNCE_MS + (i % 20) - 6);
        for (let flip = 0; flip < 30; flip++) {
          await file.seek(0, Deno.SeekMode.Start);
          await file.write(flip % 2 === 0 ? EICAR : HARMLESS);
        }
        await file.seek(0, Deno.SeekMode.Start);
        await file.write(EICAR);
        file.close();
        leaks = await world.only.infectedElsewhere(["ann"]);
      }
      assertEquals(leaks, []);
      await world.only.quiet();
      assertEquals(await world.only.infectedElsewhere(["ann"]), []);
    });

    test("I1: a scanned name is replaced by an infected file under the gate's eyes", async (world) => {
      const ann = world.only.share("ann");
      await ann.write("h/virus.part", EICAR);
      for (let i = 0; i < 40; i++) {
        await ann.write(`h/${i}`, HARMLESS);
        await sleep(DEBOUNCE_MS + (i % 20) - 6);
        await ann.shell(`cp h/virus.part h/.${i}.part; mv -f h/.${i}.part h/${i}`);
      }
      await world.only.quiet();
      assertEquals(await world.only.infectedElsewhere(["ann"]), []);
    });

    test("I1: infected while the gate was down, under the name of a clean file", async (world) => {
      const ann = world.only.share("ann");
      const mtimeNs = 1_600_000_000_500_000_000n;
      await ann.write("i/file", HARMLESS, { mtimeNs });
      await world.only.settled("i");
      await world.gate.term();
      await ann.write("i/file", EICAR, { mtimeNs });
      await ann.write("i/new", EICAR);
      await world.startGate();
      await world.only.quiet();
      assertEquals(await world.only.export.read("i/file"), HARMLESS);
      assertEquals(await world.only.share("cid").read("i/file"), HARMLESS);
      await stoppedAt(world, ["i/new"]);
    });

    test("I1: ignored files that are no longer ignored are scanned first", async (world) => {
      await world.only.share("ann").write("j/virus.part", EICAR);
      await world.only.share("ann").write("j/clean.part", "clean");
      await world.only.quiet();
      await world.gate.term();
      const { docs } = world.configuration;
      const scanning = { infectedAction: "log", notifySocket: world.user.path };
      await world.startGate({ configuration: { docs: { ...Object(docs), scanning } } });
      await waitFor("the clean one travels", () => world.only.export.has("j/clean.part"));
      await stoppedAt(world, ["j/virus.part"]);
    });
  },
);
