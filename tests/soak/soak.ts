/**
 * The whole daemon under random guests and random misfortune; then quiet, and everything must hold:
 * all places equal (I3), no infected byte anywhere but at its author's (I1), the last clean versions there, under
 * their names or as conflict copies, and staging empty (I4).
 *
 *     deno task soak --minutes 30 [--seed 7] [--filesystem xfs]
 */

import { parseArgs } from "node:util";
import type { FilesystemKind } from "../support/loop_filesystem.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";
import { Guests } from "./guests.ts";
import { Random } from "./random.ts";

export interface SoakOptions {
  readonly seed: number;
  readonly filesystem: FilesystemKind;
  /** How long guests are busy before each check. */
  readonly roundMs: number;
  readonly rounds: number;
  say(line: string): void;
}

export interface SoakCounts {
  operations: number;
  misfortunes: number;
}

const ACTIONS = ["delete", "quarantine"] as const;

/** Throws, naming the seed, when something does not hold. */
export async function soak(options: SoakOptions): Promise<SoakCounts> {
  const random = new Random(options.seed);
  const infectedAction = random.choose(ACTIONS);
  await using world = await World.start(options.filesystem, {
    channels: { docs: { scanning: { infectedAction } } },
  });
  const counts: SoakCounts = { operations: 0, misfortunes: 0 };
  const history: string[] = [];
  for (let round = 0; round < options.rounds; round++) {
    history.length = 0;
    world.mark();
    try {
      const guests = new Guests(world.only, random);
      await play(world, guests, random, options.roundMs, history, counts);
      await check(world, guests);
    } catch (error) {
      const tail = history.slice(-60).join("\n  ");
      throw new Error(
        `seed ${options.seed}, round ${round} (${options.filesystem}, ${infectedAction}): ` +
          `${
            error instanceof Error ? error.message : error
          }\nwhat was done last:\n  ${tail}\n${world.report()}`,
      );
    }
    const { operations, misfortunes } = counts;
    options.say(`round ${round + 1}: ${operations} operations, ${misfortunes} misfortunes so far`);
  }
  return counts;
}

async function play(
  world: World,
  guests: Guests,
  random: Random,
  durationMs: number,
  history: string[],
  counts: SoakCounts,
): Promise<void> {
  const until = performance.now() + durationMs;
  while (performance.now() < until) {
    for (let burst = random.below(12); burst >= 0; burst--) {
      history.push(guests.act());
      counts.operations++;
    }
    if (random.chance(0.03)) {
      // The log goes with the daemon that wrote it.
      guests.forgive(world.gate.log);
      history.push(await misfortune(world, random));
      counts.misfortunes++;
    }
    await sleep(random.below(120));
  }
}

/** What happens to daemons. In the end both run again. */
async function misfortune(world: World, random: Random): Promise<string> {
  const { gate, clamd } = world;
  switch (random.below(5)) {
    case 0:
      await gate.kill();
      await world.startGate();
      return "-- gate killed and started";
    case 1:
      await gate.term();
      await world.startGate();
      return "-- gate ended and started";
    case 2:
      gate.child.kill("SIGSTOP");
      await sleep(random.below(1000));
      gate.child.kill("SIGCONT");
      return "-- gate stood still";
    case 3:
      await clamd.kill();
      await sleep(random.below(1500));
      await clamd.start();
      return "-- clamd killed and started";
    default:
      clamd.freeze();
      await sleep(random.below(1500));
      clamd.thaw();
      return "-- clamd stood still";
  }
}

async function check(world: World, guests: Guests): Promise<void> {
  const { only } = world;
  guests.removeObstacles();
  await only.quiet();
  guests.removeObstacles();
  await waitFor("infected files are dealt with", async () => {
    return (await only.infectedElsewhere()).length === 0;
  });
  await only.settled();
  guests.forgive(world.gate.recentLog);
  const exported = contents(only.export.path);
  for (const [path, content] of guests.mustSurvive) {
    if (!exported.has(content)) {
      throw new Error(`the last version of ${path} is nowhere: ${content.slice(0, 20).trim()}`);
    }
  }
}

function contents(directory: string, found = new Set<string>()): Set<string> {
  for (const entry of Deno.readDirSync(directory)) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory) contents(path, found);
    else if (entry.isFile) found.add(Deno.readTextFileSync(path));
  }
  return found;
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      minutes: { type: "string", default: "5" },
      seed: { type: "string" },
      filesystem: { type: "string", default: "btrfs" },
    },
  });
  const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
  const filesystem = values.filesystem === "xfs" ? "xfs" : "btrfs";
  const until = performance.now() + Number(values.minutes) * 60_000;
  let seed = Number(values.seed ?? Date.now() % 1_000_000);
  for (; performance.now() < until; seed++) {
    say(`seed ${seed} on ${filesystem}`);
    await soak({ seed, filesystem, roundMs: 12_000, rounds: 3, say });
  }
  say("everything held");
}
