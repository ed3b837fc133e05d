/** Hard links between shares, which only the host can make: everybody gets a file of their own (I1). */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import type { Channel } from "../support/channel.ts";
import { EICAR } from "../support/eicar.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const PLACES = ["ann", "bob", "cid", "export"] as const;

async function apart(channel: Channel, name: string): Promise<void> {
  await waitFor("everybody has a file of their own", () => {
    const links = PLACES.map((place) => {
      try {
        return Deno.lstatSync(channel.share(place).at(name)).nlink;
      } catch {
        return undefined; // it is being made
      }
    });
    return links.every((count) => count === 1);
  });
}

function link(channel: Channel, name: string, to: readonly string[]): void {
  for (const place of to) {
    Deno.linkSync(channel.share("ann").at(name), channel.share(place).at(name));
  }
}

testOnEachFilesystem(
  "I1: what the host linked into several shares and the export is everybody's own soon",
  async (kind) => {
    await using world = await World.prepare(kind, {
      channels: { docs: { scanning: { infectedAction: "log" } } },
      unequal: ["docs"],
    });
    const { only } = world;
    const ann = only.share("ann");
    await Deno.mkdir(only.export.path, { recursive: true });
    for (const name of ["everywhere", "two"]) await ann.write(name, name);
    link(only, "everywhere", ["bob", "cid", "export"]);
    link(only, "two", ["bob"]);
    await world.clamd.start();
    await world.startGate();
    await ann.write("later", "later");
    await waitFor(
      "it is everywhere",
      () => PLACES.every((place) => only.share(place).has("later")),
    );
    const outside = await world.filesystem.directory("outside");
    Deno.linkSync(ann.at("later"), `${outside}/later`);
    await only.share("bob").shell(`ln -f '${outside}/later' later; rm '${outside}/later'`);

    for (const name of ["everywhere", "two", "later"]) {
      await apart(only, name);
      await Deno.writeFile(ann.at(name), EICAR);
      assertEquals(await only.infectedElsewhere(["ann"]), []);
    }
    await only.quiet();
    assertEquals(await only.infectedElsewhere(["ann"]), []);
    for (const name of ["everywhere", "two", "later"]) {
      for (const place of ["bob", "cid", "export"]) {
        assertEquals(await only.share(place).readText(name), name);
      }
    }
    const names = (place: string) =>
      only.share(place).list().filter((name) => !name.startsWith("."));
    for (const place of PLACES) assertEquals(names(place), ["everywhere", "later", "two"]);
    await world.verify();
  },
);

testOnEachFilesystem(
  "I1: malware in a file that a share and the export have in common is found when nothing is known of either",
  async (kind) => {
    await using world = await World.prepare(kind, { channels: { docs: {} } });
    const { only } = world;
    await Deno.mkdir(only.export.path, { recursive: true });
    await only.share("ann").write("virus", EICAR);
    link(only, "virus", ["export"]);
    await world.clamd.start();
    await world.startGate();
    await waitFor("it is nowhere", () => PLACES.every((place) => !only.share(place).has("virus")));
    await world.verify();
  },
);
