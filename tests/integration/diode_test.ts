/** Diode producers give and never receive, and never overwrite (the table of the specification). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess } from "@std/assert";
import { AbsentShare } from "../support/absent_share.ts";
import { DEBOUNCE_MS } from "../support/channel.ts";
import { must } from "../support/command.ts";
import { EICAR } from "../support/eicar.ts";
import { onEachFilesystem, testOnEachFilesystem } from "../support/fixture.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

onEachFilesystem(
  "diodes",
  (kind) =>
    World.start(kind, {
      channels: {
        docs: {
          producers: ["ann", "bob", "web", "mail"],
          diodeProducers: ["web", "mail"],
          scanning: { ignoreFilePatterns: ["*.private"] },
        },
      },
    }),
  (test) => {
    /** Places that a diode's file reaches. */
    const PLACES = ["ann", "bob", "export"];

    test("what others write, change and delete never reaches a diode", async ({ only }) => {
      await only.share("ann").write("theirs/file", "1");
      await waitFor("bob has it", () => only.share("bob").has("theirs/file"));
      await only.share("bob").write("theirs/file", "2");
      await only.share("bob").shell("mkdir theirs/dir");
      await waitFor(
        "ann has the change",
        async () =>
          await only.share("ann").readText("theirs/file") === "2" &&
          only.share("ann").has("theirs/dir"),
      );
      await only.quiet();
      for (const diode of ["web", "mail"]) assert(!only.share(diode).has("theirs"));
      await only.settled("theirs");
    });

    test("a diode's new file reaches the others and export, not the other diode", async ({ only }) => {
      await only.share("web").write("down/load/file.pdf", "downloaded", { mode: 0o640, uid: 1000 });
      await waitFor(
        "all have it",
        () => PLACES.every((name) => only.share(name).has("down/load/file.pdf")),
      );
      await only.settled("down");
      assert(!only.share("mail").has("down"));
    });

    test("I3: a diode's new file that nobody can take travels when somebody can", async ({ only, gate }) => {
      const roots = PLACES.map((name) => only.share(name).path);
      await must("chattr", ["+i", ...roots]);
      try {
        await only.share("web").shell("mkdir refused-directory; echo new > refused-file");
        await gate.logged(/ann\/refused-file cannot be written/);
        await gate.logged(/ann\/refused-directory cannot be made/);
      } finally {
        await must("chattr", ["-i", ...roots]);
      }
      await waitFor(
        "all have both",
        () =>
          PLACES.every((name) =>
            only.share(name).has("refused-file") && only.share(name).has("refused-directory")
          ),
      );
    });

    test("I4: what a diode is still writing travels when it is whole, across a restart, too", async (world) => {
      const { only } = world;
      const web = only.share("web");
      using writer = await Deno.open(web.at("growing"), { write: true, createNew: true });
      await writer.write(new TextEncoder().encode("first half, "));
      const nobodyHasIt = async (probe: string) => {
        await web.write(probe, probe);
        await waitFor(
          "what is whole arrives",
          () => PLACES.every((name) => only.share(name).has(probe)),
        );
        await sleep(10 * DEBOUNCE_MS);
        for (const name of PLACES) assert(!only.share(name).has("growing"), `${name} has a half`);
      };
      await nobodyHasIt("beside-1");
      await world.gate.term();
      await world.startGate();
      await nobodyHasIt("beside-2");
      await writer.write(new TextEncoder().encode("second half"));
      writer.close();
      await waitFor("it arrives", () => PLACES.every((name) => only.share(name).has("growing")));
      for (const name of PLACES) {
        assertEquals(await only.share(name).readText("growing"), "first half, second half");
      }
      await only.settled("growing");
    });

    test("a diode's update goes only where the file does not exist", async ({ only }) => {
      await only.share("web").write("update/file", "first");
      await waitFor(
        "all have it",
        () => PLACES.every((name) => only.share(name).has("update/file")),
      );
      await only.share("web").write("update/file", "second, longer");
      await only.quiet();
      for (const name of PLACES) {
        assertEquals(await only.share(name).readText("update/file"), "first");
      }
      assertEquals(await only.share("web").readText("update/file"), "second, longer");
    });

    test("a diode never overwrites the others' file, and makes no conflict copy", async ({ only }) => {
      await only.share("ann").write("over/file", "by ann");
      await only.settled("over");
      await only.share("mail").write("over/file", "by mail");
      await only.quiet();
      for (const name of PLACES) {
        assertEquals(await only.share(name).readText("over/file"), "by ann");
        assertEquals(only.share(name).list("over"), ["file"]);
      }
      assertEquals(only.share("mail").list("over"), ["file"]);
    });

    test("I3: nor what does not travel itself: links, special files, ignored files, and what is below", async ({ only }) => {
      const list = (name: string) => only.share(name).shell("ls -l --time-style=+ special");
      await only.share("ann").shell(`
        mkdir -p special; cd special
        ln -s /etc/passwd link; ln -s /etc linked-directory; mkfifo fifo; echo mine > 1.private
      `);
      await waitFor("bob has the directory", () => only.share("bob").has("special"));
      await only.quiet();
      const before = await list("ann");
      await only.share("web").shell(`
        mkdir -p special; cd special
        echo web > link; echo web > fifo
        mkdir linked-directory 1.private; echo web > linked-directory/x; echo web > 1.private/x
      `);
      await only.quiet();
      assertEquals(await list("ann"), before);
      assertEquals(await only.share("ann").readText("special/1.private"), "mine\n");
      for (const name of ["bob", "export"]) assertEquals(only.share(name).list("special"), []);
      await only.share("ann").shell("rm -r special");
      await waitFor("it is gone", () => !only.export.has("special"));
    });

    test("I6: what lies below a name that is taken is skipped, and the daemon rests", async ({ only, gate }) => {
      await only.share("web").write("name", "a file");
      await waitFor("all have it", () => PLACES.every((place) => only.share(place).has("name")));
      await only.share("web").shell(
        "rm name; mkdir name; cd name; for i in $(seq 300); do echo $i > $i; done",
      );
      await only.quiet();
      const used = gate.processorSeconds();
      await sleep(2000);
      assertLess(gate.processorSeconds() - used, 0.3);
      for (const place of PLACES) {
        assertEquals(await only.share(place).readText("name"), "a file");
      }
    });

    test("a diode's deletion stays with it", async ({ only }) => {
      await only.share("web").write("kept/file", "kept");
      await waitFor("all have it", () => PLACES.every((name) => only.share(name).has("kept/file")));
      await only.share("web").shell("rm -r kept");
      await only.quiet();
      for (const name of PLACES) assertEquals(await only.share(name).readText("kept/file"), "kept");
      assert(!only.share("web").has("kept"));
    });

    test("a diode's rename is a new file; the old name stays with the others", async ({ only }) => {
      await only.share("web").write("rename/name.crdownload", "half");
      await waitFor(
        "all have it",
        () => PLACES.every((name) => only.share(name).has("rename/name.crdownload")),
      );
      await only.share("web").shell(
        "cd rename; printf whole > name.crdownload; mv name.crdownload name",
      );
      await waitFor("all have the new name", async () => {
        for (const name of PLACES) {
          if (await only.share(name).readText("rename/name") !== "whole") return false;
        }
        return true;
      });
      await only.quiet();
      for (const name of PLACES) {
        assertEquals(only.share(name).list("rename"), ["name", "name.crdownload"]);
      }
      assertEquals(only.share("web").list("rename"), ["name"]);
      await only.settled("rename");
    });

    test("the others may change and delete what came from a diode", async ({ only }) => {
      await only.share("web").write("given/a", "1");
      await only.share("web").write("given/b", "1");
      await only.share("web").shell("mkdir given/empty");
      await waitFor("bob has all", () => only.share("bob").list("given").length === 3);
      await only.settled("given");
      await only.share("bob").shell("cd given; rm a; rmdir empty; echo 2 > b");
      await waitFor(
        "ann and export see it",
        async () =>
          !only.share("ann").has("given/a") && !only.export.has("given/a") &&
          await only.share("ann").readText("given/b") === "2\n" &&
          await only.export.readText("given/b") === "2\n",
      );
      await only.quiet();
      assertEquals(await only.share("web").readText("given/a"), "1");
      assertEquals(await only.share("web").readText("given/b"), "1");
      await only.settled("given");
    });

    test("I1: a diode's malware reaches nobody and is deleted", async ({ only }) => {
      await only.share("mail").write("bad/attachment", EICAR);
      await waitFor("it is deleted", () => !only.share("mail").has("bad/attachment"));
      await only.quiet();
      assertEquals(await only.infectedElsewhere(), []);
    });

    test("a tree of 300 files from a diode arrives whole", async ({ only }) => {
      await only.share("web").shell(`
        for d in 1 2 3; do mkdir -p tree/$d; for i in $(seq 100); do echo $d $i > tree/$d/$i; done; done
      `);
      await waitFor(
        "export has all",
        () => [1, 2, 3].every((d) => only.export.list(`tree/${d}`).length === 100),
      );
      await only.settled("tree");
    });

    test("I3: a restart keeps to the table, too", async (world) => {
      const { only } = world;
      await world.gate.term();
      await only.share("web").write("offline/new", "new");
      await only.share("web").write("update/file", "third, while it was down");
      await only.share("ann").write("offline/by-ann", "ann");
      await world.startGate();
      await waitFor(
        "all have both",
        () => PLACES.every((name) => only.share(name).list("offline").length === 2),
      );
      await only.quiet();
      for (const name of PLACES) {
        assertEquals(await only.share(name).readText("update/file"), "first");
        assertEquals(await only.share(name).readText("kept/file"), "kept");
      }
      assertEquals(only.share("web").list("offline"), ["new"]);
      assertEquals(only.share("mail").has("offline"), false);
      assertEquals(await only.share("web").readText("given/a"), "1");
      assert(!only.share("ann").has("given/a"), "what the others deleted stays deleted");
      assert(!only.share("ann").has("given/empty"), "directories, too");
    });
  },
);

