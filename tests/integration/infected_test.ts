/** What happens to malware, under each of the three actions (I1, I3, I9). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Channel } from "../support/channel.ts";
import { SIGNATURE } from "../support/clamd.ts";
import { EICAR, infected } from "../support/eicar.ts";
import { onEachFilesystem, testOnEachFilesystem } from "../support/fixture.ts";
import { Share } from "../support/share.ts";
import { readTree } from "../support/tree.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const ACTIONS = ["quarantine", "delete", "log"] as const;

onEachFilesystem(
  "infected files",
  (kind) =>
    World.start(kind, {
      channels: Object.fromEntries(
        ACTIONS.map((action) => [action, { scanning: { infectedAction: action } }]),
      ),
      unequal: ["log"], // what is infected stays with its author
    }),
  (test) => {
    for (const action of ACTIONS) {
      const keeps = action === "log";

      test(`I1: ${action}: a new infected file reaches nobody`, async (world) => {
        const channel = world.channel(action);
        await channel.share("ann").write("new/eicar.com", EICAR);
        await channel.share("ann").write("new/innocent", "beside it");
        await told(world, channel.share("ann").at("new/eicar.com"));
        if (!keeps) await left(channel, "ann", "new/eicar.com");
        await channel.quiet();
        assertEquals(channel.share("ann").has("new/eicar.com"), keeps);
        assertEquals(await channel.infectedElsewhere(keeps ? ["ann"] : [], "new"), []);
        assertEquals(channel.export.list("new"), ["innocent"]);
        assertEquals(channel.share("bob").list("new"), ["innocent"]);
      });

      test(`I3: ${action}: an infected version does not take the others' clean copies away`, async (world) => {
        const channel = world.channel(action);
        await channel.share("ann").write("doc/letter", "clean version", { mode: 0o640, uid: 1000 });
        await channel.settled("doc");
        const before = await readTree(channel.export.at("doc"));
        await channel.share("bob").write("doc/letter", infected(3000));
        await told(world, channel.share("bob").at("doc/letter"));
        if (!keeps) {
          await waitFor(
            "the clean version is back at its place with bob",
            async () => await channel.share("bob").readText("doc/letter") === "clean version",
          );
        }
        await channel.quiet();
        for (const place of channel.peers.filter(({ name }) => !keeps || name !== "bob")) {
          assertEquals(await readTree(place.at("doc")), before);
          assertEquals(await place.readText("doc/letter"), "clean version");
        }
        assertEquals(await channel.infectedElsewhere(keeps ? ["bob"] : [], "doc"), []);
        // It stays a document like any other.
        await channel.share("bob").write("doc/letter", "clean again");
        await waitFor(
          "export has the next clean version",
          async () => await channel.export.readText("doc/letter") === "clean again",
        );
        await channel.settled("doc");
      });

      test(`I1: ${action}: in a tree that is moved in, only the clean files travel`, async (world) => {
        const channel = world.channel(action);
        const outside = await world.filesystem.directory("outside");
        await Deno.mkdir(`${outside}/t/a`, { recursive: true });
        await Deno.writeTextFile(`${outside}/t/a/clean`, "c");
        await Deno.writeFile(`${outside}/t/a/bad`, infected(1000));
        await channel.share("cid").shell(`mv '${outside}/t' tree`);
        await told(world, channel.share("cid").at("tree/a/bad"));
        await waitFor("the clean file is in export", () => channel.export.has("tree/a/clean"));
        if (!keeps) await left(channel, "cid", "tree/a/bad");
        await channel.quiet();
        assertEquals(channel.export.list("tree/a"), ["clean"]);
        assertEquals(await channel.infectedElsewhere(keeps ? ["cid"] : [], "tree"), []);
      });

      test(`I9: ${action}: the user's line is one line, whatever the name`, async (world) => {
        const channel = world.channel(action);
        await channel.share("ann").shell(`
          mkdir tongue
          cp '${await sample(world)}' "$(printf 'tongue/a\\nb\\033[2J\\351')"
        `);
        await waitFor("the line is there", () =>
          world.user.lines.includes(
            `Malware ${SIGNATURE} was detected in file: ${
              channel.share("ann").at("tongue/")
            }a\\x0ab\\x1b[2J\\xe9`,
          ));
        await channel.share("ann").shell("rm -rf tongue");
        assert(!world.gate.log.includes("\x1b[2J"), "an escape code reached the log");
      });
    }

    test("I1: quarantine: mode 000, root, nothing overwritten, a record beside each", async (world) => {
      const channel = world.channel("quarantine");
      const before = (await readTree(channel.quarantine)).size;
      // Made elsewhere, or it might be gone before it has its attributes.
      const outside = new Share("outside", await world.filesystem.directory("outside"));
      await Deno.mkdir(channel.share("bob").at("again"));
      for (const [round, size] of [200, 300, 400].entries()) {
        const attributes = { mode: 0o751, uid: 1000, gid: 2000 };
        await outside.write("virus.exe", infected(size), attributes);
        await channel.share("bob").shell(`mv '${outside.at("virus.exe")}' again/`);
        await left(channel, "bob", "again/virus.exe");
        await waitFor(
          "file and record are in quarantine",
          async () => (await readTree(channel.quarantine)).size === before + 2 * (round + 1),
        );
      }
      const tree = [...await readTree(channel.quarantine)];
      const files = tree.filter(([name]) => !name.endsWith(".json"));
      const sizes = files.map(([, { size }]) => size);
      for (const size of ["200", "300", "400"]) assert(sizes.includes(size), `${size} is kept`);
      assert(tree.every(([, { type }]) => type === "f"), "flat");

      const records = tree.filter(([name]) => name.endsWith(".json"))
        .map(([name]) => Deno.readTextFileSync(`${channel.quarantine}/${name}`))
        .filter((text) => text.includes("again/virus.exe"));
      assertEquals(records.length, 3);
      for (const text of records) {
        assertMatch(text, new RegExp(SIGNATURE));
        assertMatch(text, /bob/);
        assertMatch(text, /2000/); // the group it had
        JSON.parse(text);
      }
      for (const [name, { mode, owner }] of files) {
        assertEquals([mode, owner], ["0", "0:0"]);
        const content = await Deno.readFile(`${channel.quarantine}/${name}`);
        assertEquals(content.subarray(0, EICAR.length), EICAR);
      }
    });

    test("quarantine: not there, the file is deleted and that is told; made again, it is used", async (world) => {
      const channel = world.channel("quarantine");
      const ann = channel.share("ann");
      await Deno.remove(channel.quarantine, { recursive: true });
      await ann.write("without", infected());
      await world.gate.logged(/ann\/without could not be put into quarantine .*: deleted instead/);
      await waitFor("it is gone", () => !ann.has("without"));
      await Deno.mkdir(channel.quarantine);
      await ann.write("with", infected());
      await waitFor("it is gone", () => !ann.has("with"));
      const kept = [...Deno.readDirSync(channel.quarantine)].map(({ name }) => name);
      assertEquals(kept.length, 2, String(kept));
    });

    test("I3: delete and quarantine: what the gate removes is not a user's deletion", async (world) => {
      for (const action of ["delete", "quarantine"]) {
        const channel = world.channel(action);
        for (const author of channel.producers) {
          await channel.share(author).write(`mine/${author}`, `clean by ${author}`);
        }
        await channel.settled("mine");
        await waitFor("export has all", () => channel.export.list("mine").length === 3);
        // Everybody's own copy of somebody else's file becomes infected, all at once.
        await Promise.all([
          channel.share("ann").write("mine/bob", EICAR),
          channel.share("bob").write("mine/cid", EICAR),
          channel.share("cid").write("mine/ann", EICAR),
        ]);
        await waitFor("each clean version is everywhere again", async () => {
          for (const place of channel.peers) {
            for (const author of channel.producers) {
              if (await place.readText(`mine/${author}`) !== `clean by ${author}`) return false;
            }
          }
          return true;
        });
        await channel.settled("mine");
      }
    });

    test("I1: after all that, no infected byte is anywhere but with its author", async (world) => {
      for (const name of ["quarantine", "delete"]) {
        assertEquals(await world.channel(name).infectedElsewhere(), []);
      }
      const { export: exported } = world.channel("log");
      assertEquals(exported.list("new"), ["innocent"]);
    });
  },
);

/** Waits for the user's line about `path`; it comes exactly once. */
async function told(world: World, path: string): Promise<void> {
  const line = `Malware ${SIGNATURE} was detected in file: ${path}`;
  await waitFor(
    () => `the user was not told: ${line}\n${world.user.lines.join("\n")}`,
    () => world.user.lines.includes(line),
  );
}

