/**
 * The daemon dies before every single system call of its work on one path, as by `kill -9`: nothing of what
 * it was about to do is done any more. Another one starts, and every promise holds.
 */

import "./support/libc_hook.ts"; // before everything that opens the C library
// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { Random } from "../soak/random.ts";
import { LoopFilesystem } from "../support/loop_filesystem.ts";
import { ACTIONS, scenariosOf } from "./support/scenarios.ts";
import { boundaries, report } from "./support/size.ts";
import { NIGHTLY } from "../support/size.ts";
import { SWAPS } from "./support/swaps.ts";
import { type Attack, rehearsals, Theatre } from "./support/theatre.ts";
import { SHARES } from "./support/workbench.ts";

/** Swaps and deaths together are too many for all of them: so many are drawn for each scenario. */
const DRAWN = NIGHTLY ? 500 : 8;
/** How many system calls after a swap the daemon may die. */
const LATEST_DEATH = 8;

testOnEachFilesystem(
  "I1, I3, I4: death before any system call loses nothing, lets nothing through and leaves nothing",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind);
    let deaths = 0;
    const faults: string[] = [];
    for await (const { theatre, scenario, calls } of rehearsals(filesystem.path)) {
      for (const deathAt of boundaries(calls, kind === "xfs" ? 1 : 0)) {
        const stage = await theatre.arrange(scenario);
        const { died } = await theatre.play(stage, scenario, { deathAt });
        if (died) deaths++;
        const found = await theatre.faults(scenario.survivors, scenario.gone);
        faults.push(
          ...found.map((fault) => `${scenario.name}; death before call ${deathAt}: ${fault}`),
        );
        theatre.clear();
      }
    }
    report(`crash points on ${kind}: ${deaths} deaths, ${faults.length} faults`, faults);
    assertEquals(faults.slice(0, 20), [], `${faults.length} faults after ${deaths} deaths`);
  },
);

testOnEachFilesystem(
  "I1, I2, I3: nor does death soon after a guest's swap, or a swap before the restart",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind);
    const random = new Random(kind === "xfs" ? 2 : 1);
    let cases = 0;
    const faults: string[] = [];
    for (const action of ACTIONS) {
      using theatre = new Theatre(filesystem.path, action);
      const points: Omit<Attack, "swap" | "victim">[] = [];
      for (const scenario of scenariosOf(action)) {
        const calls = await theatre.rehearse(scenario);
        for (const swapAt of [0, 1].flatMap((half) => boundaries(calls, half))) {
          points.push({ scenario, swapAt });
        }
      }
      for (let left = DRAWN * scenariosOf(action).length; left > 0; left--, cases++) {
        const point = drawn(random, points);
        const deathAt = point.swapAt + 1 + random.below(LATEST_DEATH);
        const attack = { swap: drawn(random, SWAPS), victim: drawn(random, SHARES), deathAt };
        faults.push(...await theatre.attack({ ...point, ...attack }));
      }
    }
    report(`swaps and deaths on ${kind}: ${cases} cases, ${faults.length} faults`, faults);
    assertEquals(faults.slice(0, 20), [], `${faults.length} faults in ${cases} cases`);
  },
);

function drawn<T>(random: Random, list: readonly T[]): T {
  const one = list[random.below(list.length)];
  if (one === undefined) throw new RangeError("nothing to draw from");
  return one;
}
