/**
 * The power fails: the disk has what was written to it by then, in an order of its own. The index may be there, and what it
 * tells of not. Nothing is lost that any share still has (I3).
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import type { Channel } from "../support/channel.ts";
import { must } from "../support/command.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { flushIndex, startMachineAnew } from "../support/index_file.ts";
import { type FilesystemKind, LoopFilesystem } from "../support/loop_filesystem.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const PRODUCERS = ["ann", "bob", "cid"];
/** btrfs writes nothing that nobody asks for. */
const LAZY = "commit=300";

interface Scene extends AsyncDisposable {
  readonly world: World;
}

async function prepare(kind: FilesystemKind): Promise<Scene> {
  await using own = new AsyncDisposableStack();
  const outer = own.use(await LoopFilesystem.create("xfs", { sizeMiB: 8192 }));
  const world = own.use(
    await World.prepare(kind, {
      channels: { docs: {} },
      filesystem: {
        where: outer,
        sizeMiB: 1024,
        ...(kind === "btrfs" ? { mountOptions: LAZY } : {}),
      },
    }),
  );
  await world.clamd.start();
  const kept = own.move();
  return { world, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The power comes back: the disk as `keepDisk` kept it, and a machine that was started anew. */
async function startAnew(world: World): Promise<void> {
  await world.filesystem.losePower();
  startMachineAnew(indexOf(world));
}

testOnEachFilesystem(
  "I3: the power fails when the index is on the disk, and what was published is not: nothing is deleted, nothing undone",
  async (kind) => {
    await using scene = await prepare(kind);
    const { world } = scene;
    const { only } = world;
    const ann = only.share("ann");
    await ann.write("changed", "the first version");
    await world.startGate();
    await only.quiet();
    await world.gate.kill();
    await ann.write("made", "written meanwhile");
    await ann.write("changed", "the second version");
    await must("sync", ["-f", world.filesystem.path]);
    await world.startGate();
    await only.quiet();
    await world.gate.kill();
    flushIndex(indexOf(world));
    await world.filesystem.keepDisk();
    await startAnew(world);
    const reached = only.share("bob").has("made");
    assertEquals(reached, kind === "xfs", "whether all that came before is on the disk, too");
    await world.startGate();
    await only.settled();
    assertEquals(await ann.readText("made"), "written meanwhile");
    assertEquals(await only.export.readText("made"), "written meanwhile");
    assertEquals(await only.export.readText("changed"), "the second version");
    await world.verify();
  },
);

function indexOf({ only }: World): string {
  return `${only.stateDirectory}/index.sqlite`;
}

testOnEachFilesystem(
  "I3: the power fails after the daemon's end: a deletion made before is none less, and no conflict is seen",
  async (kind) => {
    await using scene = await prepare(kind);
    const { world } = scene;
    const { only } = world;
    const ann = only.share("ann");
    for (const name of ["changed", "deleted", "kept"]) await ann.write(name, "the first version");
    await world.startGate();
    await only.quiet();
    await world.gate.term();
    await ann.write("changed", "a later version, while no daemon runs");
    await ann.shell("rm deleted");
    await must("sync", ["-f", world.filesystem.path]);
    await world.filesystem.keepDisk();
    await startAnew(world);
    await world.startGate();
    await only.settled();
    await waitFor("the deletion is known", () => !only.export.has("deleted"));
    assertEquals(await only.export.readText("changed"), "a later version, while no daemon runs");
    assertEquals(only.export.list().filter((name) => name.includes("sync-conflict")), []);
    assert(!world.gate.log.includes("the machine went down"));
    await world.verify();
  },
);

testOnEachFilesystem(
  "I3: whatever the disk has of a burst when the power fails: no version is lost that is on it, nothing is left aside",
  async (kind) => {
    await using scene = await prepare(kind);
    const { world } = scene;
    await world.startGate();
    for (let round = 0; round < 3; round++) await failInBurst(world, `round-${round}`);
    await world.verify();
  },
);

/** Guests see to it that what they write is on the disk, as editors do, until the power fails. */
async function failInBurst(world: World, directory: string): Promise<void> {
  const { only } = world;
  let isOver = false;
  const writers = PRODUCERS.map((producer) =>
    keepWriting(only.share(producer).at(directory), producer, () => isOver)
  );
  await sleep(1000 + 1500 * Math.random());
  await world.gate.kill();
  flushIndex(indexOf(world));
  await world.filesystem.keepDisk();
  isOver = true;
  await Promise.all(writers);
  await startAnew(world);
  const before = await newest(only, directory);
  await world.startGate();
  await only.settled();
  const after = await newest(only, directory);
  const lost = [...before].filter(([name, version]) => (after.get(name) ?? -1) < version);
  assertEquals(lost, []);
  assert(!world.gate.recentLog.includes("unknown origin"), world.gate.tail());
}

async function keepWriting(
  directory: string,
  writer: string,
  isOver: () => boolean,
): Promise<void> {
  await Deno.mkdir(directory, { recursive: true });
  for (let version = 0; !isOver(); version++) {
    const temporary = `${directory}/.new-${writer}`;
    {
      using file = await Deno.create(temporary);
      await file.write(new TextEncoder().encode(String(version)));
      await file.sync();
    }
    // Every other one is a new file, the others are replaced again and again.
    const name = version % 2 === 0 ? `new-${version}` : `replaced-${version % 40}`;
    await Deno.rename(temporary, `${directory}/${writer}-${name}`);
  }
}

/** The newest version of each file that any share has. */
async function newest(channel: Channel, directory: string): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  const script = 'cd "$1" && grep -s . -- * || true';
  for (const peer of channel.peers) {
    const lines = new TextDecoder().decode(
      await must("sh", ["-c", script, "sh", peer.at(directory)]),
    );
    for (const line of lines.split("\n")) {
      const [name = "", version] = line.split(":");
      if (name === "" || name.includes(".sync-conflict-")) continue;
      found.set(name, Math.max(found.get(name) ?? -1, Number(version)));
    }
  }
  return found;
}
