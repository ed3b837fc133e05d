/**
 * The user's program takes no notifications: nothing else stops, and they come again when it does (I6, I7). Each message
 * has a connection of its own, so what gets full is the socket's queue of connections.
 */

// @ts-types="../support/assert.d.ts"
import { assert } from "@std/assert";
import { EICAR } from "../support/eicar.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { IdleListener } from "../support/idle_listener.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

/** More than wait for the user and in the socket's own queue. */
const MALWARE = 800;
const CLEAN = 100;
const MOST_MEMORY_MIB = 400;
/** More than it had when nothing was to be told. */
const MOST_DESCRIPTORS = 64;

function descriptors(world: World): number {
  return [...Deno.readDirSync(`/proc/${world.gate.child.pid}/fd`)].length;
}

/** Malware in one piece: a file that is still empty may travel. */
async function bring(world: World, ...names: readonly string[]): Promise<void> {
  const outside = await world.filesystem.directory("outside");
  await Deno.writeFile(`${outside}/virus`, EICAR);
  await world.only.share("ann").shell(
    `for name in ${names.join(" ")}; do
       cp '${outside}/virus' '${outside}/'$name; mv '${outside}/'$name $name
     done`,
  );
}

/** Malware is found, and the user reads of it. */
async function isTold(world: World, user: IdleListener, name: string): Promise<void> {
  const share = world.only.share("ann");
  await waitFor(`the user is told of ${name}`, async () => {
    // As long as older ones are in the way, a new one may be dropped.
    if (!share.has(name)) await bring(world, name);
    return user.read().some((line) => line.endsWith(`/${name}`));
  });
  await waitFor("it goes", () => !share.has(name));
}

async function testWith(
  kind: Parameters<typeof World.start>[0],
  idle: (user: IdleListener) => void,
  whileIdle: (world: World) => Promise<void>,
): Promise<void> {
  const path = `${scratchDirectory("user")}/idle.sock`;
  await using world = await World.start(kind, {
    channels: { docs: { scanning: { notifySocket: path, infectedAction: "delete" } } },
  });
  const { only } = world;
  const [ann, bob, cid] = ["ann", "bob", "cid"].map((name) => only.share(name));
  if (ann === undefined || bob === undefined || cid === undefined) throw new Error("no shares");
  const before = descriptors(world);
  let most = 0;
  {
    using user = new IdleListener(path);
    await isTold(world, user, "first");
    const flood = bring(world, ...Array.from({ length: MALWARE }, (_, i) => `virus-${i}`));
    await bob.shell(`for i in $(seq ${CLEAN}); do echo $i > clean-$i; done`);
    await waitFor("clean files travel", () => {
      idle(user);
      most = Math.max(most, descriptors(world));
      return cid.list().filter((name) => name.startsWith("clean-")).length === CLEAN;
    });
    await flood;
    await waitFor("malware goes", () => {
      idle(user);
      most = Math.max(most, descriptors(world));
      return !ann.list().some((name) => name.startsWith("virus-"));
    });
    await whileIdle(world);
    assert(most <= before + MOST_DESCRIPTORS, `${most} descriptors, ${before} before`);
    const memory = world.gate.memoryMiB();
    assert(memory < MOST_MEMORY_MIB, `${Math.round(memory)} MiB`);
    await isTold(world, user, "reads-again");
  }
  using another = new IdleListener(path);
  await isTold(world, another, "somebody-else");
  await world.verify();
}

testOnEachFilesystem(
  "I6, I7: a user's program that accepts and never reads holds nothing up",
  (kind) => testWith(kind, (user) => user.accept(), () => Promise.resolve()),
);

testOnEachFilesystem(
  "I6, I7: a user's program that never accepts holds nothing up, and the log says that it does not read",
  (kind) =>
    testWith(kind, () => {}, async (world) => {
      await world.gate.logged(/idle\.sock is not read: messages to the user are dropped/);
    }),
);
