/** The export, removed or replaced on the host while the gate runs. */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertLess } from "@std/assert";
import { onEachFilesystem } from "../support/fixture.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

onEachFilesystem(
  "absent export",
  (kind) => World.start(kind, { channels: { docs: {} } }),
  (test) => {
    test("I3: it is made again where it was removed, told, and filled", async ({ only, gate }) => {
      await only.share("ann").shell("mkdir d; for i in 1 2 3; do echo $i > d/$i; done");
      await only.settled();
      await Deno.remove(only.export.path, { recursive: true });
      await only.share("ann").write("d/meanwhile", "x");
      await gate.logged(/export was removed or replaced: everything is put there again/);
      await waitFor("all is there again", () => only.export.has("d/meanwhile"));
      await only.settled();
      assertEquals(only.export.list("d"), ["1", "2", "3", "meanwhile"]);
    });

    test("I3: the same where it was moved away; what is put in its place is used", async ({ only, gate }) => {
      await only.share("ann").shell("mkdir e; for i in 1 2 3; do echo $i > e/$i; done");
      await only.settled();
      gate.mark();
      await Deno.rename(only.export.path, `${only.export.path}.old`);
      await Deno.mkdir(only.export.path);
      await waitFor("all is there again", () => only.export.list("e").length === 3);
      await only.settled();
      await only.share("bob").write("e/4", "x");
      await waitFor("it goes on", () => only.export.has("e/4"));
      await Deno.remove(`${only.export.path}.old`, { recursive: true });
    });

    test("I2: a link in its place is not followed, and told", async ({ only, gate }) => {
      const elsewhere = `${only.basePath}/elsewhere`;
      await Deno.mkdir(elsewhere);
      await Deno.remove(only.export.path, { recursive: true });
      await Deno.symlink(elsewhere, only.export.path);
      await gate.logged(/export was removed or replaced, and nothing can be put there/);
      await only.share("ann").write("f", "x");
      await waitFor("the others get it", () => only.share("bob").has("f"));
      assertEquals([...Deno.readDirSync(elsewhere)], []);
      await Deno.remove(only.export.path);
      await waitFor("it is there again", () => only.export.has("f"));
      await only.settled();
      await Deno.remove(elsewhere);
    });
  },
);

onEachFilesystem(
  "absent export of write-only producers",
  (kind) =>
    World.start(kind, {
      channels: { docs: { producers: ["web", "mail"], diodeProducers: ["web", "mail"] } },
    }),
  (test) => {
    test("I3: it is filled again from them, with their empty directories", async ({ only, gate }) => {
      await only.share("web").shell("mkdir -p d/empty; echo 1 > d/1");
      await only.share("mail").write("letter", "of mail");
      await waitFor(
        "export has all",
        () => ["d/empty", "d/1", "letter"].every((name) => only.export.has(name)),
      );
      await only.quiet();
      await Deno.remove(only.export.path, { recursive: true });
      await gate.logged(/export was removed or replaced: everything is put there again/);
      await waitFor(
        "all is there again",
        () => ["d/empty", "d/1", "letter"].every((name) => only.export.has(name)),
      );
      assertEquals(await only.export.readText("letter"), "of mail");
    });

    test("I6: a directory that only it is to have is made once, and the daemon rests", async ({ only, gate }) => {
      await only.share("web").shell("mkdir -p n/empty");
      await waitFor("export has it", () => only.export.has("n/empty"));
      await only.quiet();
      const used = gate.processorSeconds();
      const { ino } = await Deno.stat(only.export.at("n/empty"));
      await sleep(2000);
      assertLess(gate.processorSeconds() - used, 0.3);
      assertEquals((await Deno.stat(only.export.at("n/empty"))).ino, ino);
    });

    test("I3: what is missing from it at a start comes again", async (world) => {
      const { only } = world;
      await only.share("web").write("e/missing", "1");
      await only.share("web").write("e/there", "1");
      await waitFor("export has both", () => only.export.list("e").length === 2);
      await only.quiet();
      await world.gate.term();
      await Deno.remove(only.export.at("e/missing"));
      await only.share("web").write("e/there", "2, an update");
      await world.startGate();
      await waitFor("it is there again", () => only.export.has("e/missing"));
      await only.quiet();
      assertEquals(await only.export.readText("e/there"), "1");
    });
  },
);
