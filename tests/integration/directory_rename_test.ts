/**
 * A directory that one guest renames is renamed for the others: at once, with what they have open in it, and without a
 * scan. Where anything in it is not as known, what is lost is the speed.
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { Channel } from "../support/channel.ts";
import { EICAR } from "../support/eicar.ts";
import { onEachFilesystem, testOnEachFilesystem } from "../support/fixture.ts";
import type { Share } from "../support/share.ts";
import { filesThatHold } from "../support/tree.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const FILES = 30;

function inode(share: Share, path: string): number | null {
  return Deno.statSync(share.at(path)).ino;
}

/** Files in a directory and one below it, the same everywhere. */
async function make(only: Channel, directory: string): Promise<void> {
  await only.share("ann").shell(`
    mkdir -p '${directory}/below'
    for i in $(seq ${FILES}); do echo "${directory} $i" > '${directory}'/$i; done
    echo deep > '${directory}/below/deep'
  `);
  await waitFor(
    `${directory} is everywhere`,
    () => only.peers.every((share) => share.has(`${directory}/below/deep`)),
  );
  await only.settled();
}

async function renamed(only: Channel, from: string, to: string): Promise<void> {
  await waitFor(
    `${from} is ${to} everywhere`,
    () => only.peers.every((share) => share.has(`${to}/below/deep`) && !share.has(from)),
  );
  await only.settled();
}

onEachFilesystem(
  "renamed directories",
  (kind) => World.start(kind, { channels: { docs: {} } }),
  (test) => {
    test("I1, I4: the others' directory is renamed, with the very same files, and nothing is scanned", async ({ only, clamd }) => {
      await make(only, "plain");
      const others = [only.share("bob"), only.share("cid"), only.export];
      const before = others.map((share) => inode(share, "plain/below/deep"));
      const { scans } = clamd;
      await only.share("ann").shell("mv plain other");
      await renamed(only, "plain", "other");
      assertEquals(others.map((share) => inode(share, "other/below/deep")), before);
      assertEquals(clamd.scans, scans);
    });

    test("I1, I3, I4: exchanged for a file, it is so for the others, and nothing is scanned", async ({ only, clamd }) => {
      await make(only, "room");
      await only.share("bob").write("door", "a door");
      await only.settled();
      const others = [only.share("bob"), only.share("cid"), only.export];
      const before = others.map((share) => [inode(share, "room"), inode(share, "door")]);
      const { scans } = clamd;
      only.share("ann").exchange("room", "door");
      await renamed(only, "room/below", "door");
      assertEquals(others.map((share) => [inode(share, "door"), inode(share, "room")]), before);
      assertEquals(await only.share("bob").readText("room"), "a door");
      assertEquals(clamd.scans, scans);
      await only.share("cid").write("room", "changed");
      await only.share("cid").shell("rm door/1");
      await waitFor(
        "a later change travels",
        () => !only.share("ann").has("door/1") && only.share("ann").has("room"),
      );
      await only.settled();
    });

    test("back and forth, deeper, and out again", async ({ only, clamd }) => {
      await only.share("bob").shell("mkdir -p new/place"); // watched, before anything is moved there
      await make(only, "mobile");
      const before = inode(only.export, "mobile/7");
      const { scans } = clamd;
      const names = ["moved", "mobile", "new/place/mobile", "top"];
      for (const [at, to] of names.entries()) {
        const from = at === 0 ? "mobile" : names[at - 1] ?? "";
        await only.share(at % 2 === 0 ? "ann" : "bob").shell(`mv '${from}' '${to}'`);
        await renamed(only, from, to);
      }
      assertEquals(await only.export.readText("top/7"), "mobile 7\n");
      assertEquals([inode(only.export, "top/7"), clamd.scans], [before, scans]);
    });

    test("I5: what is known of it goes along: a change, a removal and a rename in it travel", async ({ only }) => {
      await make(only, "lived");
      await only.share("ann").shell("mv lived lives");
      await renamed(only, "lived", "lives");
      await only.share("bob").shell("echo changed > lives/1; rm lives/2; mv lives/3 lives/three");
      await waitFor(
        "all of it is in export",
        async () =>
          await only.export.readText("lives/1") === "changed\n" && !only.export.has("lives/2") &&
          only.export.has("lives/three") && !only.export.has("lives/3"),
      );
      await only.settled();
    });

    test("I3: it is written to, and made anew, at the same moment", async ({ only }) => {
      await make(only, "busy");
      await Promise.all([
        // What bob has written there may have come between.
        only.share("ann").shell(
          "mv busy calm; echo ann > calm/1; mkdir -p busy; echo again > busy/1",
        ),
        only.share("bob").shell("echo bob > busy/2 || echo bob > calm/2; rm -f busy/3"),
      ]);
      await waitFor(
        "both are in export",
        async () =>
          await only.export.readText("calm/1") === "ann\n" &&
          await only.export.readText("busy/1") === "again\n",
      );
      await only.settled();
      const contents = await Promise.all(
        ["calm/2", "busy/2"].map((path) => only.export.readText(path)),
      );
      assert(contents.includes("bob\n"), `bob's change is lost: ${contents}`);
    });

    test("I3: what another one has in it of its own stays where it is", async ({ only }) => {
      await make(only, "shared");
      await only.share("bob").shell("echo mine > shared/.virtiofs-refresh");
      await only.share("ann").shell("mv shared common");
      await waitFor(
        "it is everywhere",
        () => only.peers.every((share) => share.has("common/below/deep")),
      );
      await waitFor(
        "the old one is gone",
        () => !only.export.has("shared") && !only.share("cid").has("shared"),
      );
      assertEquals(await only.share("bob").readText("shared/.virtiofs-refresh"), "mine\n");
      // As soon as it is empty the daemon may remove it first.
      await only.share("bob").shell("rm -rf shared");
      await only.settled();
    });

    test("I3: what another one has under the new name is not lost", async ({ only }) => {
      await make(only, "mine");
      await only.share("bob").shell("mkdir ours && echo bob > ours/1 && echo new > ours/new");
      Deno.renameSync(only.share("ann").at("mine"), only.share("ann").at("ours"));
      await waitFor(
        "all of it is in export",
        () => only.export.has("ours/new") && only.export.has("ours/below/deep"),
      );
      await only.settled();
      const kept = only.export.list("ours").filter((name) => /^1(\.|$)/.test(name));
      const contents = await Promise.all(kept.map((name) => only.export.readText(`ours/${name}`)));
      assertEquals(contents.sort(), ["bob\n", "mine 1\n"]);
    });

    test("I7: renamed without a pause, it does not keep others from what is in it", async ({ only }) => {
      await make(only, "restless");
      let isOver = false;
      const renaming = (async () => {
        for (let round = 0; round < 300 && !isOver; round++) {
          await only.share("ann").shell(
            "mv -T restless nervous || true; sleep 0.05; mv -T nervous restless || true",
          );
        }
      })();
      await only.share("bob").shell(
        "echo bob > restless/bob 2> /dev/null || echo bob > nervous/bob",
      );
      const has = (share: Share, name: string) =>
        ["restless", "nervous"].some((directory) => share.has(`${directory}/${name}`));
      try {
        await waitFor("bob's file is in export", () => has(only.export, "bob"));
      } finally {
        isOver = true;
        await renaming;
      }
      await only.settled(); // under either name, or both: bob's file may have come to the one that was just left
      assert(only.peers.every((share) => has(share, "bob") && has(share, "below/deep")));
    });
  },
);

