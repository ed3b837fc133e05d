/** Two guests change the same file at once: all end equal, and no change is lost (I3). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import type { Channel } from "../support/channel.ts";
import { DEBOUNCE_MS } from "../support/channel.ts";
import { AbsentShare } from "../support/absent_share.ts";
import { must } from "../support/command.ts";
import { onEachFilesystem, testOnEachFilesystem } from "../support/fixture.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const SECOND_NS = 1_000_000_000n;
const EARLIER = 1_700_000_000n * SECOND_NS;
const LATER = 1_700_000_500n * SECOND_NS;

/** Every content that export holds in `folder`, sorted. */
async function contents(channel: Channel, folder: string): Promise<string[]> {
  const texts = await Promise.all(
    channel.export.list(folder).map((name) => channel.export.readText(`${folder}/${name}`)),
  );
  return texts.map(String).sort();
}

onEachFilesystem(
  "conflicts",
  (kind) =>
    World.start(kind, {
      channels: { keep: {}, drop: { more: { conflictCopies: false } } },
    }),
  (test) => {
    test("I3: two live changes at once: the later mtime wins, the loser is kept", async (world) => {
      const channel = world.channel("keep");
      await channel.share("ann").write("live/report.final.txt", "first");
      await channel.settled("live");
      await Promise.all([
        channel.share("ann").write("live/report.final.txt", "by ann", { mtimeNs: LATER }),
        channel.share("bob").write("live/report.final.txt", "by bob", { mtimeNs: EARLIER }),
      ]);
      await waitFor(
        "export has both",
        async () => (await contents(channel, "live")).join() === "by ann,by bob",
      );
      await channel.settled("live");
      assertEquals(await channel.export.readText("live/report.final.txt"), "by ann");
      const copy = channel.export.list("live").find((name) => name.includes("sync-conflict"));
      assert(
        /^report\.final\.sync-conflict-\d{8}-\d{6}-bob\.txt$/.test(copy ?? ""),
        `the name of the copy: ${copy}`,
      );
    });

    test("I3: the same without conflict copies: all end equal, nothing beside", async (world) => {
      const channel = world.channel("drop");
      await channel.share("ann").write("live/file", "first");
      await channel.settled("live");
      await Promise.all([
        channel.share("ann").write("live/file", "by ann", { mtimeNs: EARLIER }),
        channel.share("bob").write("live/file", "by bob", { mtimeNs: LATER }),
      ]);
      await waitFor("the later is everywhere", async () => {
        for (const share of channel.peers) {
          if (await share.readText("live/file") !== "by bob") return false;
        }
        return true;
      });
      await channel.settled("live");
      assertEquals(channel.export.list("live"), ["file"]);
      await world.gate.logged(/share\/ann\/live\/file was changed on two sides: .* replaced it/);
    });

    test("I3: 30 files written by two guests at slightly different moments", async (world) => {
      const channel = world.channel("keep");
      await channel.share("ann").shell("mkdir race");
      await channel.settled("race");
      for (let i = 0; i < 30; i++) {
        await channel.share("ann").write(`race/${i}`, `ann ${i}`);
        await sleep((i * 7) % (2 * DEBOUNCE_MS));
        await channel.share("bob").write(`race/${i}`, `bob ${i}`);
      }
      await waitFor("export has bob's version of each, under its name or as a copy", async () => {
        const texts = await contents(channel, "race");
        return Array.from({ length: 30 }, (_, i) => `bob ${i}`).every((text) =>
          texts.includes(text)
        );
      });
      await channel.settled("race");
    });

    test("I3: deleted by one and changed by another at once: the change stays", async (world) => {
      const channel = world.channel("keep");
      await channel.share("ann").write("gone/file", "first");
      await channel.settled("gone");
      await Promise.all([
        channel.share("ann").shell("rm gone/file"),
        channel.share("bob").write("gone/file", "changed"),
      ]);
      await waitFor("the change is everywhere", async () => {
        for (const share of channel.peers) {
          if (await share.readText("gone/file") !== "changed") return false;
        }
        return true;
      });
      await channel.settled("gone");
    });

    test("I3: a file and a directory of the same name: both are kept", async (world) => {
      const channel = world.channel("keep");
      await channel.share("ann").shell("mkdir kinds");
      await channel.settled("kinds");
      await Promise.all([
        channel.share("ann").write("kinds/thing", "a file"),
        channel.share("bob").write("kinds/thing/in", "in a directory"),
      ]);
      await waitFor("export has both", async () => {
        const names = channel.export.list("kinds");
        const texts = await Promise.all(
          names.map((name) =>
            Deno.lstatSync(channel.export.at(`kinds/${name}`)).isFile
              ? channel.export.readText(`kinds/${name}`)
              : channel.export.readText(`kinds/${name}/in`)
          ),
        );
        return texts.includes("a file") && texts.includes("in a directory");
      });
      await channel.settled("kinds");
    });

    test("I3: at startup: the later mtime wins, a time in the future counts as now", async (world) => {
      const channel = world.channel("keep");
      await channel.share("ann").write("start/file", "first");
      await channel.share("ann").write("start/tie", "first");
      await channel.settled("start");
      await world.gate.term();
      const future = BigInt(Date.now() + 10 * 365 * 86_400_000) * 1_000_000n;
      await channel.share("ann").write("start/file", "by ann", { mtimeNs: LATER });
      await channel.share("bob").write("start/file", "by bob", { mtimeNs: EARLIER });
      await channel.share("bob").write("start/tie", "by bob", { mtimeNs: LATER });
      await channel.share("ann").write("start/tie", "by ann", { mtimeNs: LATER });
      await channel.share("cid").write("start/future", "future", { mtimeNs: future });
      await world.startGate();
      await waitFor(
        "export has them all",
        async () =>
          (await contents(channel, "start")).join() === "by ann,by ann,by bob,by bob,future",
      );
      await channel.settled("start");
      assertEquals(await channel.export.readText("start/file"), "by ann");
      assertEquals(await channel.export.readText("start/tie"), "by ann"); // the order of producers
      // Once it is "now", an ordinary later change wins over it.
      await channel.share("bob").write("start/future", "present");
      await waitFor(
        "the change is in export",
        async () => await channel.export.readText("start/future") === "present",
      );
      await channel.settled("start");
    });

    test("I3: a loser that is not kept is told, however much else there is to tell", async (world) => {
      const channel = world.channel("keep");
      await world.gate.term();
      const [ann, bob] = [channel.share("ann"), channel.share("bob")];
      const full = ["a", "b", "c", "d", "e"];
      for (const name of full) {
        for (let copy = 10; copy < 20; copy++) {
          await ann.write(`told/${name}.sync-conflict-20200101-0000${copy}-ann`, "a copy");
        }
      }
      const others = Array.from({ length: 200 }, (_, number) => `x${number}`);
      for (const name of [...others, ...full]) {
        await ann.write(`told/${name}`, "by ann", { mtimeNs: EARLIER });
        await bob.write(`told/${name}`, "by bob", { mtimeNs: LATER });
      }
      await world.startGate();
      await channel.settled("told");
      for (const name of full) {
        await world.gate.logged(
          new RegExp(`share/ann/told/${name} lost a conflict and is replaced`),
        );
      }
    });

    test("equal content, size and time is no conflict, whoever owns it", async (world) => {
      const channel = world.channel("keep");
      await world.gate.term();
      const [ann, bob, cid] = channel.producers.map((name) => channel.share(name));
      await ann?.write("owned/owner", "the same", { mtimeNs: EARLIER, uid: 1000 });
      await bob?.write("owned/owner", "the same", { mtimeNs: EARLIER, uid: 1001 });
      await ann?.write("owned/mode", "the same", { mtimeNs: EARLIER, mode: 0o644 });
      await cid?.write("owned/mode", "the same", { mtimeNs: EARLIER, mode: 0o664 });
      await ann?.write("owned/other", "by ann", { mtimeNs: EARLIER, mode: 0o644 });
      await bob?.write("owned/other", "by bob", { mtimeNs: EARLIER, mode: 0o664 });
      await world.startGate();
      await channel.settled("owned");
      const names = channel.export.list("owned");
      assertEquals(names.filter((name) => !name.startsWith("other.")), ["mode", "other", "owner"]);
      assertEquals(names.length, 4, "other content is a conflict, though size and time are equal");
      const { uid } = await Deno.stat(channel.export.at("owned/owner"));
      const { mode } = await Deno.stat(channel.export.at("owned/mode"));
      assertEquals([uid, (mode ?? 0) & 0o777], [1000, 0o644]); // the order of producers
    });

    test("I3: the index is lost: a share equal to the export is unchanged, not in conflict", async (world) => {
      const channel = world.channel("keep");
      for (const name of ["later", "earlier", "mode"]) {
        await channel.share("ann").write(`lost/${name}`, "first", { mtimeNs: LATER, mode: 0o644 });
      }
      await channel.settled("lost");
      await world.gate.term();
      await Deno.remove(channel.stateDirectory, { recursive: true });
      const muchLater = LATER + 1_000_000_000n;
      await channel.share("bob").write("lost/later", "second", { mtimeNs: muchLater });
      await channel.share("bob").write("lost/earlier", "restored", { mtimeNs: EARLIER });
      await channel.share("cid").shell("chmod 600 lost/mode");
      await world.startGate();
      await channel.settled("lost");
      const names = channel.export.list("lost");
      assertEquals(names.filter((name) => !name.startsWith("earlier.")), [
        "earlier",
        "later",
        "mode",
      ]);
      assertEquals(await channel.export.readText("lost/later"), "second");
      assertEquals(await channel.export.readText("lost/earlier"), "first");
      assertEquals(names.length, 4, "what is not the latest is kept beside it");
      const { mode } = await Deno.stat(channel.export.at("lost/mode"));
      assertEquals((mode ?? 0) & 0o777, 0o600);
    });

    test("equal content is no conflict, whoever wrote it, and when", async (world) => {
      const channel = world.channel("keep");
      await Promise.all(
        channel.producers.map((name) =>
          channel.share(name).write("equal/file", "the same", { mtimeNs: EARLIER, uid: 1000 })
        ),
      );
      await waitFor("export has it", () => channel.export.has("equal/file"));
      for (const [number, name] of channel.producers.entries()) {
        const mtimeNs = EARLIER + BigInt(number) * SECOND_NS;
        await channel.share(name).write("equal/later", "the same", { mtimeNs });
      }
      await waitFor("export has it", () => channel.export.has("equal/later"));
      await channel.settled("equal");
      assertEquals(channel.export.list("equal"), ["file", "later"]);
      const { mtime } = await Deno.stat(channel.export.at("equal/later"));
      assertEquals(mtime?.getTime(), Number((EARLIER + 2n * SECOND_NS) / 1_000_000n));
    });
  },
);

testOnEachFilesystem(
  "I3, I7: a loser that cannot be renamed stays as it is, is in nobody's way, and is kept when it can be",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only, gate } = world;
    const ann = only.share("ann");
    const cid = await AbsentShare.take(world, "cid");
    await ann.write("f", "by ann");
    await waitFor("bob has it", () => only.share("bob").has("f"));
    await sleep(5 * DEBOUNCE_MS);
    await must("chattr", ["+i", ann.at("f")]);
    try {
      await cid.write("f", "by cid, later");
      await cid.back();
      for (const name of ["bob", "export"]) {
        const share = only.share(name);
        await waitFor(`${name} has it`, async () => await share.readText("f") === "by cid, later");
      }
      assertEquals(await ann.readText("f"), "by ann");
      await world.isAtRest();
    } finally {
      await must("chattr", ["-i", ann.at("f")]);
    }
    await gate.logged(/ann\/f was changed on two sides: the earlier one is kept/);
    await only.settled();
    assertEquals(await ann.readText("f"), "by cid, later");
    assertEquals(await only.peersWithout("by ann"), []);
  },
);
