/**
 * Guests exchange, link, map, truncate and infect things, and give them other names and kinds, while daemons come and go;
 * then all is quiet, and nothing that was clean is lost, nothing that was not is anywhere (I1, I3, I4).
 */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { Random } from "../soak/random.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import type { FilesystemKind } from "../support/loop_filesystem.ts";
import { NIGHTLY } from "../support/size.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";
import { IGNORED_HERE, RestlessGuests } from "./support/restless_guests.ts";

/** Of one that failed once, in a name that was given to something else: what is found is put into tests of its own. */
const SEEDS = NIGHTLY ? [2, 31, Date.now() % 1_000_000] : [];
const ROUNDS = 30;
const BURSTS = 20;
const MOST_AT_ONCE = 6;
const LONGEST_PAUSE_MS = 200;
const MISFORTUNE = 0.08;
/** Longer than what was taken out of a share lingers. */
const LINGERING_MS = 12_000;

async function misfortune(world: World, random: Random): Promise<string> {
  switch (random.below(5)) {
    case 0:
      await world.gate.kill();
      await world.startGate();
      return "killed";
    case 1:
      await world.gate.reload();
      return "reloaded";
    case 2:
      await world.clamd.kill();
      await sleep(random.below(1500));
      await world.clamd.start();
      return "clamd was away";
    case 3:
      world.clamd.freeze();
      await sleep(random.below(800));
      world.clamd.thaw();
      return "clamd stood still";
    default:
      world.gate.child.kill("SIGSTOP");
      await sleep(random.below(500));
      world.gate.child.kill("SIGCONT");
      return "stood still";
  }
}

async function play(kind: FilesystemKind, seed: number): Promise<void> {
  const random = new Random(seed);
  await using world = await World.start(kind, {
    channels: { docs: { scanning: IGNORED_HERE } },
    gate: { arguments: ["--debug"] },
  });
  const { only } = world;
  const guests = new RestlessGuests(only, "content");
  const history: string[] = [];
  const check = async () => {
    guests.removeOddities();
    await only.quiet();
    guests.removeOddities();
    await waitFor(
      "infected files are dealt with",
      async () => (await only.infectedElsewhere()).length === 0,
    );
    await only.settled();
    for (const peer of only.peers) {
      const lost = guests.lostIn(peer).map((content) => content.slice(0, 24).trim());
      assertEquals(lost, [], `lost in ${peer.name}`);
    }
    guests.settled();
  };
  try {
    for (let round = 0; round < ROUNDS; round++) {
      history.push(`-- round ${round}`);
      for (let burst = 0; burst < BURSTS; burst++) {
        for (let left = random.below(MOST_AT_ONCE); left >= 0; left--) {
          history.push(guests.act(random.fork()));
        }
        const unlucky = random.fork();
        if (unlucky.chance(MISFORTUNE)) history.push(`-- ${await misfortune(world, unlucky)}`);
        await sleep(random.below(LONGEST_PAUSE_MS));
      }
      await check();
    }
    const recovery = `${only.stateDirectory}/recovery`;
    await waitFor(
      "nothing is left in recovery",
      () => [...Deno.readDirSync(recovery)].every(({ name }) => name === "journal"),
      LINGERING_MS,
    );
  } catch (error) {
    if (error instanceof Error) {
      error.message = `seed ${seed}: ${error.message}\n${history.join("\n")}\n${world.report()}`;
    }
    throw error;
  }
}

for (const seed of SEEDS) {
  testOnEachFilesystem(
    `I1, I3, I4: whatever guests do with their files, what is clean is kept and all end equal: seed ${seed}`,
    (kind) => play(kind, seed),
  );
}
