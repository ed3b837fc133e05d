/** When a directory that somebody removed is kept for what others have in it. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { nextTurn } from "../../ffi/reactor.ts";
import { Workbench } from "../attack/support/workbench.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { LoopFilesystem } from "../support/loop_filesystem.ts";
import { Share } from "../support/share.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

/** More than the attempts after which the gate takes what it cannot explain for news. */
const MANY = 20;

testOnEachFilesystem(
  "I3: a removed directory is not kept while what is in it is still being read",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind);
    const basePath = await filesystem.directory();
    Workbench.prepare(basePath);
    const bench = new Workbench(basePath);
    const [ann, bob] = ["ann", "bob"].map((name) => new Share(name, `${basePath}/share/${name}`));
    if (ann === undefined || bob === undefined) throw new Error("no shares");
    await ann.shell("mkdir gone");
    await bench.settle();
    // Nobody knows whether that stays: as of a file whose deletion was not read yet.
    await bob.shell("ln -s nowhere gone/left");
    await ann.shell("rmdir gone");
    bench.isBeingRead = true;
    for (let look = 0; look < MANY; look++) await bench.run("gone");
    assertEquals([ann.has("gone"), bob.has("gone")], [false, true]);
    bench.isBeingRead = false;
    for (let look = 0; look < MANY; look++) await bench.run("gone");
    assertEquals([ann.has("gone"), bob.has("gone")], [true, true]);
    bench.close();
  },
);

testOnEachFilesystem(
  "I7: what many files in a removed directory mean is asked a few at a time",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind);
    const basePath = await filesystem.directory();
    Workbench.prepare(basePath);
    const bench = new Workbench(basePath);
    const ann = new Share("ann", `${basePath}/share/ann`);
    await ann.shell("mkdir gone; cd gone; seq 5000 | xargs touch");
    await bench.settle();
    await ann.shell("rm -r gone");
    let turns = 0;
    const looked = bench.run("gone").then(() => true);
    while (!await Promise.race([looked, nextTurn()])) turns++;
    assert(turns > 0, "others had no turn");
    bench.close();
  },
);

testOnEachFilesystem("I3: a file takes the place of the directory that it was in", async (kind) => {
  await using world = await World.start(kind, { channels: { docs: {} } });
  const { only } = world;
  const ann = only.share("ann");
  for (const name of ["slowly", "at once"]) {
    await ann.write(`${name}/file`, `of ${name}`);
    await ann.write(`${name}/other`, "goes");
    await only.settled();
    if (name === "at once") world.gate.signal("SIGSTOP");
    await ann.shell(`mv '${name}/file' file; rm -r '${name}'; mv file '${name}'`);
    world.gate.signal("SIGCONT");
    await waitFor("it is everywhere", async () => {
      for (const peer of only.peers) {
        if (await peer.readText(name) !== `of ${name}`) return false;
      }
      return true;
    });
    await only.settled();
  }
});

testOnEachFilesystem(
  "I6: a directory that stays for what is ignored in it rests, also where somebody cannot get it again",
  async (kind) => {
    await using world = await World.start(kind, {
      channels: { docs: { scanning: { ignoreFilePatterns: ["*.private"] } } },
      unequal: ["docs"],
    });
    const { only } = world;
    await only.share("ann").shell("mkdir -p w.private/d");
    await only.settled();
    await only.share("bob").write("w.private/d/x.private", "bob's own");
    await only.quiet();
    await only.share("ann").shell("rm -r w.private; echo 1 > w.private");
    // Six times, with growing pauses, it is tried to remove it.
    await sleep(8_000);
    const inode = async () => (await Deno.stat(only.export.at("w.private/d"))).ino;
    const before = await inode();
    await world.isAtRest();
    await sleep(1_000);
    assertEquals(await inode(), before, "it is not made again and again");
    assertEquals(await only.share("bob").readText("w.private/d/x.private"), "bob's own");
    assert(only.share("cid").has("w.private/d"));
  },
);
