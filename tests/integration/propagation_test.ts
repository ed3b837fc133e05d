/** What any producer does to clean files ends the same in every other share and in export (I3). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { fileName, fromText } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { DEBOUNCE_MS, GUEST_ID } from "../support/channel.ts";
import { clean } from "../support/eicar.ts";
import { onEachFilesystem } from "../support/fixture.ts";
import { readTree } from "../support/tree.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

/** A time with nanoseconds that no rounding would leave alone. */
const MTIME_NS = 1_500_000_000_123_456_789n;

onEachFilesystem(
  "propagation",
  (kind) =>
    World.start(kind, {
      channels: { docs: {} },
      clamd: { MaxFileSize: "300M", MaxScanSize: "300M" },
    }),
  (test) => {
    test("I3, I4: a nested file arrives with content, mode, owner and time in ns", async ({ only }) => {
      await only.share("ann").write("nested/a/b/c.bin", clean(1, 70_001), {
        mode: 0o640,
        uid: GUEST_ID,
        gid: 2000,
        mtimeNs: MTIME_NS,
      });
      await only.settled("nested");
      const arrived = [...await readTree(only.export.at("nested/a/b"))];
      assertEquals(arrived, [["c.bin", {
        type: "f",
        mode: "640",
        owner: "1000:2000",
        mtime: "1500000000.1234567890",
        size: "70001",
        target: "",
        lists: "",
      }]]);
      assertEquals(await only.export.read("nested/a/b/c.bin"), clean(1, 70_001));
    });

    test("I3: an empty file arrives", async ({ only }) => {
      await only.share("bob").write("empty/file", "", { mode: 0o600, mtimeNs: MTIME_NS });
      await waitFor("the empty file is in export", () => only.export.has("empty/file"));
      await only.settled("empty");
    });

    test("I3: a sparse file of 100 MiB arrives", async ({ only }) => {
      await only.share("ann").shell(`
        mkdir sparse
        truncate -s 100M sparse/disk.img
        printf end >> sparse/disk.img
      `);
      await waitFor("the file is in export", () => only.export.has("sparse/disk.img"), 120_000);
      await only.settled("sparse");
    });

    test("I3, I9: names are bytes: not UTF-8, newlines, quotes, blanks, dashes, 255 bytes", async ({ only }) => {
      await only.share("cid").shell(`
        mkdir names
        cd names
        mk() { printf '%s' "$1" > "./$1"; }
        mk "$(printf 'latin-caf\\351')"
        mk "$(printf 'broken-\\377\\376-utf8')"
        mk "$(printf 'two\\nlines')"
        mk "$(printf 'escape-\\033[31m-red')"
        mk ' leading blank'
        mk 'trailing blank '
        mk -rf
        mk '"quoted" and '"'single'"
        mk 'back\\slash'
        mk '..dots'
        mk '...'
        mk 'grüße-日本語-🎉'
        mk "$(printf 'a%.0s' $(seq 255))"
        mkdir "$(printf 'dir-\\351')"
        mk "$(printf 'dir-\\351/file-\\352')"
      `);
      await waitFor(
        "all names are in export",
        async () => (await readTree(only.export.at("names"))).size === 15,
      );
      await only.settled("names");
    });

    test("I3: each producer's change reaches all others", async ({ only }) => {
      await only.share("ann").write("shared/text", "by ann");
      await only.settled("shared");
      for (const name of ["bob", "cid", "ann", "cid"]) {
        await only.share(name).write("shared/text", `then by ${name}`);
        await waitFor(
          `export has what ${name} wrote`,
          async () => await only.export.readText("shared/text") === `then by ${name}`,
        );
        await only.settled("shared");
      }
    });

    test("I3: appending, truncating and writing in place travel", async ({ only }) => {
      const ann = only.share("ann");
      await ann.write("inplace/log", "first\n");
      await ann.write("inplace/cut", "0123456789");
      await ann.write("inplace/patch", "0123456789");
      await only.settled("inplace");
      await ann.shell(`
        cd inplace
        echo second >> log
        truncate -s 4 cut
        printf XY | dd of=patch bs=1 seek=3 conv=notrunc status=none
      `);
      await waitFor(
        "all three changes are in export",
        async () =>
          await only.export.readText("inplace/log") === "first\nsecond\n" &&
          await only.export.readText("inplace/cut") === "0123" &&
          await only.export.readText("inplace/patch") === "012XY56789",
      );
      await only.settled("inplace");
    });

    test("I3: the last of many quick versions wins", async ({ only }) => {
      const bob = only.share("bob");
      for (let version = 0; version <= 60; version++) {
        await bob.write("quick/file", `version ${version}`);
        await sleep(version % 7 === 0 ? DEBOUNCE_MS : 5);
      }
      await waitFor(
        "export has the last version",
        async () => await only.export.readText("quick/file") === "version 60",
      );
      await only.settled("quick");
    });

    test("I3: a file that is closed again and again without a pause is still published", async ({ only }) => {
      await only.share("ann").shell("mkdir busy");
      let writing = true;
      const writer = (async () => {
        for (let i = 0; writing; i++) {
          await only.share("ann").write("busy/file", `${i}`);
          await sleep(DEBOUNCE_MS / 6);
        }
      })();
      try {
        await waitFor(
          "export gets the file while it is being written",
          () => only.export.has("busy/file"),
          20_000,
        );
      } finally {
        writing = false;
        await writer;
      }
      await only.settled("busy");
    });

    test("I3: what is written by a process that never closes arrives once it is quiet", async ({ only }) => {
      using file = await Deno.open(only.share("cid").at("kept-open"), {
        write: true,
        create: true,
      });
      await file.write(new TextEncoder().encode("written, not closed"));
      await waitFor(
        "export has the content",
        async () => await only.export.readText("kept-open") === "written, not closed",
      );
    });

    test("I3: a deletion by somebody else than the author travels", async ({ only }) => {
      await only.share("ann").write("gone/one", "1");
      await only.share("bob").write("gone/two", "2");
      await waitFor("both are in export", () => only.export.list("gone").length === 2);
      await only.settled("gone");
      await only.share("cid").shell("rm gone/one gone/two");
      await waitFor("both have left export", () => only.export.list("gone").length === 0);
      await only.settled("gone");
      assertEquals(only.share("ann").list("gone"), []);
    });

    test("I3: what is moved from one share over the same file in another one stays, and comes back", async ({ only }) => {
      const [ann, bob] = [only.share("ann"), only.share("bob")];
      await ann.write("moved", "by the host");
      await only.settled();
      Deno.renameSync(ann.at("moved"), bob.at("moved"));
      await only.quiet();
      await only.settled();
      for (const peer of only.peers) assertEquals(await peer.readText("moved"), "by the host");
    });

    test("I3: rename, rename over another file, and back", async ({ only }) => {
      const ann = only.share("ann");
      await ann.write("rename/a", "was a");
      await ann.write("rename/b", "was b");
      await only.settled("rename");
      await only.share("bob").shell("mv rename/a rename/c");
      await waitFor(
        "c is in export and a is not",
        () => only.export.has("rename/c") && !only.export.has("rename/a"),
      );
      await only.settled("rename");
      await only.share("cid").shell("mv -f rename/c rename/b");
      await waitFor("only b is left", () => only.export.list("rename").join() === "b");
      await only.settled("rename");
      assertEquals(await only.export.readText("rename/b"), "was a");
      await ann.shell("mv rename/b rename/a");
      await waitFor("only a is left", () => only.export.list("rename").join() === "a");
      await only.settled("rename");
    });

    test("I3: two files that exchange their names", async ({ only }) => {
      const bob = only.share("bob");
      await bob.write("swap/x", "content of x");
      await bob.write("swap/y", "content of y, longer");
      await only.settled("swap");
      await bob.shell("cd swap; mv x t; mv y x; mv t y");
      await waitFor(
        "x and y are exchanged in export",
        async () =>
          await only.export.readText("swap/x") === "content of y, longer" &&
          await only.export.readText("swap/y") === "content of x",
      );
      await only.settled("swap");
      assertEquals(only.export.list("swap"), ["x", "y"]);
    });

    test("I3: a change of mode, owner or time alone travels", async ({ only }) => {
      const ann = only.share("ann");
      for (const name of ["mode", "owner", "time"]) await ann.write(`attributes/${name}`, name);
      await only.settled("attributes");
      only.share("bob").setAttributes("attributes/mode", { mode: 0o400 });
      only.share("cid").setAttributes("attributes/owner", { uid: 1234, gid: 1235 });
      ann.setAttributes("attributes/time", { mtimeNs: MTIME_NS });
      await waitFor("all three are in export", async () => {
        const entries = [...(await readTree(only.export.at("attributes"))).values()];
        return entries.some(({ mode }) => mode === "400") &&
          entries.some(({ owner }) => owner === "1234:1235") &&
          entries.some(({ mtime }) => mtime.startsWith("1500000000.123456789"));
      });
      await only.settled("attributes");
    });

    test("I3: a second hard link to a file is a file like any other", async ({ only }) => {
      await only.share("ann").write("links/one", "linked");
      await only.settled("links");
      await only.share("ann").shell("ln links/one links/two");
      await waitFor("the second name is in export", () => only.export.has("links/two"));
      await only.settled("links");
      await only.share("ann").shell("echo changed > links/two");
      await waitFor(
        "the change is in export",
        async () => await only.export.readText("links/two") === "changed\n",
      );
      // No event tells that the content of the other name has changed with it.
      await only.settled("links");
    });

    test("I3: what is written by one of two names, which is gone at once, travels", async ({ only }) => {
      const ann = only.share("ann");
      await ann.write("links/left", "first");
      await only.settled("links");
      await ann.shell("ln links/left links/lost");
      await only.settled("links");
      await ann.shell("chmod 640 links/left"); // both names are known
      await only.settled("links");
      await ann.shell("echo second > links/lost; rm links/lost");
      await waitFor(
        "the change is in export",
        async () => await only.export.readText("links/left") === "second\n",
        5_000,
      );
      await only.settled("links");
    });

    test("I3: what is written by way of a name that is gone, since the file has got another one, travels", async ({ only }) => {
      const ann = only.share("ann");
      await ann.write("gone/temporary", "first");
      // As virtiofsd does for its guest: it opens all that it has once looked up by what it held then.
      using directory = Directory.openTrusted(fromText(ann.at("gone")));
      using held = directory.openHandle(fileName("temporary"));
      const way = `/proc/${Deno.pid}/fd/${held?.fd}`;
      await ann.shell("cd gone; ln temporary final; rm temporary");
      await only.settled("gone");
      for (const text of ["second", "third"]) {
        await Deno.writeTextFile(way, text);
        await waitFor(
          `export has the ${text}`,
          async () => await only.export.readText("gone/final") === text,
          20_000,
        );
      }
      await only.settled("gone");
    });

    test("I4: a reader that looks all the time sees whole files with the right mode only", async ({ only }) => {
      const size = 300_000;
      let reading = true;
      let looks = 0;
      const reader = (async () => {
        const names = new Set<string>();
        while (reading) {
          for (const name of only.share("bob").list("whole")) names.add(name);
          const bytes = await only.share("bob").read("whole/file");
          if (bytes !== undefined) {
            looks++;
            assertEquals(bytes.length, size);
            assert(bytes.every((byte) => byte === bytes[0]), "bytes of two versions in one file");
            const { mode, uid } = await Deno.lstat(only.share("bob").at("whole/file"));
            assertEquals([(mode ?? 0) & 0o7777, uid], [0o604, GUEST_ID]);
          }
          await sleep(1);
        }
        return names;
      })();
      try {
        for (let version = 1; version <= 12; version++) {
          // Prepared outside and renamed in, so that the source is whole, too.
          await only.share("ann").write(".whole-next", new Uint8Array(size).fill(version), {
            mode: 0o604,
            uid: GUEST_ID,
          });
          await only.share("ann").shell("mkdir -p whole; mv .whole-next whole/file");
          await sleep(DEBOUNCE_MS);
        }
        await waitFor(
          "bob has the last version",
          async () => (await only.share("bob").read("whole/file"))?.[0] === 12,
        );
      } finally {
        reading = false;
      }
      assertEquals([...await reader], ["file"]);
      assert(looks > 0);
      await only.settled("whole");
    });
  },
);