testOnEachFilesystem(
  "I1: malware in a renamed directory, found or not yet, reaches nobody",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only, clamd } = world;
    await make(only, "trap");
    await clamd.stop();
    await only.share("ann").write("trap/virus", EICAR);
    await waitFor("it is held", () => world.gate.log.includes("trap/virus"));
    await only.share("ann").shell("mv trap bait");
    await waitFor("the new name is", () => world.gate.log.includes("bait/virus"));
    await clamd.start();
    await waitFor(
      "the malware is gone",
      () => !only.share("ann").has("bait/virus") && !only.share("ann").has("trap/virus"),
    );
    await renamed(only, "trap", "bait");
    assertEquals(
      await filesThatHold(
        EICAR,
        only.peers.map(({ path }) => path),
      ),
      [],
    );
  },
);

testOnEachFilesystem(
  "I3: what was renamed out of a renamed directory is not deleted before it has arrived",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only, clamd } = world;
    await make(only, "box");
    await clamd.stop();
    await only.share("ann").shell("mv box/1 saved");
    await waitFor("it is held", () => world.gate.log.includes("saved"));
    await only.share("ann").shell("mv box crate");
    await waitFor("the directory is renamed", () => only.export.has("crate/below/deep"));
    await sleep(1000); // it is read now, and what is gone from it is looked at
    for (const share of [only.share("bob"), only.share("cid"), only.export]) {
      assert(share.has("crate/1") || share.has("saved"), `${share.name} has it under no name`);
    }
    await clamd.start();
    await waitFor(
      "it has its new name only",
      () => only.export.has("saved") && !only.export.has("crate/1"),
    );
    await only.settled();
  },
);

