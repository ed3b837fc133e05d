/**
 * Three guests rename the same directories, and what is in them, into and out of each other, at once and while the gate
 * follows. Nobody removes anything: whatever was ever written is in the end in every share and in the export (I3).
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { testOnEachFilesystem } from "../support/fixture.ts";
import type { Share } from "../support/share.ts";
import { sleep } from "../support/wait.ts";
import { World } from "../support/world.ts";
import { Random } from "../soak/random.ts";
import { NIGHTLY } from "../support/size.ts";

const ROUNDS = NIGHTLY ? 1000 : 60;
const GUESTS = ["ann", "bob", "cid"] as const;
const NAMES = ["a", "b", "c", "d"];
const FILES = 12;
/** Within that time the gate hears of a change, and follows it. */
const FOLLOWING_MS = 250;

function somewhere(random: Random): string {
  const depth = 1 + random.below(3);
  return Array.from({ length: depth }, () => random.choose(NAMES)).join("/");
}

/** One guest's doing; whatever fails, since it is not there or something is in the way, was nothing. */
function act(share: Share, random: Random, content: string, written: Set<string>): void {
  const [from, to] = [somewhere(random), somewhere(random)];
  try {
    if (random.chance(0.75)) return Deno.renameSync(share.at(from), share.at(to));
    const path = share.at(`${from}/${content}`);
    if (random.chance(0.5)) Deno.mkdirSync(share.at(from), { recursive: true });
    Deno.writeTextFileSync(path, content, { createNew: true });
    written.add(content);
  } catch {
    // Tried often enough.
  }
}

function contents(share: Share): Set<string> {
  const found = new Set<string>();
  const visit = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      if (isDirectory) visit(`${path}/${name}`);
      else found.add(Deno.readTextFileSync(`${path}/${name}`));
    }
  };
  visit(share.path);
  return found;
}

testOnEachFilesystem("I3: nothing is lost whoever renames directories when", async (kind) => {
  await using world = await World.start(kind, {
    channels: { docs: {} },
    gate: { arguments: ["--debug"] },
  });
  const { only } = world;
  const seed = Date.now() % 1_000_000;
  const random = new Random(seed);
  const written = new Set<string>();
  for (const directory of ["a", "a/b", "a/b/c", "d"]) {
    Deno.mkdirSync(only.share("ann").at(directory));
    for (let file = 0; file < FILES; file++) {
      const content = `${directory.replaceAll("/", "-")} ${file}`;
      Deno.writeTextFileSync(only.share("ann").at(`${directory}/${file}`), content);
      written.add(content);
    }
  }
  await only.settled();
  for (let round = 0; round < ROUNDS; round++) {
    for (let left = 1 + random.below(3); left > 0; left--) {
      act(only.share(random.choose(GUESTS)), random, `${round} ${left}`, written);
      if (random.chance(0.5)) await sleep(random.below(FOLLOWING_MS));
    }
    if (random.chance(0.5)) await sleep(FOLLOWING_MS);
    if (round % 20 !== 19) continue;
    await only.settled();
    for (const share of only.peers) {
      const lost = [...written.difference(contents(share))];
      assertEquals(lost, [], `seed ${seed}, round ${round}: lost in ${share.name}`);
    }
  }
  assert(world.gate.log.includes("rename: "), "the gate has followed none");
});
