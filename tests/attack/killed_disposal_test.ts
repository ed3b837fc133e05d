/**
 * clamd-vclient is killed before any system call that takes an infected file away. After the next start nothing is under
 * a hidden name, what lies in quarantine is whole and described, and who is innocent has his name.
 */

import { intercept, ownDescriptors } from "./support/libc_hook.ts"; // before everything that opens the C library
// @ts-types="../support/assert.d.ts"
import { assertEquals, assertGreater } from "@std/assert";
import { fileName, fromText } from "../../ffi/byte_string.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { Directory } from "../../ffi/directory.ts";
import { deleting, quarantining } from "../../src/vclient/disposal.ts";
import { Quarantine } from "../../src/vclient/quarantine.ts";
import { isHidden, restoreHidden } from "../../src/vclient/removal.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { type Way, WAYS } from "./support/disposal_ways.ts";

const NAME = fileName("evil");
const GUEST_ID = 1000;
const INFECTED = "infected";
const INNOCENT = "innocent, and longer";

class Killed extends Error {}

/** Does `what`, and nothing of it from system call number `at` on; whether there was such a one. */
async function killedAt(
  at: number,
  what: () => Promise<unknown> | unknown,
  beforeRename?: () => void,
): Promise<boolean> {
  const before = new Set(ownDescriptors());
  let calls = 0;
  let hasRenamed = false;
  let isDead = false;
  intercept({
    before(name) {
      isDead ||= calls++ === at;
      if (isDead) throw new Killed();
      if (name === "renameat2" && !hasRenamed) beforeRename?.();
      hasRenamed ||= name === "renameat2";
    },
  });
  try {
    await what();
  } catch (error) {
    if (!isDead) throw error;
  } finally {
    intercept(undefined);
  }
  for (const fd of ownDescriptors().difference(before)) new Descriptor(fd).close();
  return isDead;
}

function write(path: string, text: string): void {
  Deno.writeTextFileSync(path, text);
  Deno.chmodSync(path, 0o640);
  Deno.chownSync(path, GUEST_ID, GUEST_ID);
}

/** Content and permissions by name. */
function contents(path: string): Map<string, string> {
  return new Map(
    [...Deno.readDirSync(path)].map(({ name }) => {
      const bits = ((Deno.lstatSync(`${path}/${name}`).mode ?? 0) & 0o7777).toString(8);
      return [name, `${bits} ${Deno.readTextFileSync(`${path}/${name}`)}`];
    }),
  );
}

/** Kills it at one point, and starts it again; what is wrong then, or `undefined` beyond the last point. */
async function play(way: Way, at: number): Promise<string[] | undefined> {
  const path = Deno.realPathSync(scratchDirectory("infected"));
  const innocent = `${scratchDirectory("innocent")}/file`;
  write(`${path}/${NAME}`, INFECTED);
  write(innocent, INNOCENT);
  if (way.links === 2) Deno.linkSync(`${path}/${NAME}`, `${path}/link`);
  const place = `${Deno.realPathSync(scratchDirectory("quarantine", way.quarantine ?? "disk"))}/q`;
  const shown = fromText(`${path}/${NAME}`);
  {
    const quarantine = Quarantine.open(fromText(place), () => {});
    const disposal = way.quarantine === undefined ? deleting(() => {}) : quarantining(quarantine);
    const parent = Directory.openTrusted(fromText(path));
    const opened = parent.openRegular(NAME);
    if (opened === undefined) throw new Error("it is not there");
    const work = () =>
      disposal.dispose({ parent, name: NAME, ...opened }, { path: shown, signature: "Bad" });
    const swap = () => Deno.renameSync(innocent, `${path}/${NAME}`);
    const wasKilled = await killedAt(at, work, way.isSwapped ? swap : undefined);
    opened.file.close();
    parent.close();
    quarantine.close();
    if (!wasKilled) return undefined;
  }
  const quarantine = Quarantine.open(fromText(place), () => {});
  const told = quarantine.recover();
  quarantine.close();
  const wasHidden = restoreAll(path);
  const wasMet = contents(innocent.slice(0, -"/file".length)).size === 0;
  return faults(way, { path, place, wasMet, isTold: wasHidden || told.includes(shown) });
}

/** As the first reading of a tree does. */
function restoreAll(path: string): boolean {
  using directory = Directory.openTrusted(fromText(path));
  const hidden = [...directory.entries()].filter(({ name }) => isHidden(name));
  return hidden.filter(({ name }) => restoreHidden({ directory, name })).length > 0;
}

interface End {
  readonly path: string;
  readonly place: string;
  readonly wasMet: boolean;
  /** Whether the path is looked at again. */
  readonly isTold: boolean;
}

function faults(way: Way, { path, place, wasMet, isTold }: End): string[] {
  const watched = contents(path);
  const kept = contents(place);
  const found: string[] = [];
  const expect = (what: string, holds: boolean) => holds || found.push(what);
  const files = [...kept.keys()].filter((name) => !name.endsWith(".json"));
  for (const name of files) {
    expect(`${name} is whole and locked`, kept.get(name) === `0 ${INFECTED}`);
    expect(`${name} is described`, kept.get(`${name}.json`)?.startsWith("400 {") === true);
  }
  expect("all descriptions are of something", kept.size === 2 * files.length);
  for (const name of watched.keys()) {
    expect(`${name} has a name of its own`, [`${NAME}`, "link"].includes(name));
  }
  const there = watched.get(NAME);
  if (wasMet) expect("the innocent is as he was", there === `640 ${INNOCENT}`);
  else if (there !== undefined) {
    expect("the infected one is as it was", there === `640 ${INFECTED}`);
  } else if (way.quarantine !== undefined) expect("it is kept", files.length === 1);
  if (there !== undefined && files.length > 0) expect("it is looked at again", isTold);
  return found;
}

Deno.test("I2, I3: death before any system call of a removal or quarantine leaves nothing half done", async () => {
  const wrong: string[] = [];
  let deaths = 0;
  for (const [what, way] of Object.entries(WAYS)) {
    for (let at = 0;; at++) {
      const found = await play(way, at);
      if (found === undefined) break;
      deaths++;
      wrong.push(...found.map((fault) => `${what}; killed before call ${at}: not so: ${fault}`));
    }
  }
  assertEquals(wrong, []);
  assertGreater(deaths, 50);
});
