/** Names that do not travel, and what happens when a file gets or loses one. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { EICAR } from "../support/eicar.ts";
import { onEachFilesystem } from "../support/fixture.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

onEachFilesystem(
  "ignored names",
  (kind) =>
    World.start(kind, {
      channels: {
        docs: {
          scanning: {
            ignoreFilePatterns: [".crdownload", "~$", "*.tmp", "[0-9].swp"],
            ignorePathPatterns: [".Trash-", "build/*/cache", "node_modules/"],
          },
        },
      },
      unequal: ["docs"], // ignored files stay where they are
    }),
  (test) => {
    test("file patterns match the name, as text or as a glob", async ({ only }) => {
      const travelling = ["report.pdf", "tmp.txt", "x.tmp.txt", "12.swp", "crdownload"];
      const ignored = ["a.crdownload", "a.crdownload.bak", "~$report.doc", "x.tmp", "1.swp"];
      for (const name of [...ignored, ...travelling]) {
        await only.share("ann").write(`f/${name}`, name);
      }
      await waitFor(
        "the others travel",
        () => travelling.every((name) => only.export.has(`f/${name}`)),
      );
      await only.quiet();
      for (const place of [only.export, only.share("bob")]) {
        assertEquals(place.list("f"), travelling.toSorted());
      }
      assertEquals(only.share("ann").list("f").length, 10);
    });

    test("path patterns match the relative path, with everything below", async ({ only }) => {
      await only.share("ann").write(".Trash-1000/files/old", "old");
      await only.share("ann").write("deep/.Trash-0/old", "old");
      await only.share("ann").write("build/x/cache/object", "object");
      await only.share("ann").write("node_modules/package/index.js", "script");
      await only.share("ann").write("build/x/output", "output");
      await waitFor("what is not ignored travels", () => only.export.has("build/x/output"));
      await only.quiet();
      for (const place of [only.export, only.share("cid")]) {
        assert(!place.has(".Trash-1000/files/old"));
        assert(!place.has("deep/.Trash-0/old"));
        assert(!place.has("build/x/cache/object"));
        assert(!place.has("node_modules"), "not even the directory itself");
      }
    });

    test("I3: a file renamed to an ignored name is deleted for the others, and comes back", async ({ only }) => {
      await only.share("ann").write("r/file", "content");
      await waitFor("export has it", () => only.export.has("r/file"));
      await only.share("ann").shell("mv r/file r/file.tmp");
      await waitFor(
        "it has left the others",
        () => !only.export.has("r/file") && !only.share("bob").has("r/file"),
      );
      assertEquals(await only.share("ann").readText("r/file.tmp"), "content");
      await only.share("ann").shell("mv r/file.tmp r/file");
      await waitFor("it is back", async () =>
        await only.export.readText("r/file") === "content" &&
        await only.share("bob").readText("r/file") === "content");
    });

    test("I3: a file moved to the bin is deleted for the others, the bin stays private", async ({ only }) => {
      await only.share("bob").write("bin/file", "content");
      await waitFor("export has it", () => only.export.has("bin/file"));
      await only.share("bob").shell("mkdir -p .Trash-1000/files; mv bin/file .Trash-1000/files/");
      await waitFor(
        "it has left the others",
        () => !only.export.has("bin/file") && !only.share("ann").has("bin/file"),
      );
      assert(!only.export.has(".Trash-1000"));
      assert(only.share("bob").has(".Trash-1000/files/file"));
    });

    test("I3: a directory takes the place of nobody's ignored file, and comes when that is gone", async ({ only }) => {
      await only.share("bob").write("film.tmp", "a download of hours");
      await only.quiet();
      await only.share("ann").shell("mkdir film.tmp; echo x > film.tmp/scene");
      await waitFor(
        "the others go on",
        () => only.share("cid").has("film.tmp/scene") && only.export.has("film.tmp/scene"),
      );
      await only.quiet();
      assertEquals(await only.share("bob").readText("film.tmp"), "a download of hours");
      await only.share("bob").shell("mv film.tmp film");
      await waitFor(
        "all have both",
        () => only.share("bob").has("film.tmp/scene") && only.share("ann").has("film"),
      );
      assertEquals(await only.export.readText("film"), "a download of hours");
    });

    test("I3: an empty directory does not either, and its removal leaves that file alone", async ({ only }) => {
      await only.share("bob").write("song.tmp", "mine");
      await only.share("ann").shell("mkdir song.tmp");
      await waitFor("the others go on", () => only.share("cid").has("song.tmp"));
      await only.quiet();
      await only.share("ann").shell("rmdir song.tmp");
      await waitFor(
        "it has left the others",
        () => !only.share("cid").has("song.tmp") && !only.export.has("song.tmp"),
      );
      await only.quiet();
      assertEquals(await only.share("bob").readText("song.tmp"), "mine");
      await only.share("ann").shell("mkdir song.tmp");
      await waitFor("the others go on", () => only.share("cid").has("song.tmp"));
      await only.share("bob").shell("rm song.tmp");
      await waitFor("it comes", () => only.share("bob").has("song.tmp"));
    });

    test("I3: a browser's download arrives under its final name only", async ({ only }) => {
      await only.share("cid").shell(`
        mkdir -p dl
        printf half > dl/file.iso.crdownload
        sleep 0.2
        printf whole > dl/file.iso.crdownload
        mv dl/file.iso.crdownload dl/file.iso
      `);
      await waitFor(
        "it is in export",
        async () => await only.export.readText("dl/file.iso") === "whole",
      );
      await only.quiet();
      assertEquals(only.share("ann").list("dl"), ["file.iso"]);
    });

    test("the refresh mark of the guests' notifier is ignored in every share", async ({ only }) => {
      for (const name of only.producers) await only.share(name).write(".virtiofs-refresh", name);
      await only.share("ann").write("sub/.virtiofs-refresh", "");
      await only.quiet();
      assert(!only.export.has(".virtiofs-refresh"));
      assert(!only.share("bob").has("sub/.virtiofs-refresh"));
      assertEquals(await only.share("ann").readText(".virtiofs-refresh"), "ann");
    });

    test("I1: nothing ignored is ever scanned, removed or published", async (world) => {
      const { only } = world;
      await only.share("ann").write("i/malware.tmp", EICAR);
      const scans = world.clamd.scans;
      await only.quiet();
      assertEquals(world.clamd.scans - scans, only.producers.length); // the files of quiet()
      assert(only.share("ann").has("i/malware.tmp"));
      assertEquals(await only.infectedElsewhere(["ann"]), []);
    });
  },
);
