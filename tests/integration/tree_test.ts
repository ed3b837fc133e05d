/** Directories and whole trees, made, moved and removed by any producer (I3). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { GUEST_ID } from "../support/channel.ts";
import { must } from "../support/command.ts";
import { onEachFilesystem } from "../support/fixture.ts";
import { readTree } from "../support/tree.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

onEachFilesystem(
  "trees",
  (kind) => World.start(kind, { channels: { docs: {} } }),
  (test) => {
    test("I3: a directory is renamed, moved deeper, and written to at once", async ({ only }) => {
      await only.share("ann").shell(`
        mkdir -p dirs/old/deep/deeper dirs/place
        for i in 1 2 3 4 5; do echo $i > dirs/old/$i; echo $i > dirs/old/deep/deeper/$i; done
      `);
      await waitFor("the tree is in export", () => only.export.has("dirs/old/deep/deeper/5"));
      await only.settled("dirs");
      await only.share("bob").shell("mv dirs/old dirs/new; echo now > dirs/new/deep/at-once");
      await waitFor(
        "the new tree is in export",
        () => only.export.has("dirs/new/deep/at-once") && !only.export.has("dirs/old"),
      );
      await only.settled("dirs");
      await only.share("cid").shell(`
        mv dirs/new dirs/place/here
        mv dirs/place/here/deep dirs/place/here/shallow
        echo again > dirs/place/here/shallow/deeper/at-once
      `);
      await waitFor(
        "the moved tree is in export",
        () =>
          only.export.has("dirs/place/here/shallow/deeper/at-once") && !only.export.has("dirs/new"),
      );
      await only.settled("dirs");
      assertEquals((await readTree(only.export.at("dirs"))).size, 16);
    });

    test("I3: cp -r of 2,000 files in 500 directories", async ({ only, filesystem }) => {
      const source = await filesystem.directory("source");
      await must("sh", [
        "-ec",
        `
        cd "$1"
        for a in $(seq 10); do for b in $(seq 49); do
          mkdir -p $a/$b
          for c in 1 2 3 4; do echo "$a $b $c" > $a/$b/$c; done
        done; for c in 1 2 3 4; do echo "$a $c" > $a/file-$c; done; done
      `,
        "sh",
        source,
      ]);
      await only.share("ann").shell(`cp -r '${source}' many`);
      assertEquals((await readTree(only.share("ann").at("many"))).size, 2500);
      await waitFor(
        "all are in export",
        async () => (await readTree(only.export.at("many"))).size === 2500,
        120_000,
      );
      await only.settled("many");
    });

    test("I3: rm -r of 2,000 files in 500 directories", async ({ only }) => {
      await only.share("cid").shell("rm -r many");
      await waitFor(
        "nothing is left anywhere",
        () => only.peers.every((share) => !share.has("many")),
        120_000,
      );
      await only.settled("many");
    });

    test("I3: a tree moved into the share arrives, moved out it leaves", async ({ only, filesystem }) => {
      const outside = await filesystem.directory("outside");
      await must("sh", [
        "-ec",
        `
        cd "$1"
        mkdir -p tree/sub/subsub tree/empty
        for i in $(seq 50); do echo $i > tree/sub/subsub/$i; done
        echo top > tree/top
      `,
        "sh",
        outside,
      ]);
      await only.share("bob").shell(`mv '${outside}/tree' moved-in`);
      await waitFor(
        "the tree is in export",
        async () => (await readTree(only.export.at("moved-in"))).size === 54,
      );
      await only.settled("moved-in");
      await only.share("ann").shell(`mv moved-in '${outside}/back'`);
      await waitFor(
        "the tree has left export and the others",
        () => only.peers.every((share) => !share.has("moved-in")),
      );
      await only.settled();
      assertEquals((await readTree(`${outside}/back`)).size, 54);
    });

    test("I3: a removed tree does not come back because what is deepest takes long to go", async ({ only }) => {
      const [ann, bob] = [only.share("ann"), only.share("bob")];
      await ann.shell("mkdir -p chain/1/2/3/4");
      await waitFor("the chain is in export", () => only.export.has("chain/1/2/3/4"));
      await only.settled("chain");
      await must("chattr", ["+i", bob.at("chain/1/2/3/4")]);
      try {
        await ann.shell("rm -r chain");
        await waitFor(
          "the rest of it is gone where nothing hinders",
          () => !only.export.has("chain/1/2/3/4"),
        );
        // Longer than the gate waits for what it cannot explain to leave a directory.
        await new Promise((resolve) => setTimeout(resolve, 10_000));
        assertEquals(ann.has("chain"), false);
      } finally {
        await must("chattr", ["-i", bob.at("chain/1/2/3/4")]);
      }
      await waitFor(
        "all of it is gone",
        () => [bob, only.share("cid"), only.export].every((place) => !place.has("chain")),
      );
      assertEquals(ann.has("chain"), false);
    });

    test("I3: 50 times a new directory that is written to at once", async ({ only }) => {
      await only.share("cid").shell(`
        for i in $(seq 50); do mkdir -p fresh/$i/a/b/c; echo $i > fresh/$i/a/b/c/file; done
      `);
      await waitFor(
        "all 50 files are in export",
        async () =>
          [...await readTree(only.export.at("fresh"))].filter(([, { type }]) => type === "f")
            .length === 50,
      );
      await only.settled("fresh");
    });

    test("I3: empty directories travel, with owner and mode", async ({ only }) => {
      await only.share("ann").shell(`
        mkdir -p hollow/in/side
        chmod 750 hollow/in
        chmod 700 hollow/in/side
        chown -R ${GUEST_ID}:2000 hollow
      `);
      await waitFor("the directories are in export", () => only.export.has("hollow/in/side"));
      await only.settled("hollow");
      await only.share("bob").shell("rmdir hollow/in/side");
      await waitFor("the inner one has left export", () => !only.export.has("hollow/in/side"));
      await only.settled("hollow");
    });

    test("I2: SUID, SGID and sticky bits do not travel, the rest of the mode does", async ({ only }) => {
      await only.share("ann").shell(`
        mkdir bits bits/dir
        echo program > bits/file
        echo in > bits/dir/in
        chmod 6755 bits/file
        chmod 3770 bits/dir
      `);
      for (const place of [only.share("bob"), only.share("cid"), only.export]) {
        const modes = () =>
          waitFor(`the modes are right in ${place.name}`, async () => {
            const tree = new Map([...await readTree(place.at("bits"))].map(
              ([path, { mode }]) => [String(path), mode],
            ));
            return tree.get("file") === "755" && tree.get("dir") === "770" && tree.has("dir/in");
          });
        await modes();
      }
      await only.share("ann").shell("rm -r bits");
      await waitFor("export has lost them", () => !only.export.has("bits"));
    });

    test("I3: a file becomes a directory, and a directory a file", async ({ only }) => {
      await only.share("ann").write("turn/file", "a file");
      await only.share("ann").write("turn/directory/in", "in a directory");
      await only.settled("turn");
      await only.share("bob").shell(`
        cd turn
        rm file; mkdir file; echo in > file/in
        rm -r directory; echo file > directory
      `);
      await waitFor("both have turned in export", async () =>
        only.export.has("turn/file/in") &&
        await only.export.readText("turn/directory") === "file\n");
      await only.settled("turn");
    });

    test("I3: a directory in which another writes does not wait forever for the file that replaced it", async (world) => {
      const { only } = world;
      const [ann, bob] = [only.share("ann"), only.share("bob")];
      await ann.shell("mkdir -p taken/place; echo known > taken/place/known");
      await waitFor("it is in export", () => only.export.has("taken/place/known"));
      await only.settled("taken");
      await world.gate.term();
      await ann.shell("rm -r taken/place; echo file > taken/place");
      await bob.write("taken/place/new", "new");
      await world.startGate();
      await waitFor(
        "the new file is everywhere",
        () => only.peers.every((share) => share.has("taken/place/new")),
      );
      await only.settled("taken");
      const copy = only.export.list("taken").find((name) => name.includes("sync-conflict"));
      assertEquals(await only.export.readText(`taken/${copy}`), "file\n");
    });

    for (const [depth, below] of ["", "one/", "one/two/three/"].entries()) {
      const top = `busy-${depth}`;
      test(`I7: nor long, if what the other writes in ${below || "it"} is known to stay`, async ({ only }) => {
        const [ann, bob, cid] = [only.share("ann"), only.share("bob"), only.share("cid")];
        await ann.shell(`
          mkdir -p ${top}/place/${below} ${top}/other/${below}
          echo 0 > ${top}/place/${below}file
          ln -s nowhere ${top}/other/${below}link
        `);
        await waitFor(
          "it is there",
          () => cid.has(`${top}/place/${below}file`) && bob.has(`${top}/other/${below}`),
        );
        await only.quiet();
        let isWriting = true;
        const writing = (async () => {
          for (let number = 1; isWriting; number++) {
            Deno.writeTextFileSync(ann.at(`${top}/place/${below}file`), `${number}`);
            await sleep(20);
          }
        })();
        try {
          await bob.shell(`cd ${top}; rm -r other place; echo file > other; echo file > place`);
          const hasCopy = (of: string) =>
            cid.list(top).some((name) => name.startsWith(`${of}.sync-conflict`));
          await waitFor("the file that replaced it is there", () => hasCopy("place"));
          // Of a link nobody knows whether it stays: that takes the gate six seconds.
          assert(!hasCopy("other"), "it took as long as where nobody knows");
        } finally {
          isWriting = false;
          await writing;
        }
        await ann.shell(`rm ${top}/other/${below}link`);
        await only.settled(top);
      });
    }
  },
);
