/**
 * The kernel refuses system calls of the daemon's work on one path: each of them alone, and each with what follows.
 * Every promise holds when it has come to its senses, and nothing stays open.
 */

import { ownDescriptors } from "./support/libc_hook.ts"; // before everything that opens the C library
// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { ERRNO } from "../../ffi/errno.ts";
import { closingFiles } from "../../ffi/file_descriptor.ts";
import { nextTurn } from "../../ffi/reactor.ts";
import { Random } from "../soak/random.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { LoopFilesystem } from "../support/loop_filesystem.ts";
import { NIGHTLY } from "../support/size.ts";
import { report } from "./support/size.ts";
import { rehearsals } from "./support/theatre.ts";

/** With which errno the system call number `at` fails, if at all, when `from` is the first that may. */
type Refusal = (name: string, at: number, from: number) => number | undefined;

const OPENERS: ReadonlySet<string> = new Set(["openat", "openat2", "fcntl"]);
const WRITERS: ReadonlySet<string> = new Set([
  "linkat",
  "mkdirat",
  "openat",
  "pwrite",
  "renameat2",
]);

const REFUSALS: Readonly<Record<string, Refusal>> = {
  "an input/output error": (_, at, from) => at === from ? ERRNO.EIO : undefined,
  "a disk that fails for good": (_, at, from) => at >= from ? ERRNO.EIO : undefined,
  "a disk that fails now and then": (_, at, from) =>
    at === from || (at > from && new Random(1000 * from + at).below(5) === 0)
      ? ERRNO.EIO
      : undefined,
  "a disk that is full from then on": (name, at, from) =>
    at >= from && WRITERS.has(name) ? ERRNO.ENOSPC : undefined,
  "one descriptor too few": (name, at, from) =>
    at === from && OPENERS.has(name) ? ERRNO.EMFILE : undefined,
  "no descriptors from then on": (name, at, from) =>
    at >= from && OPENERS.has(name) ? ERRNO.EMFILE : undefined,
};

for (const [name, refusal] of Object.entries(REFUSALS)) {
  testOnEachFilesystem(
    `I1, I3, I6: ${name}, at any system call: nothing is lost, let through, or left open`,
    async (kind) => {
      await using filesystem = await LoopFilesystem.create(kind);
      let cases = 0;
      const faults: string[] = [];
      for await (const { theatre, scenario, calls } of rehearsals(filesystem.path)) {
        for (const [from, call] of calls.entries()) {
          if (refusal(call, from, from) === undefined) continue;
          if (!NIGHTLY && from % 2 !== (kind === "xfs" ? 1 : 0)) continue;
          const stage = await theatre.arrange(scenario);
          const before = await descriptors();
          const refuse = (name: string, at: number) => refusal(name, at, from);
          await theatre.play(stage, scenario, { refuse });
          const left = await descriptors() - before;
          const found = left === 0 ? [] : [`I6: ${left} descriptors stay open`];
          found.push(...await theatre.faults(scenario.survivors, scenario.gone));
          faults.push(
            ...found.filter((fault) => !isForTheNextStart(fault)).map((fault) =>
              `${scenario.name}; ${call} (${from}): ${fault}`
            ),
          );
          theatre.clear();
          cases++;
        }
      }
      report(`${name} on ${kind}: ${cases} cases, ${faults.length} faults`, faults);
      assertEquals(faults.slice(0, 20), [], `${faults.length} faults in ${cases} cases`);
    },
  );
}

/** What our code has open and is not closing. */
async function descriptors(): Promise<number> {
  while (closingFiles() > 0) await nextTurn();
  return ownDescriptors().size;
}

/** What was being made, and could not even be removed. */
function isForTheNextStart(fault: string): boolean {
  return /^(staging|\.virtiofs-gate\/recovery) holds /.test(fault);
}