/** Waits until a file has left a share. */
async function left(channel: Channel, producer: string, path: string): Promise<void> {
  await waitFor(`${path} has left ${producer}'s share`, () => !channel.share(producer).has(path));
}

/** An infected file outside every share. */
async function sample(world: World): Promise<string> {
  const path = `${world.filesystem.path}/sample`;
  await Deno.writeFile(path, EICAR);
  return path;
}

testOnEachFilesystem(
  "I6: malware whose author changes it again and again is told and kept once, and goes in the end",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { scanning: { infectedAction: "quarantine" } } },
    });
    const { only, user } = world;
    const ann = only.share("ann");
    let isOver = false;
    const changing = (async () => {
      for (let mode = 0o600; !isOver; mode ^= 0o044) {
        await Deno.chmod(ann.at("virus"), mode).catch(() => {}); // it is not there yet, or any more
      }
    })();
    await ann.write("virus", EICAR);
    await told(world, ann.at("virus"));
    await sleep(3000);
    isOver = true;
    await changing;
    await waitFor("it is gone", () => !ann.has("virus"));
    await only.quiet();
    assertEquals(user.lines.length, 1, user.lines.join("\n"));
    assertEquals([...Deno.readDirSync(only.quarantine)].length, 2, "a file and what tells of it");

    // What comes after it is news.
    await ann.write("virus", EICAR);
    await waitFor("it is told as well", () => user.lines.length === 2);
    await waitFor("it is gone", () => !ann.has("virus"));
    await world.verify();
  },
);
