/** How many conflict copies there are of a name, without a look at the whole directory each time. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { type FileName, fileName, fromText } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { ConflictCopies } from "../../src/gate/conflict_copies.ts";
import { conflictName, MOST_CONFLICT_COPIES } from "../../src/gate/conflict_name.ts";
import { openBelow } from "../support/open_files.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";

const ANN = fileName("ann");
const TIME = new Date("2026-01-02T03:04:05Z");

interface Bench {
  readonly clock: SimulatedClock;
  readonly copies: ConflictCopies;
  readonly directory: Directory;
  /** Makes conflict copies of `name`, the first of them number `from`. */
  make(name: FileName, count: number, from?: number): FileName[];
}

async function withBench(body: (bench: Bench) => Promise<void>): Promise<void> {
  const path = Deno.makeTempDirSync({ prefix: "conflicts-" });
  try {
    using directory = Directory.openTrusted(fromText(path));
    const clock = new SimulatedClock();
    const make = (name: FileName, count: number, from = 0) =>
      Array.from({ length: count }, (_, at) => {
        const copy = conflictName(name, ANN, TIME, from + at);
        Deno.writeTextFileSync(`${path}/${copy}`, "");
        return copy;
      });
    await body({ clock, copies: new ConflictCopies(clock), directory, make });
    assertEquals(openBelow(path), []);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

const NAMES = ["report.txt", "Makefile", ".hidden", "a.b", `${"long".repeat(40)}.txt`].map(
  fileName,
);

for (const name of NAMES) {
  Deno.test(`I6: copies of ${name.slice(0, 20)} count up to the most, and others' do not`, () =>
    withBench(async ({ copies, directory, make }) => {
      make(fileName("another.txt"), 2 * MOST_CONFLICT_COPIES);
      make(name, MOST_CONFLICT_COPIES - 1);
      assert(!await copies.areMost(directory, name));
      for (const copy of make(name, 1, MOST_CONFLICT_COPIES)) await copies.kept(directory, copy);
      assert(await copies.areMost(directory, name));
    }));
}

Deno.test("I7: one listing serves for a while, and then what is there counts again", () =>
  withBench(async ({ clock, copies, directory, make }) => {
    const [name, other] = [fileName("report.txt"), fileName("other.txt")];
    assert(!await copies.areMost(directory, other));
    make(name, MOST_CONFLICT_COPIES); // by a guest
    assert(!await copies.areMost(directory, name), "it was listed again");
    clock.pass(1000);
    assert(await copies.areMost(directory, name));
  }));

Deno.test("I3: what a listing still tells of copies that are gone gives nothing up", () =>
  withBench(async ({ copies, directory, make }) => {
    const name = fileName("report.txt");
    const made = make(name, MOST_CONFLICT_COPIES);
    assert(await copies.areMost(directory, name));
    for (const copy of made) directory.removeFile(copy);
    assert(!await copies.areMost(directory, name));
  }));

Deno.test("I6: few listings are kept", () =>
  withBench(async ({ clock, copies, directory }) => {
    for (let number = 0; number < 20; number++) {
      directory.makeDirectory(fileName(`${number}`), 0o700);
      using below = directory.openBeneath(fileName(`${number}`));
      assert(below !== undefined && !await copies.areMost(below, fileName("report.txt")));
    }
    assert(copies.listings <= 4, `${copies.listings} listings`);
    clock.pass(1000);
    assertEquals(copies.listings, 0);
  }));
