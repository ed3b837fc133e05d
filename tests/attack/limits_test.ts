/** The kernel refuses descriptors while the daemon serves: it says so, lets nothing through, and recovers. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { must } from "../support/command.ts";
import { EICAR } from "../support/eicar.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

async function limitDescriptors(world: World, most: number): Promise<void> {
  await must("prlimit", ["--pid", `${world.gate.child.pid}`, `--nofile=${most}:4096`]);
}

function descriptors(world: World): number {
  return [...Deno.readDirSync(`/proc/${world.gate.child.pid}/fd`)].length;
}

testOnEachFilesystem(
  "I3, I6: without free descriptors work waits, and goes on when there are some",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    await only.share("ann").write("before", "before");
    await only.settled();
    // It has all that it needs to live, and next to nothing to work with.
    const own = descriptors(world);
    for (const spare of [0, 2, 8]) {
      await limitDescriptors(world, own + spare);
      await only.share("ann").shell(
        `mkdir -p d${spare}/sub; for i in $(seq 40); do echo $i > d${spare}/sub/$i; done`,
      );
      await only.share("bob").write(`d${spare}-virus`, EICAR);
      await sleep(1500);
      assertEquals(world.gate.status, undefined, "it lives");
      assertEquals(await only.infectedElsewhere(["bob"]), []);
    }
    await world.gate.logged(/too many open files/i);
    await limitDescriptors(world, 4096);
    await waitFor("the rest arrives", () => only.share("cid").list("d0/sub").length === 40);
    await waitFor("malware goes", () => !only.share("bob").has("d0-virus"));
    await only.settled();
    assert(descriptors(world) <= own + 8, `${descriptors(world)} descriptors, ${own} before`);
    await world.verify();
  },
);

/** Fewer than what four jobs at a time take, of which a gate runs at least as many. */
const FEW = 14;
const FILES = 400;
const MOST_MEMORY_MIB = 400;

/** What a guest does at any time: a large directory, a deep one, many small ones, malware, deletions. */
async function keepBusy(world: World, folder: string): Promise<void> {
  const { only } = world;
  const [ann, bob, cid] = ["ann", "bob", "cid"].map((name) => only.share(name));
  if (ann === undefined || bob === undefined || cid === undefined) throw new Error("no shares");
  await ann.shell(
    `mkdir ${folder}; cd ${folder}; mkdir -p large small a/b/c/d/e;
     for i in $(seq ${FILES}); do echo $i > large/$i; done
     for i in $(seq 40); do mkdir small/$i; echo $i > small/$i/file; done
     echo deep > a/b/c/d/e/file`,
  );
  for (let i = 0; i < 10; i++) await bob.write(`${folder}-virus-${i}`, EICAR);
  await waitFor(
    () => `${cid.list(`${folder}/large`).length} of ${FILES} files arrived`,
    () => cid.list(`${folder}/large`).length === FILES,
  );
  await waitFor(
    "the rest arrives",
    () => cid.list(`${folder}/small`).length === 40 && cid.has(`${folder}/a/b/c/d/e/file`),
  );
  await waitFor("malware goes", () => !bob.list().some((name) => name.includes("virus")));
  assertEquals(await only.infectedElsewhere(), []);
  await ann.shell(`cd ${folder}; rm -r small large/1*; mv a z`);
  await waitFor(
    "deletions travel",
    () =>
      !cid.has(`${folder}/small`) &&
      !cid.list(`${folder}/large`).some((name) => name.startsWith("1")),
  );
  await waitFor(
    "renames travel",
    () => cid.has(`${folder}/z/b/c/d/e/file`) && !cid.has(`${folder}/a`),
  );
  await only.settled();
}

testOnEachFilesystem(
  "I1, I3, I6: with far too few descriptors, fewer files are worked on at a time, and all of them arrive",
  async (kind) => {
    // What has no verdict for want of descriptors is nothing that a permissive channel lets through.
    await using world = await World.start(kind, {
      channels: { docs: { scanning: { permissive: true } } },
    });
    const { only } = world;
    await only.share("ann").write("before", "before");
    await only.settled();
    const few = descriptors(world) + FEW;
    await must("prlimit", ["--pid", `${world.gate.child.pid}`, `--nofile=${few}:${few}`]);
    await keepBusy(world, "first");
    const memory = world.gate.memoryMiB();
    assert(memory < MOST_MEMORY_MIB, `${Math.round(memory)} MiB`);
    await world.nothingStaysOpen();

    // The same from the start, with changes made meanwhile.
    await world.gate.term();
    await only.share("bob").shell(
      "rm -r first/large; mkdir new; for i in $(seq 100); do echo $i > new/$i; done",
    );
    await world.startGate({ under: ["prlimit", `--nofile=${few}:${few}`] });
    await waitFor("offline deletions travel", () => !only.share("cid").has("first/large"));
    await waitFor("offline changes travel", () => only.share("cid").list("new").length === 100);
    await keepBusy(world, "second");

    await world.gate.logged(/too few descriptors: .*raise LimitNOFILE/);
    const lines = world.gate.log.split("\n").filter((line) => line.includes("EMFILE"));
    assert(lines.length <= 30, `it is told again and again:\n${lines.join("\n")}`);
    await world.verify();
  },
);