testOnEachFilesystem(
  "I1: a diode's malware that stayed beside the others' file goes when it is to be deleted",
  async (kind) => {
    const scanning = { infectedAction: "log" };
    const docs = { producers: ["ann", "web"], diodeProducers: ["web"], scanning };
    await using world = await World.start(kind, { channels: { docs } });
    const { only, gate, user } = world;
    await only.share("ann").write("letter", "by ann");
    await only.settled();
    await only.share("web").write("letter", EICAR);
    await waitFor("the user is told", () => user.lines.length === 1);
    await only.quiet();
    const changed = { ...only.options.scanning, infectedAction: "delete" };
    gate.configure({ docs: { ...only.configuration, scanning: changed } });
    await gate.reload();
    await waitFor("it is gone", () => !only.share("web").has("letter"));
    assertEquals(await only.export.readText("letter"), "by ann");
  },
);

testOnEachFilesystem(
  "I3: a diode's directory in place of its own former file reaches who was away",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { producers: ["ann", "web"], diodeProducers: ["web"] } },
    });
    const { only } = world;
    await only.share("ann").write("f", "ann's");
    await waitFor("the export has it", () => only.export.has("f"));
    await only.share("web").write("f", "web's");
    await only.quiet();
    await only.share("ann").shell("rm f");
    await waitFor("it is gone", () => !only.export.has("f"));
    await only.quiet();
    const ann = await AbsentShare.take(world, "ann");
    await only.share("web").shell("rm f; mkdir f");
    await waitFor("the export has the directory", () => only.export.has("f"));
    await ann.back();
    await waitFor("ann has it", () => only.share("ann").has("f"));
    await only.settled();
  },
);

testOnEachFilesystem(
  "I6: a diode's large file that is appended to is scanned no more often than another's",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { producers: ["ann", "web"], diodeProducers: ["web"] } },
    });
    const { only, clamd } = world;
    const scansOf = async (name: string) => {
      const log = only.share(name).at(`${name}.log`);
      await Deno.writeFile(log, crypto.getRandomValues(new Uint8Array(65_536)));
      await Deno.truncate(log, 20_000_000);
      const before = clamd.scans;
      const start = performance.now();
      while (performance.now() - start < 5_000) {
        await Deno.writeTextFile(log, "one more line\n", { append: true });
        await sleep(10);
      }
      await waitFor("it travels", () => only.export.has(`${name}.log`));
      await only.quiet();
      return clamd.scans - before;
    };
    const [usual, diode] = [await scansOf("ann"), await scansOf("web")];
    assertLess(diode, 1.3 * usual + 3);
  },
);
