/** A disk without any room, just when the index is to be written: nothing is lost, and all is well when there is room. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { must, run } from "../support/command.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { emptyDisk, fillDisk } from "../support/full_disk.ts";
import { GATE_COMMAND, REPOSITORY } from "../support/gate.ts";
import type { FilesystemKind } from "../support/loop_filesystem.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const INDEX_FAILED = /the index cannot be used now/;
const INDEX_USABLE = /the index can be used again/;
const FOLDERS = 800;
const FILES = 40;
const ROUNDS = 20;

/** Folders and files that everybody has, on a small disk. */
async function prepare(kind: FilesystemKind): Promise<World> {
  const world = await World.start(kind, {
    channels: { docs: {} },
    // What is freed of data is there for everything.
    filesystem: { sizeMiB: 300, mixed: true },
  });
  await world.only.share("ann").shell(`
    for i in $(seq ${FOLDERS}); do mkdir -p folders/$i; done
    mkdir files; for i in $(seq ${FILES}); do echo "text $i" > files/$i; done
  `);
  await world.only.settled();
  // What it wrote until now has left room behind in the file of the last changes; from a start on it has none.
  await world.gate.term();
  await world.startGate();
  return world;
}

/** Leaves no room even for a trial. */
async function fillToTheLastBlock(ballast: string): Promise<void> {
  await fillDisk(ballast);
  // What is still to be had in single blocks, and what the file system gives back when it has written all.
  const rest = "dd if=/dev/zero of=$round bs=4096 2> /dev/null; sync -f .";
  await must("sh", ["-c", `cd ${ballast}; for round in 1 2 3; do ${rest}; done`]);
}

/** Removes folders, and takes what room that leaves, until the index wants more than there is. */
async function untilIndexFails(world: World, ballast: string): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    await fillDisk(`${ballast}/${round}`);
    // Every second one, so that file systems that keep many in one piece of the disk have no piece to give back.
    const names = Array.from(
      { length: FOLDERS / ROUNDS / 2 },
      (_, number) => `folders/${number * 2 * ROUNDS + 2 * round + 1}`,
    );
    // Some of it is refused.
    await world.only.share("ann").shell(`rmdir ${names.join(" ")} 2> /dev/null || true`);
    await sleep(500);
    if (INDEX_FAILED.test(world.gate.log)) return;
  }
  await world.gate.logged(INDEX_FAILED);
}

testOnEachFilesystem(
  "I3: the index cannot be written for want of room: told, nothing is lost, and it is used again",
  async (kind) => {
    await using world = await prepare(kind);
    const { gate, only } = world;
    const [ann, bob] = [only.share("ann"), only.share("bob")];
    const ballast = `${world.filesystem.path}/ballast`;
    for (let round = 0; round < ROUNDS; round++) {
      await Deno.mkdir(`${ballast}/${round}`, { recursive: true });
    }
    // Which of these are refused now is the file system's to say.
    const change = "rm -rf files/1; mv files/2 files/renamed; rm -f files/3";
    await untilIndexFails(world, ballast);
    await ann.shell(`(${change}) || true`);
    await bob.shell("rm -f files/4 || true");
    await emptyDisk(ballast);

    await ann.shell(`rm -rf folders; (${change}) || true`);
    await bob.shell("rm -f files/4");
    await gate.logged(INDEX_USABLE);
    await bob.write("afterwards", "there is room again");
    await waitFor("it goes on", () => only.export.has("afterwards"));
    await only.settled();
    assertEquals(gate.status, undefined, "it is still the same process");
    for (const gone of ["folders", "files/1", "files/2", "files/3", "files/4"]) {
      assert(!only.export.has(gone), `${gone} is back`);
    }
    assertEquals(await only.export.readText("files/renamed"), "text 2\n");
    for (let number = 5; number <= FILES; number++) {
      assertEquals(await only.export.readText(`files/${number}`), `text ${number}\n`);
    }
    assertEquals(only.export.list("files").filter((name) => /conflict/.test(name)), []);

    // It knows all of it: what is deleted while the daemon is away was not there by chance.
    await gate.kill();
    await Deno.remove(bob.at("files/5"));
    const scans = world.clamd.scans;
    await world.startGate();
    await waitFor("the deletion travels", () => !only.export.has("files/5"));
    await only.settled();
    assertEquals(world.clamd.scans, scans, "an unchanged tree is known");
    await world.verify();
  },
);

testOnEachFilesystem(
  "I3: a start without any room, after an orderly end, still knows all",
  async (kind) => {
    await using world = await prepare(kind);
    const { only } = world;
    await world.gate.term();
    const scans = world.clamd.scans;
    const ballast = `${world.filesystem.path}/ballast`;
    await Deno.mkdir(ballast);
    await fillDisk(ballast);
    await world.startGate();
    const { log } = world.gate;
    await emptyDisk(ballast);
    assert(!/starting a new one/.test(log), log);
    await world.gate.kill();
    await Deno.remove(only.share("bob").at("files/5"));
    await world.startGate();
    await waitFor("the deletion travels", () => !only.export.has("files/5"));
    await only.settled();
    assertEquals(world.clamd.scans, scans, "an unchanged tree is known");
    await world.verify();
  },
);

