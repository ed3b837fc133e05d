/** Files that are nearly nothing but holes: they cost a guest nothing, and are not to cost others anything either. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const COUNT = 100;
const SIZE = 2 ** 50;

testOnEachFilesystem(
  "I6, I7: 100 PiB of holes that two guests have under the same names keep nobody waiting",
  async (kind) => {
    await using world = await World.prepare(kind, {
      channels: { docs: { scanning: { enable: false } } },
      unequal: ["docs"], // whoever reads them would be at it for years
    });
    const [ann, bob, cid] = ["ann", "bob", "cid"].map((name) => world.only.share(name));
    if (ann === undefined || bob === undefined || cid === undefined) throw new Error("no shares");
    const names = Array.from({ length: COUNT }, (_, i) => `hole-${i}`);
    const time = new Date(2026, 0, 1);
    for (const [share, end] of [[ann, "a"], [bob, "b"]] as const) {
      for (const name of names) {
        using file = Deno.createSync(share.at(name));
        file.truncateSync(SIZE);
        if (name === names[0]) {
          file.seekSync(-1, Deno.SeekMode.End);
          file.writeSync(new TextEncoder().encode(end));
        }
        file.utimeSync(time, time);
      }
    }
    await world.startGate();
    await cid.write("small", "small");
    await waitFor("another guest's file arrives", () => world.only.export.has("small"));
    await waitFor(
      "all have arrived",
      () => names.every((name) => cid.has(name) && world.only.export.has(name)),
    );
    for (const name of names) assertEquals(Deno.lstatSync(cid.at(name)).size, SIZE);
    await waitFor(
      "the one that differs is kept beside the other",
      () => [...Deno.readDirSync(cid.path)].length === COUNT + 2,
    );
  },
);