testOnEachFilesystem(
  "an empty directory in the place of one that is just followed travels",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { scanning: { enable: false } } },
    });
    const { only } = world;
    // So many that to follow them takes longer than the quiet time after which the new one is told.
    const many = 12_000;
    await only.share("ann").shell(`mkdir full; cd full; seq ${many} | xargs touch`);
    const hasAll = (directory: string) =>
      only.peers.every((share) => share.list(directory).length === many);
    await waitFor("it is everywhere", () => hasAll("full"));
    await only.settled();
    await only.share("ann").shell("mv full whole; mkdir full");
    await waitFor("it is renamed", () => hasAll("whole"));
    await waitFor(
      "the new one is everywhere",
      () => only.peers.every((share) => share.has("full")),
    );
    await only.settled();
  },
);

testOnEachFilesystem("I3: killed while it follows, it ends where it would have", async (kind) => {
  await using world = await World.start(kind, { channels: { docs: {} } });
  const { only } = world;
  await make(only, "start");
  for (let round = 0; round < 4; round++) {
    const [from, to] = round % 2 === 0 ? ["start", "end"] : ["end", "start"];
    await only.share("ann").shell(`mv ${from} ${to}`);
    await waitFor(
      "it is followed somewhere",
      () =>
        only.peers.some((share) =>
          share.path !== only.share("ann").path && share.has(`${to}/below/deep`)
        ),
    );
    await world.gate.kill();
    await world.startGate();
    await renamed(only, from, to);
  }
  assertEquals(
    (await Promise.all(
      Array.from({ length: FILES }, (_, i) => only.export.readText(`start/${i + 1}`)),
    )).filter((content) => content === undefined),
    [],
  );
});

testOnEachFilesystem(
  "I3: another guest renames a file out of a directory that is just being followed, and infects it",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const [ann, bob] = [only.share("ann"), only.share("bob")];
    const rounds = Array.from({ length: 12 }, (_, round) => round);
    for (const round of rounds) {
      await ann.shell(`mkdir -p ${round}/below`);
      await ann.write(`${round}/letter`, `letter ${round}.`);
      await ann.shell(`for i in $(seq 40); do echo ${round} > ${round}/below/$i; done`);
    }
    await only.settled();
    for (const round of rounds) {
      Deno.renameSync(ann.at(`${round}`), ann.at(`other${round}`));
      await sleep(round % 8);
      for (const from of [`${round}`, `other${round}`, `${round}`]) {
        try {
          Deno.renameSync(bob.at(`${from}/letter`), bob.at(`moved${round}`));
          break;
        } catch {
          // it has the other name by now
        }
      }
      bob.infect(`moved${round}`);
      await sleep(200);
    }
    await waitFor("the malware is found", () => world.user.lines.length >= rounds.length);
    await only.quiet();
    await only.settled();
    for (const round of rounds) {
      assertEquals(await only.peersWithout(`letter ${round}.`), [], world.gate.tail());
    }
  },
);

testOnEachFilesystem(
  "I3: killed after it has followed an exchange for a file, or before, it ends where it would have",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    await make(only, "room");
    await only.share("ann").write("door", "a door");
    await only.settled();
    for (let round = 0; round < 4; round++) {
      const [directory, file] = round % 2 === 0 ? ["room", "door"] : ["door", "room"];
      only.share("ann").exchange(directory, file);
      if (round < 2) {
        await waitFor("it is followed", () => only.share("bob").has(`${file}/below/deep`));
      }
      await world.gate.kill();
      await world.startGate();
      await renamed(only, `${directory}/below`, file);
      for (const peer of only.peers) {
        assertEquals(await peer.readText(directory), "a door", peer.name);
        assertEquals(peer.list(file).length, FILES + 1, peer.name);
      }
    }
  },
);

testOnEachFilesystem(
  "write-only producers keep what they have, and what they had does not come back",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { diodeProducers: ["cid"] } },
    });
    const { only } = world;
    await only.share("cid").shell("mkdir -p given; echo cid > given/1");
    await waitFor("it is in export", () => only.export.has("given/1"));
    const before = inode(only.export, "given/1");
    await only.share("ann").shell("mv given taken");
    await waitFor("it is renamed", () => only.export.has("taken/1") && !only.export.has("given"));
    assertNotEquals(inode(only.export, "taken/1"), before);
    assertEquals(await only.share("cid").readText("given/1"), "cid\n");
    await only.settled();
    assert(!only.export.has("given") && !only.share("cid").has("taken"));
  },
);
