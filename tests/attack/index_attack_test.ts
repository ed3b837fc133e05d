/**
 * The index, damaged in every way that a disk, an administrator or an older version could: nothing is lost, nothing
 * unscanned travels, no start fails, and its size goes with what is on the disk.
 */

import "./support/libc_hook.ts"; // before everything that opens the C library
// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { messageOf } from "../../ffi/errno.ts";
import { EICAR } from "../support/eicar.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { LoopFilesystem } from "../support/loop_filesystem.ts";
import { filesThatHold } from "../support/tree.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";
import { Random } from "../soak/random.ts";
import { report } from "./support/size.ts";
import { NIGHTLY } from "../support/size.ts";
import { Workbench } from "./support/workbench.ts";

const FLIPS = 40;
const FLIPPED_INDEXES = NIGHTLY ? 50 : 1;
/** Bytes flipped at a time: one, and as many as a lost sector has. */
const WIDTHS = [1, 4, 64, 512];
const MOST_FLIPS_TO_HIDE = 20;
const FILES = 30;
/** What a path costs in the index when three replicas have it, with SQLite's own. */
const MOST_BYTES_A_FILE = 1500;

function write(base: string, path: string, content: string): void {
  const at = `${base}/share/${path}`;
  Deno.mkdirSync(at.slice(0, at.lastIndexOf("/")), { recursive: true });
  Deno.writeTextFileSync(at, content);
}

const indexPath = (base: string) => `${base}/.virtiofs-gate/index.sqlite`;

/** The clean contents that are in all three places. */
function everywhere(base: string): Set<string> {
  const places = ["share/ann", "share/bob", "export"].map((place) => {
    const contents = new Set<string>();
    const visit = (path: string) => {
      for (const { name, isDirectory } of Deno.readDirSync(path)) {
        if (isDirectory) visit(`${path}/${name}`);
        else contents.add(Deno.readTextFileSync(`${path}/${name}`));
      }
    };
    visit(`${base}/${place}`);
    return contents;
  });
  return places.reduce((all, one) => all.intersection(one));
}

/** The daemon ends; the index is damaged; guests change things; the daemon starts, and comes to rest. */
async function afterDamage(base: string, damage: () => void, round: number): Promise<string[]> {
  damage();
  write(base, `ann/files/${round % FILES}`, `changed ${round}`);
  write(base, `bob/new-${round}`, `new ${round}`);
  Deno.writeFileSync(`${base}/share/ann/files/virus-${round}`, EICAR);
  const bench = new Workbench(base);
  try {
    await bench.settle();
  } catch (error) {
    return [messageOf(error)];
  } finally {
    bench.close();
  }
  const found = everywhere(base);
  const expected = [`changed ${round}`, `new ${round}`];
  for (let file = 0; file < FILES; file++) {
    if (file > round) expected.push(`first ${file}`);
  }
  const lost = expected.filter((content) => !found.has(content)).map((one) => `I3: lost: ${one}`);
  const places = [`${base}/share`, `${base}/export`];
  const escaped = (await filesThatHold(EICAR, places)).map((path) => `I1: malware at ${path}`);
  const unexpected = bench.troubles.filter((trouble) => trouble.includes("unexpected"));
  return [...lost, ...escaped, ...unexpected];
}

/** Damages the index so that it is not found at a start, if that can be had in a few attempts. */
function flipUnseen(base: string, width: number, random: Random): void {
  const original = Deno.readFileSync(indexPath(base));
  for (let attempt = 0; attempt < MOST_FLIPS_TO_HIDE; attempt++) {
    flipBits(indexPath(base), original, width, random);
    if (looksWhole(indexPath(base))) return;
  }
}

/** Writes `original` with one bit in each of `width` bytes changed that hold something. */
function flipBits(path: string, original: Uint8Array, width: number, random: Random): void {
  const bytes = original.slice();
  let start = 0;
  do {
    start = random.below(bytes.length - width);
  } while (bytes.subarray(start, start + width).every((byte) => byte === 0));
  for (let at = start; at < start + width; at++) {
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  }
  Deno.writeFileSync(path, bytes);
}

