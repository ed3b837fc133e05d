/** When a directory that somebody removed is kept for what others have in it. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { Workbench } from "../attack/support/workbench.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { LoopFilesystem } from "../support/loop_filesystem.ts";
import { Share } from "../support/share.ts";

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
