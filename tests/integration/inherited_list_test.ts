/** The host's directory has a default access control list (acl(5)): what the gate makes in it is nobody else's all the same. */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertNotEquals } from "@std/assert";
import { type ByteString, fromText, toText } from "../../ffi/byte_string.ts";
import { allowEverything, listsAt } from "../support/access_control_list.ts";
import type { Channel } from "../support/channel.ts";
import { EICAR } from "../support/eicar.ts";
import { onEachFilesystem } from "../support/fixture.ts";
import { readTree } from "../support/tree.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const STRANGER = 1234;

/** What is made by the daemon, or below it, and has a list. */
async function withLists({ basePath, stateDirectory }: Channel): Promise<string[]> {
  const places = ["staging", "quarantine", "export", "share/bob"].map((name) =>
    `${basePath}/${name}`
  );
  const found: string[] = [];
  for (const place of [...places, stateDirectory, `${stateDirectory}/recovery`]) {
    if (listsAt(fromText(place)) !== "") found.push(place);
    for (const [path, { lists }] of await readTree(place)) {
      if (lists !== "") found.push(`${place}/${toText(path)}`);
    }
  }
  return found;
}

function modeOf(path: string): number {
  return (Deno.statSync(path).mode ?? 0) & 0o7777;
}

onEachFilesystem(
  "inherited access control lists",
  async (kind) => {
    const world = await World.prepare(kind, {
      channels: { docs: { scanning: { infectedAction: "quarantine" } } },
    });
    allowEverything(world.only.basePath, "default", STRANGER);
    await world.clamd.start();
    await world.startGate();
    return world;
  },
  (test) => {
    test("I4: none is published, nor in what the daemon keeps", async (world) => {
      const { only } = world;
      const ann = only.share("ann");
      await ann.write("d/file", "for the group", { uid: 1000, gid: 2000, mode: 0o660 });
      await ann.shell("mkdir -m 770 empty");
      await only.share("bob").write("evil", "was clean");
      await only.settled();
      await only.share("bob").write("evil", EICAR);
      await waitFor("it is kept", () => [...Deno.readDirSync(only.quarantine)].length === 2);
      await waitFor(
        "the clean version is back",
        async () => await only.share("bob").readText("evil") === "was clean",
      );
      await only.settled();
      assertEquals(await withLists(only), []);
    });

    test("I4: nor is there one in directories that had it before", async (world) => {
      const { only } = world;
      await world.gate.term();
      const places = [`${only.basePath}/staging`, only.quarantine, only.stateDirectory];
      for (const place of [...places, `${only.stateDirectory}/recovery`]) {
        allowEverything(place, "access", STRANGER);
        allowEverything(place, "default", STRANGER);
        assertNotEquals(modeOf(place), 0o700);
      }
      await world.startGate();
      await only.share("ann").write("later/file", "x", { mode: 0o660 });
      await only.settled();
      assertEquals(await withLists(only), []);
      for (const place of places) assertEquals(modeOf(place), 0o700, place);
    });

    test("I4: nor is one published that staging is given meanwhile", async (world) => {
      const { only } = world;
      const staging = `${only.basePath}/staging`;
      allowEverything(staging, "default", STRANGER);
      await only.share("ann").write("meanwhile/file", "x", { mode: 0o660 });
      await only.settled();
      assertEquals(listsAt(fromText(staging)), "default");
      assertEquals(await withLists(only), [staging]);
    });

    test("I4: nor in an export or a quarantine that is made again", async (world) => {
      const { only } = world;
      await world.gate.term();
      Deno.removeSync(only.export.path, { recursive: true });
      await world.startGate();
      await only.settled();
      Deno.removeSync(only.export.path, { recursive: true });
      Deno.removeSync(only.quarantine, { recursive: true });
      Deno.mkdirSync(only.quarantine, { mode: 0o700 });
      await waitFor("export is made again", () => only.export.has("later/file"));
      await only.share("ann").write("evil2", EICAR);
      await waitFor("it is kept", () => [...Deno.readDirSync(only.quarantine)].length === 2);
      await only.settled();
      assertEquals(await withLists(only), []);
      assertEquals(modeOf(only.export.path), 0o755);
    });

    test("what the host has an export inherit stays the host's wish", async (world) => {
      const { only } = world;
      await world.gate.term();
      allowEverything(only.export.path, "default", STRANGER);
      await world.startGate();
      await only.share("ann").write("in/export", "x");
      await only.settled();
      assertEquals(listsAt(fromText(only.export.path) as ByteString), "default");
    });
  },
);