/** Whether SQLite's own check, which is the gate's at a start, finds nothing. */
function looksWhole(path: string): boolean {
  try {
    using database = new DatabaseSync(path, { readOnly: true });
    return database.prepare("PRAGMA quick_check(1)").get()?.quick_check === "ok";
  } catch {
    return false;
  }
}

const WAYS: Readonly<Record<string, (index: string) => void>> = {
  "deleted": (index) => Deno.removeSync(index),
  "empty": (index) => Deno.truncateSync(index),
  "cut in half": (index) => Deno.truncateSync(index, Deno.statSync(index).size >> 1),
  "cut within a page": (index) => Deno.truncateSync(index, 5000),
  "garbage": (index) => Deno.writeFileSync(index, crypto.getRandomValues(new Uint8Array(20_000))),
  "of another layout": (index) => {
    using database = new DatabaseSync(index);
    database.exec("PRAGMA user_version = 77");
  },
  "without a table": (index) => {
    using database = new DatabaseSync(index);
    database.exec("DROP TABLE entry");
  },
  "with rows that are none": (index) => {
    using database = new DatabaseSync(index);
    database.exec("UPDATE entry SET packed = CAST('xyz' AS BLOB)");
  },
  "with records of a status that does not exist": (index) => {
    using database = new DatabaseSync(index);
    database.exec(
      "UPDATE entry SET packed = CAST(substr(packed, 1, 16) || x'63000000' || substr(packed, 21) AS BLOB)",
    );
  },
  "with a row that is none, of a file that is not there": (index) => {
    using database = new DatabaseSync(index);
    database.exec("INSERT INTO entry VALUES ('files', 'gone', 0, x'01')");
  },
  "a directory": (index) => {
    Deno.removeSync(index);
    Deno.mkdirSync(`${index}/not/empty`, { recursive: true });
  },
  "a link to nowhere": (index) => {
    Deno.removeSync(index);
    Deno.symlinkSync("/nowhere/at/all", index);
  },
};

testOnEachFilesystem("I1, I3: whatever became of the index between two runs", async (kind) => {
  await using filesystem = await LoopFilesystem.create(kind);
  const faults: string[] = [];
  let round = 0;
  const base = await filesystem.directory("index");
  Workbench.prepare(base);
  for (let file = 0; file < FILES; file++) write(base, `ann/files/${file}`, `first ${file}`);
  faults.push(...await afterDamage(base, () => {}, round++));
  for (const [way, damage] of Object.entries(WAYS)) {
    const found = await afterDamage(base, () => damage(indexPath(base)), round++);
    faults.push(...found.map((fault) => `${way}: ${fault}`));
    for (const name of [...Deno.readDirSync(`${base}/.virtiofs-gate`)].map((one) => one.name)) {
      if (name.includes(".damaged")) {
        Deno.removeSync(`${base}/.virtiofs-gate/${name}`, { recursive: true });
      }
    }
  }
  assertEquals(faults, []);
});

testOnEachFilesystem("I1, I3: whichever bytes of the index are flipped", async (kind) => {
  await using filesystem = await LoopFilesystem.create(kind);
  const seed = Date.now() % 1_000_000;
  const random = new Random(seed);
  const faults: string[] = [];
  for (let which = 0; which < FLIPPED_INDEXES; which++) {
    const base = await filesystem.directory(`index-${which}`);
    Workbench.prepare(base);
    for (let file = 0; file < FILES; file++) write(base, `ann/files/${file}`, `first ${file}`);
    faults.push(...await afterDamage(base, () => {}, 0));
    for (let round = 1; round <= FLIPS; round++) {
      const width = WIDTHS[round % WIDTHS.length] ?? 1;
      const found = await afterDamage(base, () => flipUnseen(base, width, random), round);
      faults.push(...found.map((fault) => `seed ${seed}, ${which}, round ${round}: ${fault}`));
    }
    Deno.removeSync(base, { recursive: true });
  }
  report(`index on ${kind}: ${FLIPPED_INDEXES * FLIPS} flips, ${faults.length} faults`, faults);
  assertEquals(faults.slice(0, 10), []);
});

