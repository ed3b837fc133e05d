/**
 * Every swap between every two system calls: what a guest would need luck for is tried out, one after the
 * other. The daemon's work on one path is stopped before each of its system calls, a guest puts something
 * else in the place of the file or of a directory above it, and the work goes on.
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

/** In a short run one boundary of this many is tried, another one for each swap. */
const SAMPLE = 41;

interface Attack {
  readonly scenario: Scenario;
  readonly swap: Swap;
  readonly victim: ShareName;
}

function* attacks(action: "delete" | "quarantine"): Generator<Attack> {
  for (const scenario of SCENARIOS.filter((one) => (one.action ?? "delete") === action)) {
    for (const swap of SWAPS) {
      for (const victim of SHARES) yield { scenario, swap, victim };
    }
  }
}

/** One attempt; what is not as promised afterwards, and how many system calls there were. */
async function attempt(
  theatre: Theatre,
  { scenario, swap, victim }: Attack,
  boundary: number,
): Promise<{ readonly faults: readonly string[]; readonly calls: number }> {
  const stage = await theatre.arrange(scenario);
  let made: readonly string[] = [];
  let destroyed: ReadonlySet<string> = new Set();
  const calls = await theatre.perform(stage, scenario, boundary, () => {
    ({ made, destroyed } = theatre.swap(stage, { swap, victim }));
  });
  const isGivenUp = scenario.untilAnnActs === true && victim === "ann";
  const survivors = [...(isGivenUp ? [] : scenario.survivors), ...made];
  const faults = await theatre.faults(survivors.filter((one) => !destroyed.has(one)));
  theatre.clear();
  const what = `${scenario.name}; before call ${boundary}, in ${victim}'s share, ${swap.name}`;
  return { faults: faults.map((fault) => `${what}: ${fault}`), calls };
}

testOnEachFilesystem(
  "I1, I2, I3: whatever a guest swaps between two system calls, nothing leaves, enters or is lost",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind);
    let cases = 0;
    let number = 0;
    const faults: string[] = [];
    for (const action of ["delete", "quarantine"] as const) {
      using theatre = new Theatre(filesystem.path, action);
      for (const attack of attacks(action)) {
        for (const boundary of sampled(SAMPLE, number++)) {
          const outcome = await attempt(theatre, attack, boundary);
          faults.push(...outcome.faults);
          cases++;
          if (boundary >= outcome.calls) break;
        }
      }
    }
    report(`interleaving on ${kind}: ${cases} cases, ${faults.length} faults`, faults);
    assertEquals(faults.slice(0, 20), [], `${faults.length} faults in ${cases} cases`);
  },
);
