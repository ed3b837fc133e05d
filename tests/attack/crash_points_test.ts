/**
 * The daemon dies before every single system call of its work on one path, as by `kill -9`: nothing of what
 * it was about to do is done any more. Another one starts, and every promise holds.
 */

import "./support/libc_hook.ts"; // before everything that opens the C library
// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { LoopFilesystem } from "../support/loop_filesystem.ts";
import { type Scenario, SCENARIOS } from "./support/scenarios.ts";
import { report, sampled } from "./support/size.ts";
import { type Swap, SWAPS } from "./support/swaps.ts";
import { Theatre } from "./support/theatre.ts";
import { type ShareName, SHARES } from "./support/workbench.ts";

/** In a short run one boundary of this many is tried. */
const SAMPLE = 7;
const SAMPLE_WITH_SWAP = 211;

const ACTIONS = ["delete", "quarantine"] as const;
const scenariosOf = (action: (typeof ACTIONS)[number]) =>
  SCENARIOS.filter((scenario) => (scenario.action ?? "delete") === action);

interface Tally {
  deaths: number;
  readonly faults: string[];
}

/** One death, and what a guest does before the restart; `false` if the work was done before. */
async function die(
  theatre: Theatre,
  scenario: Scenario,
  boundary: number,
  tally: Tally,
  meanwhile?: { readonly swap: Swap; readonly victim: ShareName },
): Promise<boolean> {
  const stage = await theatre.arrange(scenario);
  const died = await theatre.die(stage, scenario, boundary);
  if (died) {
    const gone = meanwhile === undefined ? undefined : theatre.swap(stage, meanwhile);
    const isGivenUp = scenario.untilAnnActs === true && meanwhile?.victim === "ann";
    const survivors = [...(isGivenUp ? [] : scenario.survivors), ...gone?.made ?? []];
    const faults = await theatre.faults(
      survivors.filter((one) => gone?.destroyed.has(one) !== true),
    );
    const what = meanwhile === undefined
      ? `${scenario.name}; death before call ${boundary}`
      : `${scenario.name}; before call ${boundary}, in ${meanwhile.victim}'s share, death and ${meanwhile.swap.name}`;
    tally.faults.push(...faults.map((fault) => `${what}: ${fault}`));
    tally.deaths++;
  }
  theatre.clear();
  return died;
}

function conclude(what: string, { deaths, faults }: Tally): void {
  report(`${what}: ${deaths} deaths, ${faults.length} faults`, faults);
  assertEquals(faults.slice(0, 20), [], `${faults.length} faults after ${deaths} deaths`);
}

testOnEachFilesystem(
  "I1, I3, I4: death before any system call loses nothing, lets nothing through and leaves nothing",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind);
    const tally: Tally = { deaths: 0, faults: [] };
    let number = 0;
    for (const action of ACTIONS) {
      using theatre = new Theatre(filesystem.path, action);
      for (const scenario of scenariosOf(action)) {
        for (const boundary of sampled(SAMPLE, number++)) {
          if (!await die(theatre, scenario, boundary, tally)) break;
        }
      }
    }
    conclude(`crash points on ${kind}`, tally);
  },
);

testOnEachFilesystem(
  "I1, I2, I3: nor does it with guests at work before the restart",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind);
    const tally: Tally = { deaths: 0, faults: [] };
    let number = 0;
    for (const action of ACTIONS) {
      using theatre = new Theatre(filesystem.path, action);
      for (const scenario of scenariosOf(action)) {
        for (const swap of SWAPS) {
          for (const victim of SHARES) {
            for (const boundary of sampled(SAMPLE_WITH_SWAP, number++)) {
              if (!await die(theatre, scenario, boundary, tally, { swap, victim })) break;
            }
          }
        }
      }
    }
    conclude(`crash points with swaps on ${kind}`, tally);
  },
);
