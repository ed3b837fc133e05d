/** What happened while the daemon was down, or went down: nothing is lost, nothing comes back (I3). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { EICAR } from "../support/eicar.ts";
import { onEachFilesystem } from "../support/fixture.ts";
import { readTree } from "../support/tree.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

onEachFilesystem(
  "restarts",
  (kind) => World.start(kind, { channels: { docs: {} } }),
  (test) => {
    test("I3: kill -9 in a burst of 1,500 files, restart: all are equal, staging is empty", async (world) => {
      const { only } = world;
      const writers = ["ann", "bob", "cid"].map((name) =>
        only.share(name).shell(`
          mkdir -p burst/${name}
          for i in $(seq 500); do echo "${name} $i" > burst/${name}/$i; done
        `)
      );
      await waitFor("the burst is on its way", () => only.export.list("burst/bob").length > 30);
      await world.gate.kill();
      await Promise.all(writers);
      await world.startGate();
      await waitFor(
        "all 1,500 are in export",
        async () => (await readTree(only.export.at("burst"))).size === 1503,
        120_000,
      );
      await only.settled();
      assertEquals(only.staged(), []);
    });

    test("a restart of an unchanged tree scans nothing", async (world) => {
      await world.gate.term();
      const scans = world.clamd.scans;
      await world.startGate();
      await world.only.settled();
      await sleep(500);
      assertEquals(world.clamd.scans, scans);
      await world.gate.kill();
      await world.startGate();
      await world.only.settled();
      await sleep(500);
      assertEquals(world.clamd.scans, scans);
    });

    test("I3: three times kill -9 in bursts of changes, renames and deletions", async (world) => {
      const { only } = world;
      for (let round = 0; round < 3; round++) {
        const work = only.share("bob").shell(`
          mkdir -p churn/${round}
          for i in $(seq 200); do
            echo "$i" > churn/${round}/$i
            [ $((i % 3)) = 0 ] && mv churn/${round}/$i churn/${round}/renamed-$i
            [ $((i % 5)) = 0 ] && rm -f churn/${round}/$((i - 4))
            [ $((i % 7)) = 0 ] && echo changed > churn/${round}/$i
          done; true
        `);
        await waitFor(
          "the burst is on its way",
          () => only.export.list(`churn/${round}`).length > 10 + 20 * round,
        );
        await world.gate.kill();
        await work;
        await world.startGate();
      }
      await only.settled();
      const author = await readTree(only.share("bob").at("churn"));
      assertEquals((await readTree(only.export.at("churn"))).size, author.size);
    });

    test("I3: deleted, changed, renamed and made while the daemon was down", async (world) => {
      const { only } = world;
      const ann = only.share("ann");
      for (const name of ["deleted", "changed", "renamed", "kept", "dir/in", "moved/in"]) {
        await ann.write(`down/${name}`, `first ${name}`);
      }
      await only.settled("down");
      await waitFor("all are in export", () => only.export.has("down/moved/in"));
      await world.gate.term();
      await only.share("bob").shell(`
        cd down
        rm deleted
        echo later > changed
        mv renamed new-name
        rm -r dir
        mv moved elsewhere
        mkdir -p made/deep; echo made > made/deep/file
      `);
      await world.startGate();
      await waitFor(
        "the deletion is known everywhere",
        () =>
          only.peers.every((share) =>
            !share.has("down/deleted") && share.has("down/made/deep/file")
          ),
      );
      await only.settled("down");
      assertEquals(only.export.list("down"), ["changed", "elsewhere", "kept", "made", "new-name"]);
      assertEquals(await only.export.readText("down/changed"), "later\n");
      assertEquals(await only.export.readText("down/new-name"), "first renamed");
      assertEquals(await ann.readText("down/elsewhere/in"), "first moved/in");
    });

    test("I3: deleted here, but changed there while the daemon was down: the change stays", async (world) => {
      const { only } = world;
      await only.share("ann").write("both/file", "first");
      await only.settled("both");
      await world.gate.term();
      await only.share("ann").shell("rm both/file");
      await only.share("cid").write("both/file", "changed meanwhile");
      await world.startGate();
      await waitFor(
        "the change is everywhere",
        async () =>
          await only.export.readText("both/file") === "changed meanwhile" &&
          await only.share("ann").readText("both/file") === "changed meanwhile",
      );
      await only.settled("both");
    });

    test("I3: a drifted export is put right at startup", async (world) => {
      const { only } = world;
      await only.share("ann").write("drift/missing", "missing");
      await only.share("ann").write("drift/altered", "as it should be");
      await only.settled("drift");
      await waitFor("both are in export", () => only.export.list("drift").length === 2);
      await world.gate.term();
      await only.export.shell(`
        cd drift
        rm missing
        echo 'something else' > altered
        echo orphan > orphan
        mkdir -p orphans/deep; echo orphan > orphans/deep/file
      `);
      await world.startGate();
      await waitFor(
        "export is right again",
        async () =>
          await only.export.readText("drift/missing") === "missing" &&
          await only.export.readText("drift/altered") === "as it should be" &&
          !only.export.has("drift/orphan"),
      );
      await only.settled();
      assertEquals(only.export.list("drift"), ["altered", "missing"]);
    });

    test("I3: the index is lost: nothing is, and a conflict goes to the later mtime", async (world) => {
      const { only } = world;
      await only.share("ann").write("index/same", "same");
      await only.share("ann").write("index/conflict", "first", {
        mtimeNs: 1_600_000_000n * 10n ** 9n,
      });
      await only.settled("index");
      await world.gate.term();
      const before = await readTree(only.export.path);
      await Deno.remove(only.stateDirectory, { recursive: true });
      await only.share("ann").write("index/conflict", "ann, earlier", {
        mtimeNs: 1_700_000_000n * 10n ** 9n,
      });
      await only.share("bob").write("index/conflict", "bob, later", {
        mtimeNs: 1_700_000_100n * 10n ** 9n,
      });
      await only.share("cid").write("index/only-cid", "new");
      await world.startGate();
      await waitFor("the later one is everywhere", async () => {
        for (const share of only.peers) {
          if (await share.readText("index/conflict") !== "bob, later") return false;
          if (!share.has("index/only-cid")) return false;
        }
        return true;
      });
      await only.settled();
      const after = await readTree(only.export.path);
      for (const path of before.keys()) assert(after.has(path), `${path} is still there`);
      const copies = only.export.list("index").filter((name) => name.includes(".sync-conflict-"));
      const texts = await Promise.all(
        copies.map((name) => only.export.readText(`index/${name}`)),
      );
      assert(texts.includes("ann, earlier"), `the loser is kept: ${copies}`);
      assert(
        copies.every((name) => /^conflict\.sync-conflict-\d{8}-\d{6}-\w+$/.test(name)),
        `${copies}`,
      );
    });

    test("I3: a damaged index is as good as none", async (world) => {
      const { only } = world;
      await world.gate.term();
      for (const entry of Deno.readDirSync(only.stateDirectory)) {
        if (!entry.name.includes("sqlite")) continue;
        const path = `${only.stateDirectory}/${entry.name}`;
        await Deno.writeFile(path, crypto.getRandomValues(new Uint8Array(20_000)));
      }
      const before = await readTree(only.share("ann").path);
      await world.startGate();
      await only.settled();
      assertEquals((await readTree(only.share("ann").path)).size, before.size);
      await only.share("ann").write("damaged/after", "it goes on");
      await waitFor("it goes on", () => only.export.has("damaged/after"));
    });

    test("I3: a share that is found empty deletes nothing elsewhere", async (world) => {
      const { only } = world;
      const before = await readTree(only.export.path);
      await world.gate.term();
      // What is left does not travel.
      await only.share("bob").shell("find . -mindepth 1 -delete; touch .virtiofs-refresh");
      await world.startGate();
      await only.share("ann").write("after-empty", "1");
      await waitFor("it runs", () => only.export.has("after-empty"));
      await sleep(500);
      const after = await readTree(only.export.path);
      for (const path of before.keys()) assert(after.has(path), `${path} is still in export`);
      for (const path of before.keys()) assert(only.share("ann").has(String(path)), `${path}`);
      await waitFor("bob has them again", () => only.share("bob").has("burst/ann/500"));
      await only.share("bob").shell("rm .virtiofs-refresh");
      await only.settled();
    });

    test("I3: a share that is missing is waited for, and export keeps its files", async (world) => {
      const { only } = world;
      const { path } = only.share("cid");
      await world.gate.term();
      await Deno.rename(path, `${path}-away`);
      await Deno.writeTextFile(`${path}-away/while-away`, "1");
      await world.startGate();
      await only.share("ann").write("while-missing", "2");
      await waitFor("the others go on", () => only.share("bob").has("while-missing"));
      await sleep(300);
      assert(only.export.has("burst/cid/500"));
      assert(only.share("ann").has("burst/cid/500"));
      await Deno.rename(`${path}-away`, path);
      await waitFor(
        "both sides have caught up",
        () => only.share("cid").has("while-missing") && only.share("ann").has("while-away"),
      );
      await only.settled();
    });

    test("I1, I3: leftovers of another run: staging is emptied, nothing of it travels", async (world) => {
      const { only } = world;
      await world.gate.term();
      await Deno.writeFile(`${only.basePath}/staging/leftover`, EICAR);
      await Deno.mkdir(`${only.basePath}/staging/directory`);
      await Deno.writeFile(`${only.basePath}/staging/directory/file`, EICAR);
      await world.startGate();
      await waitFor("staging is empty", () => only.staged().length === 0);
      await only.settled();
      assertEquals(await only.infectedElsewhere(), []);
    });
  },
);
