/**
 * Guests that exchange files and directories with links, devices and malware as fast as they can, beside a daemon that
 * serves, is killed, starts, and has lost events. Nothing outside the shares is read or written (I2), nothing
 * infected travels (I1), and when they stop all is equal again (I3).
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { must } from "../support/command.ts";
import { World } from "../support/world.ts";
import type { Pair } from "./support/attacker.ts";
import { Attacker } from "./support/attacker_process.ts";
import { Canary, CANARY_CONTENT } from "./support/canary.ts";
import { MemoryFilesystem } from "./support/memory_filesystem.ts";
import { report } from "./support/size.ts";
import { NIGHTLY } from "../support/size.ts";
import { filesThatHold } from "../support/tree.ts";

const PHASE_MS = NIGHTLY ? 60_000 : 1200;

/** Every kind of exchange, each in a directory of its own; `outside` are canaries' trees. */
function pairs(outside: readonly string[]): Pair[] {
  const file = (directory: string, decoy: Pair["decoy"]): Pair => ({
    directory,
    name: "file",
    real: "file",
    decoy,
  });
  const links = outside.flatMap((tree, number): Pair[] => {
    const up = "../".repeat(12);
    return [
      file(`final-${number}`, { kind: "link", target: `${tree}/top/mid/file` }),
      file(`relative-${number}`, { kind: "link", target: `${up}${tree}/top/mid/file` }),
      {
        directory: `parent-${number}/top`,
        name: "mid",
        real: "directory",
        decoy: { kind: "link", target: `${tree}/top/mid` },
      },
      {
        directory: `grandparent-${number}`,
        name: "top",
        real: "directory",
        decoy: { kind: "link", target: `${tree}/top` },
      },
    ];
  });
  return [
    ...links,
    file("magic", { kind: "link", target: "/proc/self/root" }),
    file("neighbour", { kind: "link", target: "../../bob/neighbour/file" }),
    file("malware", { kind: "malware" }),
    file("fifo", { kind: "fifo" }),
    file("device", { kind: "device" }),
    file("either", { kind: "directory" }),
    { directory: "two", name: "mid", real: "directory", decoy: { kind: "directory" } },
  ];
}

/** An honest guest at work in the same directories, so that the daemon has something to do there. */
async function workBeside(world: World, directories: readonly string[], until: number) {
  const cid = world.only.share("cid");
  for (let round = 0; performance.now() < until; round++) {
    for (const directory of directories) {
      const place = `${directory}/mid`;
      try {
        await cid.write(`${directory}/by-cid-${round % 3}`, `round ${round}`);
        await cid.write(`${place}/file`, `cid's version ${round}`);
        if (round % 2 === 1) await Deno.remove(cid.at(`${directory}/by-cid-${(round + 1) % 3}`));
        if (round % 5 === 4) await Deno.remove(cid.at(place), { recursive: true });
      } catch (error) {
        // What the others did has arrived: a file stands where there was a directory, or it is gone.
        if (!(error instanceof Error)) throw error;
      }
      await sleep(5);
    }
  }
}

/** Malware that is anywhere but with those who make it, at any time. */
async function lookForLeaks(world: World, until: number): Promise<string[]> {
  while (performance.now() < until) {
    const leaks = await world.only.infectedElsewhere(["ann", "bob"]);
    if (leaks.length > 0) return leaks;
    await sleep(100);
  }
  return [];
}

/** More events than the queue holds while nobody reads it. */
async function overflow(world: World): Promise<void> {
  world.gate.child.kill("SIGSTOP");
  await world.only.share("ann").shell("for i in $(seq 200); do : > overflow-$((i % 20)); done");
  await sleep(PHASE_MS / 2);
  world.gate.child.kill("SIGCONT");
}

testOnEachFilesystem(
  "I1, I2, I3: guests exchange whatever they like as fast as they can",
  async (kind) => {
    await using memory = await MemoryFilesystem.mount();
    await using world = await World.start(kind, {
      channels: { docs: { scanning: { infectedAction: "quarantine" } } },
    });
    using near = new Canary(`${world.filesystem.path}/outside`);
    using far = new Canary(`${memory.path}/outside`);
    const { only } = world;
    const orders = pairs([near.path, far.path]);
    const directories = [...new Set(orders.map(({ directory }) => directory.split("/")[0] ?? ""))];
    let flips = 0;
    try {
      await using ann = new Attacker({ share: only.share("ann").path, pairs: orders });
      await using bob = new Attacker({ share: only.share("bob").path, pairs: orders.toReversed() });
      const leaks = lookForLeaks(world, performance.now() + 4 * PHASE_MS);
      const busy = workBeside(world, directories, performance.now() + 4 * PHASE_MS);
      await sleep(PHASE_MS);
      await world.gate.kill();
      await world.startGate();
      await sleep(PHASE_MS);
      await overflow(world);
      await busy;
      assertEquals(await leaks, []);
      flips = await ann.stop() + await bob.stop();
      report(`exchange on ${kind}: ${flips} exchanges`);

      for (const name of ["ann", "bob", "cid"]) {
        await must("find", [
          only.share(name).path,
          "!",
          "-type",
          "f",
          "!",
          "-type",
          "d",
          "-delete",
        ]);
      }
      await only.share("cid").write("after", "all that");
      await waitFor("the gate goes on", () => only.export.has("after"));
      await waitFor(
        "the malware is gone",
        async () => (await only.infectedElsewhere()).length === 0,
      );
      await only.settled();
      assertEquals([...near.disturbances(), ...far.disturbances()], []);
      const canary = new TextEncoder().encode(CANARY_CONTENT);
      const places = ["share", "export", "quarantine", "staging"].map((name) =>
        `${only.basePath}/${name}`
      );
      assertEquals(await filesThatHold(canary, places), []);
      assert(flips > (NIGHTLY ? 100_000 : 1000), `${flips} exchanges`);
      await world.verify();
    } catch (error) {
      if (error instanceof Error) error.message += `\n${flips} exchanges\n${world.report()}`;
      throw error;
    }
  },
);
