/**
 * Every swap between every two system calls: what a guest would need luck for is tried out, one after the
 * other. The daemon's work on one path is stopped before each of its system calls, a guest puts something
 * else in the place of the file or of a directory above it, and the work goes on.
 */

import "./support/libc_hook.ts"; // before everything that opens the C library
// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { LoopFilesystem } from "../support/loop_filesystem.ts";
import { scenariosOf } from "./support/scenarios.ts";
import { boundaries, report } from "./support/size.ts";
import { SWAPS } from "./support/swaps.ts";
import { rehearsals, Theatre } from "./support/theatre.ts";
import { SHARES, Workbench } from "./support/workbench.ts";

testOnEachFilesystem(
  "I1, I2, I3: whatever a guest swaps between two system calls, nothing leaves, enters or is lost",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind);
    let cases = 0;
    const faults: string[] = [];
    for await (const { theatre, scenario, calls } of rehearsals(filesystem.path)) {
      for (const swap of SWAPS) {
        for (const victim of SHARES) {
          for (const swapAt of boundaries(calls, kind === "xfs" ? 1 : 0)) {
            faults.push(...await theatre.attack({ scenario, swap, victim, swapAt }));
            cases++;
          }
        }
      }
    }
    report(`interleaving on ${kind}: ${cases} cases, ${faults.length} faults`, faults);
    assertEquals(faults.slice(0, 20), [], `${faults.length} faults in ${cases} cases`);
  },
);

testOnEachFilesystem(
  "I3: a comparison holds for the files that were compared, whatever has their name by now",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind);
    using theatre = new Theatre(filesystem.path, "delete");
    const scenario = named(scenariosOf("delete"), "the same new file in two shares");
    const swap = named(SWAPS, "its directory becomes another, with a file that differs in nothing");
    const calls = await theatre.rehearse(scenario);
    const compared = calls.indexOf("pread");
    assert(compared >= 0, "nothing is compared");
    const faults: string[] = [];
    for (const victim of SHARES) {
      for (let swapAt = compared; swapAt <= calls.length; swapAt++) {
        faults.push(...await theatre.attack({ scenario, swap, victim, swapAt }));
      }
    }
    assertEquals(faults, []);
  },
);

testOnEachFilesystem(
  "I3: a directory that was made for a file in it does not come back when its author renames it",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind);
    const basePath = await filesystem.directory("renamed");
    Workbench.prepare(basePath);
    const bench = new Workbench(basePath);
    try {
      const [author, other] = SHARES.map((name) => `${basePath}/share/${name}`);
      Deno.mkdirSync(`${author}/old/below`, { recursive: true });
      Deno.writeTextFileSync(`${author}/old/below/file`, "content");
      await bench.run("old/below/file");
      assertEquals(Deno.readTextFileSync(`${other}/old/below/file`), "content");
      Deno.renameSync(`${author}/old`, `${author}/new`);
      await bench.settle();
      for (const place of [author, other, `${basePath}/export`]) {
        assertEquals([...Deno.readDirSync(String(place))].map(({ name }) => name), ["new"]);
        assertEquals(Deno.readTextFileSync(`${place}/new/below/file`), "content");
      }
    } finally {
      await bench.abandon();
    }
  },
);

function named<T extends { readonly name: string }>(list: readonly T[], beginning: string): T {
  const one = list.find(({ name }) => name.startsWith(beginning));
  if (one === undefined) throw new RangeError(`nothing begins with: ${beginning}`);
  return one;
}