testOnEachFilesystem(
  "I1, I3: the index is damaged, replaced and removed while the daemon runs, and at the next start",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    const index = `${only.stateDirectory}/index.sqlite`;
    for (let file = 0; file < 50; file++) await only.share("ann").write(`files/${file}`, `${file}`);
    await only.settled();
    const damages: Readonly<Record<string, () => void>> = {
      damaged: () => {
        const size = Deno.statSync(index).size;
        using file = Deno.openSync(index, { write: true });
        file.seekSync(4096, Deno.SeekMode.Start);
        file.writeSync(crypto.getRandomValues(new Uint8Array(size)));
      },
      truncated: () => Deno.truncateSync(index, 1000),
      removed: () => Deno.removeSync(index),
      "a directory": () => Deno.mkdirSync(`${index}/in/it`, { recursive: true }),
    };
    for (const [way, damage] of Object.entries(damages)) {
      damage();
      await only.share("ann").write(`after-${way}/file`, way);
      await only.share("bob").write("files/1", `changed after it was ${way}`);
      await only.share("ann").write(`after-${way}/virus`, EICAR);
      await waitFor("what is new travels", () => only.share("cid").has(`after-${way}/file`));
      await waitFor("malware goes", () => !only.share("ann").has(`after-${way}/virus`));
      assertEquals(await only.infectedElsewhere(), []);
      await only.settled();
      assertEquals(await only.share("cid").readText("files/1"), `changed after it was ${way}`);
    }
    await world.startGate();
    await only.settled();
    assertEquals(await only.share("cid").readText("files/49"), "49");
    await world.verify();
  },
);

testOnEachFilesystem(
  "I3: damage that no check finds is met by one daemon only, which can open no other index by then",
  async (kind) => {
    await using world = await World.start(kind, { channels: { docs: {} } });
    const { only } = world;
    await only.share("ann").shell("mkdir files; for i in 1 2 3 4; do echo $i > files/$i; done");
    await only.settled();
    await world.gate.term();
    const index = `${only.stateDirectory}/index.sqlite`;
    {
      using database = new DatabaseSync(index);
      database.exec("UPDATE entry SET packed = x'01' WHERE name = '2'");
    }
    await world.startGate();
    await only.settled();
    const { log } = world.gate;
    assertMatch(log, /cannot be used \(not a whole entry\)/);
    assertMatch(log, /only a start can make one/);
    // What happens from here on is not in the file: whoever went by it would know what is long past.
    assert(Deno.statSync(`${index}.damaged`).isFile);
    await only.share("bob").write("files/1", "changed");
    await only.settled();

    await world.startGate();
    await only.quiet();
    assertNotMatch(world.gate.log, /cannot be used|no index/);
    await world.gate.term();
    await Deno.remove(only.share("bob").at("files/3"));
    await world.startGate();
    await waitFor("the deletion travels", () => !only.export.has("files/3"));
    await only.settled();
    assertEquals(await only.export.readText("files/1"), "changed");
    await world.verify();
  },
);

testOnEachFilesystem(
  "I6: the index grows with what is on the disk, and only with that",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind);
    const base = await filesystem.directory("index");
    Workbench.prepare(base);
    const count = NIGHTLY ? 100_000 : 1500;
    const sizes: number[] = [];
    // Names that were never there before, again and again.
    for (let round = 0; round < 3; round++) {
      const folder = `${base}/share/ann/flood-${round}`;
      Deno.mkdirSync(folder);
      for (let i = 0; i < count; i++) {
        Deno.writeTextFileSync(`${folder}/name-${round}-${i}-${"x".repeat(40)}`, "");
      }
      const bench = new Workbench(base);
      await bench.settle();
      Deno.removeSync(folder, { recursive: true });
      await bench.settle();
      await bench.settle();
      bench.close();
      sizes.push(Deno.statSync(indexPath(base)).size);
    }
    using database = new DatabaseSync(indexPath(base), { readOnly: true });
    assertEquals(database.prepare("SELECT count(*) AS rows FROM entry").get()?.rows, 0);
    const [first = 0, , last = Infinity] = sizes;
    report(
      `index on ${kind}: ${count} names take ${Math.round(first / count)} bytes each: ${sizes}`,
    );
    assert(first <= MOST_BYTES_A_FILE * count, `${first} bytes for ${count} names`);
    assert(last <= 1.5 * first, `it grows: ${sizes.join(", ")}`);
  },
);
