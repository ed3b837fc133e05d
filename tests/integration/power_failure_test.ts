/**
 * The power fails: the disk has what was written to it by then, in an order of its own. The index may be there, and what it
 * tells of not. Nothing is lost that any share still has (I3).
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
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
  startMachineAnew(world.only.indexPath);
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
    flushIndex(world.only.indexPath);
    await world.filesystem.keepDisk();
    await startAnew(world);
    const reached = only.share("bob").has("made");
    assertEquals(reached, kind === "xfs", "whether all that came before is on the disk, too");
    await world.startGate();
    await only.settled();
    assertEquals(await ann.readText("made"), "written meanwhile");
    assertEquals(await only.export.readText("made"), "written meanwhile");
    assertEquals(await only.export.readText("changed"), "the second version");
    assert(!world.gate.log.includes("unknown origin"), world.gate.tail());
    await world.verify();
  },
);

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
  "I3: the power fails while guests write, rename and delete: the newest version of a file that any share has on the disk stays",
  async (kind) => {
    await using scene = await prepare(kind);
    const { world } = scene;
    await world.startGate();
    for (let round = 0; round < 4; round++) await failWhileBusy(world, round % 2 === 0);
    await world.verify();
  },
);

/** `flushed`: the index is on the disk before what it tells of. */
async function failWhileBusy(world: World, flushed: boolean): Promise<void> {
  const { only } = world;
  await using guests = new BusyGuests(PRODUCERS.map((name) => only.share(name).path));
  await sleep(1000 + 2000 * Math.random());
  await world.gate.kill();
  if (flushed) flushIndex(world.only.indexPath);
  await world.filesystem.keepDisk();
  await guests.stop();
  await startAnew(world);
  const before = await newestVersions(PRODUCERS.map((name) => only.share(name).path));
  await world.startGate();
  await only.settled();
  // Two guests may have replaced a file at the same time: then either may be the conflict's loser.
  const after = new Set((await versionsIn(only.export.path)).values());
  const lost = [...before].filter(([, version]) => !after.has(version));
  assertEquals(lost, [], world.gate.tail());
}

/** They see to it that what they write is on the disk before it has its name, as editors do. */
class BusyGuests implements AsyncDisposable {
  static #version = 0;
  readonly #works: Promise<void>[];
  #isOver = false;

  constructor(roots: readonly string[]) {
    this.#works = roots.map((root) => this.#work(root));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#works);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #work(root: string): Promise<void> {
    while (!this.#isOver) {
      try {
        await this.#act(root);
      } catch (error) {
        // What another guest did comes here, too: something is gone, or a directory not empty any more.
        if (!(error instanceof Error && "code" in error)) throw error;
      }
      await sleep(3);
    }
  }

  async #act(root: string): Promise<void> {
    const files: string[] = [];
    const directories = [root];
    for await (const { path, isDirectory } of walk(root)) {
      (isDirectory ? directories : files).push(path);
    }
    const fresh = `${chosen(directories)}/${BusyGuests.#version++}`;
    const file = chosen(files) ?? fresh;
    const die = Math.random();
    if (die < 0.35) await write(fresh);
    else if (die < 0.6) await write(file);
    else if (die < 0.7) await Deno.mkdir(fresh);
    else if (die < 0.8) await Deno.rename(file, fresh);
    else if (die < 0.9) await Deno.remove(file);
    else if (directories.length > 4) {
      const directory = chosen(directories.slice(1)) ?? root;
      if (die < 0.97) await Deno.rename(directory, `${root}/${BusyGuests.#version++}`);
      else await Deno.remove(directory, { recursive: true });
    }
  }
}

function chosen<T>(list: readonly T[]): T | undefined {
  return list[Math.floor(Math.random() * list.length)];
}

async function* walk(
  directory: string,
): AsyncGenerator<{ readonly path: string; readonly isDirectory: boolean }> {
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    if (name.startsWith(".")) continue;
    const path = `${directory}/${name}`;
    yield { path, isDirectory };
    if (isDirectory) yield* walk(path);
  }
}

let versions = 0;

async function write(path: string): Promise<void> {
  const temporary = `${path.slice(0, path.lastIndexOf("/"))}/.new-${versions}`;
  {
    using file = await Deno.create(temporary);
    await file.write(new TextEncoder().encode(String(versions++)));
    await file.sync();
  }
  await Deno.rename(temporary, path);
}

/** What each file in any of the trees holds in its newest version, by its path there. */
async function newestVersions(roots: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for (const root of roots) {
    for (const [path, version] of await versionsIn(root)) {
      found.set(path, Math.max(found.get(path) ?? -1, version));
    }
  }
  return found;
}

/** What a power failure took the content of is no version. */
async function versionsIn(root: string): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for await (const { path, isDirectory } of walk(root)) {
    const text = isDirectory ? "" : await Deno.readTextFile(path);
    if (text !== "") found.set(path.slice(root.length), Number(text));
  }
  return found;
}
