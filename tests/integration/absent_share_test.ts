/** A share that is not there for a while takes part again when it comes back, and learns what happened. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { AbsentShare } from "../support/absent_share.ts";
import { DEBOUNCE_MS } from "../support/channel.ts";
import { EICAR } from "../support/eicar.ts";
import { onEachFilesystem, testOnEachFilesystem } from "../support/fixture.ts";
import type { Share } from "../support/share.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

onEachFilesystem(
  "absent share",
  (kind) => World.start(kind, { channels: { docs: {} } }),
  (test) => {
    test("I3: deletions and changes made meanwhile reach it, its own changes stay", async ({ only, gate }) => {
      await only.share("ann").shell(
        "mkdir d; for f in deleted changed both kept; do echo 1 > d/$f; done",
      );
      await only.settled();
      await Deno.rename(only.share("cid").path, `${only.share("cid").path}.away`);
      await gate.logged(/share\/cid is gone/);
      await only.share("ann").shell("cd d; rm deleted; echo 22 > changed; echo ann > both");
      await waitFor(
        "bob has seen it",
        async () =>
          !only.share("bob").has("d/deleted") &&
          await only.share("bob").readText("d/changed") === "22\n" &&
          await only.share("bob").readText("d/both") === "ann\n",
      );
      await Deno.writeTextFile(`${only.share("cid").path}.away/d/both`, "cid, later\n");
      await Deno.rename(`${only.share("cid").path}.away`, only.share("cid").path);
      await gate.logged(/share\/cid is there/);
      await only.settled();
      assertEquals(only.export.has("d/deleted"), false);
      assertEquals(await only.export.readText("d/changed"), "22\n");
      assertEquals(await only.export.readText("d/both"), "cid, later\n");
      const copies = only.export.list("d").filter((name) => name.includes(".sync-conflict-"));
      assertEquals(copies.length, 1);
      assertEquals(await only.export.readText(`d/${copies[0]}`), "ann\n");
    });

    test("I3: the same over a restart without it", async (world) => {
      const { only } = world;
      await only.share("ann").shell(
        "mkdir e; for f in deleted changed kept; do echo 1 > e/$f; done",
      );
      await only.settled();
      await world.gate.term();
      await Deno.rename(only.share("cid").path, `${only.share("cid").path}.away`);
      await only.share("ann").shell("cd e; rm deleted; echo 22 > changed");
      await world.startGate();
      await waitFor(
        "bob has seen it",
        async () =>
          !only.share("bob").has("e/deleted") &&
          await only.share("bob").readText("e/changed") === "22\n",
      );
      await Deno.rename(`${only.share("cid").path}.away`, only.share("cid").path);
      await only.settled();
      assertEquals(only.export.has("e/deleted"), false);
      assertEquals(only.share("cid").has("e/deleted"), false);
    });

    test("directories that were removed meanwhile go there, too, but for what is new in them", async ({ only, gate }) => {
      await only.share("ann").shell("mkdir -p g/empty h/sub; echo 1 > g/file; echo 1 > h/sub/old");
      await only.settled();
      await Deno.rename(only.share("cid").path, `${only.share("cid").path}.away`);
      await gate.logged(/share\/cid is gone/);
      await only.share("ann").shell("rm -r g h");
      await waitFor(
        "nobody else has them",
        () =>
          ["bob", "export"].every((name) =>
            !only.share(name).has("g") && !only.share(name).has("h")
          ),
      );
      await Deno.writeTextFile(`${only.share("cid").path}.away/h/sub/new`, "by cid");
      await Deno.rename(`${only.share("cid").path}.away`, only.share("cid").path);
      await waitFor("what is new arrives", () => only.export.has("h/sub/new"));
      await waitFor("the rest is gone", () => !only.share("cid").has("g"));
      await only.settled();
      assertEquals(only.export.has("g"), false);
      assertEquals(only.export.list("h"), ["sub"]);
      assertEquals(only.export.list("h/sub"), ["new"]);
    });

    for (const restart of [false, true]) {
      test(
        `I3: files and directories that took each other's names meanwhile do so there, too${
          restart ? ", over a restart" : ""
        }`,
        async (world) => {
          const { only } = world;
          const [ann, cid] = [only.share("ann"), only.share("cid")];
          const top = restart ? "u" : "t";
          await ann.shell(`mkdir ${top}; cd ${top}; echo 1 > a; mkdir b c; echo 1 > c/in`);
          await only.settled(top);
          if (restart) await world.gate.term();
          await Deno.rename(cid.path, `${cid.path}.away`);
          if (restart) await world.startGate();
          else await world.gate.logged(/share\/cid is gone/);
          await only.share("bob").shell(
            `cd ${top}; rm a; mkdir a; echo 2 > a/in; rmdir b; echo 2 > b; rm -r c; echo 2 > c`,
          );
          await waitFor(
            "ann has them",
            async () => ann.has(`${top}/a/in`) && await ann.readText(`${top}/c`) === "2\n",
          );
          await Deno.rename(`${cid.path}.away`, cid.path);
          await waitFor("cid has them", () => cid.has(`${top}/a/in`));
          await only.settled(top);
          assertEquals(cid.list(top), ["a", "b", "c"]);
        },
      );
    }

    for (const name of ["ann", "cid"]) {
      test(`other permissions of a directory reach ${name}, too, and those of its own the others`, async (world) => {
        const { only } = world;
        const [one, two] = [`${name}-one`, `${name}-two`];
        await only.share("bob").shell(`mkdir -m 755 ${one} ${two}; echo 1 > ${one}/f`);
        await only.settled();
        const absent = await AbsentShare.take(world, name);
        await only.share("bob").shell(`chmod 700 ${one}`);
        await Deno.chmod(`${absent.path}/${two}`, 0o711);
        const mode = async (peer: Share, directory: string) =>
          ((await Deno.stat(peer.at(directory))).mode ?? 0) & 0o777;
        await waitFor("the export has them", async () => await mode(only.export, one) === 0o700);
        await sleep(5 * DEBOUNCE_MS);
        await absent.back();
        for (const peer of only.peers) {
          await waitFor(
            `${peer.name} has both`,
            async () => await mode(peer, one) === 0o700 && await mode(peer, two) === 0o711,
          );
        }
        await only.settled();
        for (const peer of only.peers) assertEquals(await mode(peer, one), 0o700, peer.name);
      });
    }

    test("I3: another directory in its place deletes nothing elsewhere, and is filled", async ({ only, gate }) => {
      await only.share("ann").shell("mkdir f; for i in 1 2 3; do echo $i > f/$i; done");
      await only.settled();
      await Deno.rename(only.share("cid").path, `${only.share("cid").path}.old`);
      await Deno.mkdir(only.share("cid").path);
      await gate.logged(/share\/cid is gone/);
      await waitFor("it has all again", () => only.share("cid").list("f").length === 3);
      await only.settled();
      assertEquals(only.export.list("f").length, 3);
      await Deno.remove(`${only.share("cid").path}.old`, { recursive: true });
    });
  },
);

testOnEachFilesystem(
  "it learns of a deletion also where somebody's malware stays in the file's place",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { scanning: { infectedAction: "log" } } },
    });
    const { only, gate, user } = world;
    const ann = only.share("ann");
    await ann.write("letter", "clean");
    await only.settled();
    await Deno.rename(only.share("cid").path, `${only.share("cid").path}.away`);
    await gate.logged(/share\/cid is gone/);
    await ann.shell("rm letter");
    await waitFor(
      "it is deleted",
      () => !only.share("bob").has("letter") && !only.export.has("letter"),
    );
    await ann.write("letter", EICAR);
    await waitFor("the user is told", () => user.lines.length === 1);
    await Deno.rename(`${only.share("cid").path}.away`, only.share("cid").path);
    await waitFor("cid has learnt of it", () => !only.share("cid").has("letter"));
    await only.quiet();
    for (const name of ["bob", "cid", "export"]) {
      assertEquals(only.share(name).has("letter"), false, name);
    }
  },
);

onEachFilesystem(
  "absent only share",
  (kind) =>
    World.start(kind, {
      channels: { docs: { producers: ["ann", "web"], diodeProducers: ["web"] } },
    }),
  (test) => {
    test("I3: it gets the directories of a write-only producer, and keeps its own", async ({ only, gate }) => {
      const [ann, web] = [only.share("ann"), only.share("web")];
      await ann.shell("mkdir -p d/own; echo 1 > d/file");
      await only.settled("d");
      await Deno.rename(ann.path, `${ann.path}.away`);
      await gate.logged(/share\/ann is gone/);
      await web.shell("mkdir -p d/own n/empty");
      await web.write("n/last", "1");
      await waitFor("the export has all", () => only.export.has("n/last"));
      assertEquals(only.export.list("d"), ["file", "own"]);
      const { ino } = await Deno.stat(only.export.at("n/empty"));
      await Deno.rename(`${ann.path}.away`, ann.path);
      await waitFor("ann has it", () => ann.has("n/empty") && ann.has("n/last"));
      await only.quiet();
      assertEquals(ann.list("d"), ["file", "own"]);
      assertEquals((await Deno.stat(only.export.at("n/empty"))).ino, ino, "made once");
    });

    test("I3: another directory in its place gets its empty directories, too", async ({ only, gate }) => {
      const ann = only.share("ann");
      await ann.shell("mkdir -p f/empty; echo 1 > f/file");
      await only.settled("f");
      await Deno.rename(ann.path, `${ann.path}.old`);
      await Deno.mkdir(ann.path);
      await gate.logged(/share\/ann is gone/);
      await waitFor("it has all again", () => ann.has("f/empty") && ann.has("f/file"));
      await only.settled("f");
      await Deno.remove(`${ann.path}.old`, { recursive: true });
    });
  },
);