testOnEachFilesystem(
  "I3, I7: a start without any room, after a crash amid many deletions: the channel is served",
  async (kind) => {
    await using world = await prepare(kind);
    const { only } = world;
    const ballast = `${world.filesystem.path}/ballast`;
    await Deno.mkdir(ballast);
    // So many, and so long, that the journal of what was taken out is to be shortened.
    const tail = "x".repeat(180);
    const make = `mkdir many; for i in $(seq 600); do echo $i > many/$i-${tail}; done`;
    await only.share("ann").shell(make);
    await only.settled();
    await only.share("ann").shell("rm many/*");
    await waitFor(
      "the others have none",
      () => ["bob", "cid", "export"].every((name) => only.share(name).list("many").length === 0),
    );
    await world.gate.kill();
    await fillToTheLastBlock(ballast);

    await world.startGate();
    await emptyDisk(ballast);
    await only.share("bob").write("afterwards", "there is room again");
    await waitFor("it goes on", () => only.export.has("afterwards"));
    await only.settled();
    assertEquals(only.export.list("many"), []);
    await world.verify();
  },
);

for (const how of ["SIGTERM", "SIGHUP"] as const) {
  testOnEachFilesystem(
    `I3: ${how} where a guest has taken all room: the next start still knows all`,
    async (kind) => {
      await using world = await World.start(kind, {
        channels: { docs: {} },
        filesystem: { sizeMiB: kind === "btrfs" ? 200 : 300 },
      });
      const { only } = world;
      await only.share("ann").shell("mkdir files; for i in $(seq 20); do echo $i > files/$i; done");
      await only.settled();
      const ballast = `${world.filesystem.path}/ballast`;
      await Deno.mkdir(ballast);
      await fillDisk(ballast);
      if (how === "SIGTERM") {
        await world.gate.term();
        await world.startGate();
      } else await world.gate.reload();
      const { log } = world.gate;
      assert(!/starting a new one|going on without/.test(log), log);
      await emptyDisk(ballast);
      // btrfs gives back what was for data when it commits, which is every half minute otherwise.
      if (kind === "btrfs") await world.filesystem.remount("commit=1");
      await world.gate.kill();
      await Deno.remove(only.share("bob").at("files/5"));
      await world.startGate();
      await waitFor("the deletion travels", () => !only.export.has("files/5"));
      await only.settled();
    },
  );
}

testOnEachFilesystem(
  "I3: a share that is suddenly empty where the index cannot be written: what is not back yet is not deleted",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: {} },
      // Where data finds no room any more, there is still some for clones.
      filesystem: { sizeMiB: 1500 },
    });
    const { only } = world;
    const bob = only.share("bob");
    await only.share("ann").shell(
      `mkdir files; for i in $(seq ${FOLDERS}); do head -c 5000 /dev/zero > files/$i; done`,
    );
    await only.settled();
    await world.gate.term();
    await bob.shell("rm -r files");
    const ballast = `${world.filesystem.path}/ballast`;
    await Deno.mkdir(ballast);
    await fillDisk(ballast);
    await world.startGate();
    await world.gate.logged(/share\/bob is empty, but had files before/);
    const back = () => bob.has("files") ? bob.list("files").length : 0;
    // Until some are back, if any can be.
    for (let look = 0; look < 60 && back() < FOLDERS / 10; look++) await sleep(50);
    // From now on it is not empty any more, whatever else finds room.
    await bob.shell("mkdir -p meanwhile || true");
    await world.gate.kill();
    await emptyDisk(ballast);
    await world.startGate();
    await waitFor("they are back", () => back() === FOLDERS);
    assertEquals(only.export.list("files").length, FOLDERS);
    await world.verify();
  },
);

testOnEachFilesystem(
  "I3: a start with no room even for a trial: it serves, and goes on when there is some",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: {} },
      filesystem: { sizeMiB: 300, mixed: true },
    });
    await world.gate.term();
    const ballast = `${world.filesystem.path}/ballast`;
    await Deno.mkdir(ballast);
    await fillToTheLastBlock(ballast);
    await world.startGate();
    await emptyDisk(ballast);
    await waitFor("a guest can write", async () => {
      const write = "echo there is room again > afterwards";
      return (await run("sh", ["-c", write], { cwd: world.only.share("ann").path })).code === 0;
    });
    await waitFor("it arrives", () => world.only.export.has("afterwards"));
    await world.only.settled();
  },
);

testOnEachFilesystem(
  "I7: a guest that takes all room keeps nobody from verifying and changing the configuration",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: {} },
      filesystem: { sizeMiB: 300, mixed: true },
    });
    const { gate, configuration } = world;
    const path = `${scratchDirectory("full-disk")}/channels.json`;
    await Deno.writeTextFile(path, JSON.stringify(configuration));
    const ballast = `${world.filesystem.path}/ballast`;
    await Deno.mkdir(ballast);
    await fillToTheLastBlock(ballast);
    const verified = await run(Deno.execPath(), [...GATE_COMMAND, "verify", "--config", path], {
      cwd: REPOSITORY,
    });
    gate.mark();
    await gate.reload();
    await emptyDisk(ballast);
    const said = new TextDecoder().decode(verified.stdout);
    assertMatch(said, /warning: docs\.basePath: .* is full .*: make room/);
    assertEquals(verified.code, 0, said);
    assertMatch(gate.recentLog, /serving/);
    assertNotMatch(gate.recentLog, /is not used/);
  },
);
