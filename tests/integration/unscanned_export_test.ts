/** What lies in the export without a clean verdict goes to nobody else once there is scanning (I1, I3). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { must } from "../support/command.ts";
import { EICAR } from "../support/eicar.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import type { FilesystemKind } from "../support/loop_filesystem.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

type Producers = readonly string[];

/** A channel of ann, bob and cid, before its first start. */
async function prepared(
  kind: FilesystemKind,
  scanning: Readonly<Record<string, unknown>> = {},
): Promise<World> {
  return await World.prepare(kind, { channels: { docs: { scanning } }, unequal: ["docs"] });
}

function withProducers({ only }: World, producers: Producers) {
  return { configuration: { [only.name]: { ...only.configuration, producers } } };
}

/** Has ann publish malware while nothing is scanned, before cid is a producer. */
async function publishUnscanned(world: World, options: readonly string[]): Promise<void> {
  const { only } = world;
  await world.startGate({ ...withProducers(world, ["ann", "bob"]), arguments: options });
  await only.share("ann").write("evil", EICAR);
  await only.share("ann").write("good", "clean");
  await waitFor(
    "both are everywhere, unscanned",
    () =>
      only.share("bob").has("evil") && only.export.has("evil") &&
      only.share("bob").has("good") && only.export.has("good"),
  );
  await sleep(300);
  await world.gate.term();
}

/** Starts a scanner, and the gate with the world's own arguments: what was published before is scanned now. */
async function startScanning(world: World): Promise<void> {
  await world.clamd.start();
  await world.startGate();
  await onlyCleanArrives(world);
}

/** The clean file arrives with cid, and nothing infected. */
async function onlyCleanArrives({ only, user }: World): Promise<void> {
  await waitFor("the clean one arrives", () => only.share("cid").has("good"));
  await waitFor("the user is told", () => user.lines.some((line) => /Malware .*evil/.test(line)));
  await only.quiet();
  assert(!only.share("cid").has("evil"), "it reached cid");
}

testOnEachFilesystem(
  "I1: equal in a share and the export proves nothing without an index",
  async (kind) => {
    await using world = await prepared(kind);
    const { only } = world;
    await only.share("ann").write("evil", EICAR, { uid: 1000 });
    await only.share("ann").write("good", "clean", { uid: 1000 });
    await Deno.mkdir(only.export.path);
    for (const name of ["evil", "good"]) {
      await must("cp", ["-a", only.share("ann").at(name), only.export.at(name)]);
    }
    await startScanning(world);
    await only.settled();
    assertEquals(await only.infectedElsewhere(), []);
  },
);

testOnEachFilesystem(
  "I1: what was published without scanning is scanned before it goes on",
  async (kind) => {
    await using world = await prepared(kind);
    await publishUnscanned(world, ["--no-scan"]);
    await startScanning(world);
    await world.only.settled();
    assertEquals(await world.only.infectedElsewhere(), []);
  },
);

testOnEachFilesystem(
  "I1: what was let through in an outage is scanned before it goes on",
  async (kind) => {
    await using world = await prepared(kind, { permissive: true });
    await publishUnscanned(world, []);
    await startScanning(world);
  },
);

testOnEachFilesystem(
  "I1: log: it stays where it is, goes no further, and is told once",
  async (kind) => {
    await using world = await prepared(kind, { infectedAction: "log" });
    const { only } = world;
    await publishUnscanned(world, ["--no-scan"]);
    await startScanning(world);
    const inAll = (name: string, wanted: string) => async () => {
      for (const peer of only.peers) if (await peer.readText(name) !== wanted) return false;
      return true;
    };
    assertEquals(world.user.lines.length, 1);
    await only.share("bob").write("evil", "clean by now");
    await waitFor("the next version is everywhere", inAll("evil", "clean by now"));
  },
);

testOnEachFilesystem(
  "I1: what stayed goes with another configuration, though nobody lacks it by then",
  async (kind) => {
    await using world = await prepared(kind, { infectedAction: "log" });
    const { only } = world;
    await publishUnscanned(world, ["--no-scan"]);
    await startScanning(world);
    await world.gate.term();
    const scanning = { ...only.options.scanning, infectedAction: "delete" };
    const producers = ["ann", "bob"];
    await world.startGate({
      configuration: { [only.name]: { ...only.configuration, producers, scanning } },
    });
    const places = [only.share("ann"), only.share("bob"), only.export];
    await waitFor("it is gone", () => places.every((place) => !place.has("evil")));
    assert(places.every((place) => place.has("good")));
  },
);

testOnEachFilesystem(
  "I3: while the scanner is away it waits, is told once, and then goes on",
  async (kind) => {
    await using world = await prepared(kind);
    const { only, user } = world;
    await publishUnscanned(world, ["--no-scan"]);
    await world.startGate();
    const told = (name: string) => user.lines.filter((line) => line.includes(`/${name}: `)).length;
    await waitFor("the user is told of both", () => told("good") > 0 && told("evil") > 0);
    await sleep(2500); // attempts
    assertEquals([told("good"), told("evil")], [1, 1]);
    assertEquals(only.share("cid").list(), []);
    assertEquals(only.export.list(), ["evil", "good"]);
    await world.clamd.start();
    await onlyCleanArrives(world);
    await only.settled();
  },
);
