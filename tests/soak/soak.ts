/**
 * The whole daemon under random guests and random misfortune; then quiet, and everything must hold:
 * all places equal (I3), no infected byte anywhere but at its author's (I1), the last clean versions there, under
 * their names or as conflict copies, and staging empty (I4).
 *
 *     deno task soak --minutes 30 [--seed 7] [--filesystem xfs]
 *
 * A seed repeats what is done and what happens, not how quick the gate is: a failure may need several attempts.
 */

import { parseArgs } from "node:util";
import { messageOf } from "../../ffi/errno.ts";
import { must } from "../support/command.ts";
import {
  FILESYSTEM_KINDS,
  type FilesystemKind,
  LoopFilesystem,
} from "../support/loop_filesystem.ts";
import { sleep } from "../support/wait.ts";
import { World } from "../support/world.ts";
import { check } from "./check.ts";
import { Guests } from "./guests.ts";
import { MISFORTUNES } from "./misfortunes.ts";
import { Random } from "./random.ts";

export interface SoakOptions {
  readonly seed: number;
  readonly filesystem: FilesystemKind;
  readonly rounds: number;
  /** Bursts of operations before each check; 60 ms each on average. */
  readonly bursts: number;
  say(line: string): void;
}

export interface SoakCounts {
  operations: number;
  readonly misfortunes: Map<string, number>;
}

export const INFECTED_ACTIONS = ["delete", "quarantine", "log"] as const;
export type InfectedAction = (typeof INFECTED_ACTIONS)[number];

const MISFORTUNE_CHANCE = 0.03;
/** Small, so that filling it up is quick. */
const DISK_MIB = 512;

/** Throws, naming the seed, when something does not hold. */
export async function soak(options: SoakOptions): Promise<SoakCounts> {
  const random = new Random(options.seed);
  const infectedAction = random.choose(INFECTED_ACTIONS);
  const withDiode = random.chance(0.3);
  const variant = `${options.filesystem}, ${infectedAction}${withDiode ? ", with a diode" : ""}`;
  // Of a file on it a reflink can be made, which is what the disk holds at one moment.
  await using outer = await LoopFilesystem.create("xfs", { sizeMiB: 4 * DISK_MIB });
  await using world = await World.start(options.filesystem, {
    channels: {
      docs: {
        scanning: { infectedAction },
        ...(withDiode ? { producers: ["ann", "bob", "cid", "dio"], diodeProducers: ["dio"] } : {}),
      },
    },
    // A disk that was full of data has room again when the data is gone.
    filesystem: { sizeMiB: DISK_MIB, mixed: true, where: outer },
  });
  await must("sync", ["-f", world.filesystem.path]); // the shares outlast a power failure
  const counts: SoakCounts = { operations: 0, misfortunes: new Map() };
  const history: string[] = [];
  for (let round = 0; round < options.rounds; round++) {
    history.length = 0;
    const guests = new Guests(world.only, random.fork(), round);
    try {
      await play(world, guests, random.fork(), options.bursts, history, counts);
      await check(world, guests, infectedAction);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const misfortunes = history.filter((line) => line.startsWith("--")).join("\n  ");
      const tail = `${misfortunes}\n  …\n  ${history.slice(-80).join("\n  ")}`;
      error.message = `seed ${options.seed}, round ${round + 1} (${variant}): ${error.message}\n` +
        `what was done last:\n  ${tail}\n${world.report()}`;
      throw error;
    }
    counts.operations += history.filter((line) => !line.startsWith("--")).length;
    options.say(`seed ${options.seed} (${variant}), round ${round + 1}: ${inWords(counts)} so far`);
  }
  return counts;
}

async function play(
  world: World,
  guests: Guests,
  random: Random,
  bursts: number,
  history: string[],
  counts: SoakCounts,
): Promise<void> {
  for (let burst = 0; burst < bursts; burst++) {
    for (let left = random.below(12); left >= 0; left--) history.push(guests.act());
    const pauseMs = random.below(120);
    const misfortune = random.fork();
    if (misfortune.chance(MISFORTUNE_CHANCE)) {
      // The log goes with the daemon that wrote it.
      guests.forgive(world.gate.log);
      const name = misfortune.choose(Object.keys(MISFORTUNES));
      history.push(`-- ${name}`);
      await MISFORTUNES[name]?.({ world, guests, random: misfortune, history });
      history.push(`-- ${name}: over`);
      counts.misfortunes.set(name, (counts.misfortunes.get(name) ?? 0) + 1);
    }
    await sleep(pauseMs);
  }
}

export function inWords({ operations, misfortunes }: SoakCounts): string {
  const total = [...misfortunes.values()].reduce((sum, count) => sum + count, 0);
  return `${operations} operations, ${total} misfortunes`;
}

const USAGE = `Usage: deno task soak [OPTIONS]

  --minutes N        how long [default: 5]
  --seed N           the first seed, to repeat a failure [default: another one each time]
  --filesystem KIND  ${FILESYSTEM_KINDS.join(" or ")} [default: by the seed]`;

export interface SoakCommand {
  readonly minutes: number;
  readonly seed: number | undefined;
  readonly filesystems: readonly FilesystemKind[];
}

/** What the command line says; a text is what is wrong with it, or what was asked for. */
export function optionsOf(args: readonly string[]): SoakCommand | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        minutes: { type: "string", default: "5" },
        seed: { type: "string" },
        filesystem: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) return USAGE;
    const minutes = Number(values.minutes);
    // In none of them everything would hold.
    if (!(minutes > 0)) throw new RangeError("--minutes: a number above 0");
    const seed = values.seed === undefined ? undefined : Number(values.seed);
    if (seed !== undefined && !Number.isInteger(seed)) {
      throw new RangeError("--seed: a whole number");
    }
    const filesystems = FILESYSTEM_KINDS.filter((kind) => (values.filesystem ?? kind) === kind);
    if (filesystems.length === 0) {
      throw new RangeError(`--filesystem: ${FILESYSTEM_KINDS.join(" or ")}`);
    }
    return { minutes, seed, filesystems };
  } catch (error) {
    return `${messageOf(error)}\n\n${USAGE}`;
  }
}

async function main(): Promise<void> {
  const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
  const options = optionsOf(Deno.args);
  if (typeof options === "string") {
    say(options);
    return Deno.exit(options === USAGE ? 0 : 2);
  }
  const until = performance.now() + options.minutes * 60_000;
  const total: SoakCounts = { operations: 0, misfortunes: new Map() };
  let seeds = 0;
  for (
    let seed = options.seed ?? Date.now() % 1_000_000;
    performance.now() < until;
    seed++
  ) {
    const filesystem = new Random(seed).fork().choose(options.filesystems);
    const counts = await soak({ seed, filesystem, rounds: 3, bursts: 200, say });
    total.operations += counts.operations;
    for (const [name, count] of counts.misfortunes) {
      total.misfortunes.set(name, (total.misfortunes.get(name) ?? 0) + count);
    }
    seeds++;
  }
  for (const [name, count] of total.misfortunes) say(`  ${count} × ${name}`);
  say(`everything held: ${seeds} seeds, ${inWords(total)}`);
}

if (import.meta.main) await main();
