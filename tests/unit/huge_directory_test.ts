/** A directory with more names than are kept in mind at a time is read part by part. */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertLess } from "@std/assert";
import {
  type FileName,
  fileName,
  fromText,
  join,
  type RelativePath,
} from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { FileIndex } from "../../src/gate/file_index.ts";
import { MOST_PAGES, PAGE_NAMES } from "../../src/gate/known_directory.ts";
import { LargeDirectories } from "../../src/gate/large_directories.ts";
import { Replica } from "../../src/gate/replica.ts";
import { type IndexEntry, recordOf } from "../../src/gate/replica_record.ts";
import { readTree, type TreeReaderParts } from "../../src/gate/tree_reader.ts";
import { findVanished } from "../../src/gate/vanished_entries.ts";
import { must } from "../support/command.ts";
import { usedMiB } from "../support/memory.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { NIGHTLY } from "../support/size.ts";

const PART = MOST_PAGES * PAGE_NAMES;
/** Known in four replicas they take more than 90 MiB, and a part of them less than half of that. */
const MANY = 2 * PART + 1000;
const REPLICAS = 4;
const MOST_MIB = 65;
/** One part and a bit. */
const NOT_SO_MANY = PART + 1000;
const FOLDER = fromText("huge") as RelativePath;
/** Of so many names one is there and known, one is there and not known, and the others are known and not there. */
const EVERY = 100;

const nameOf = (number: number): FileName => fileName(String(number).padStart(7, "0"));

/** Two shares with a huge directory that the index knows. */
class Bench implements Disposable {
  readonly index = FileIndex.open(`${scratchDirectory("index")}/index`, () => {});
  readonly shares = ["ann", "bob"].map((name) => {
    const path = scratchDirectory(name);
    Deno.mkdirSync(`${path}/huge`);
    const replica = new Replica("producer", fileName(name));
    replica.attach(Directory.openTrusted(fromText(path)), name === "ann" ? 1 : 2);
    return { path, replica };
  });
  readonly found = new Map<RelativePath, number>();

  get parts(): TreeReaderParts {
    return {
      index: this.index,
      replicas: this.shares.map(({ replica }) => replica),
      large: new LargeDirectories(),
      isIgnored: () => false,
      isIgnoredDirectory: () => false,
      lookAt: (path) => this.found.set(path, (this.found.get(path) ?? 0) + 1),
      mark: () => 0,
      onRenamed: () => {},
      isStopped: () => false,
      onShortage: () => {},
      onFailure: (_, error) => {
        throw error;
      },
      room: () => undefined,
    };
  }

  know(name: FileName, entry: IndexEntry): void {
    this.index.put(join(FOLDER, name), entry);
  }

  [Symbol.dispose](): void {
    for (const { replica } of this.shares) replica.detach();
    this.index.close();
  }
}

/** What `replicas` have of a file, by the status of one. */
function entryOf(directory: Directory, name: FileName, replicas: number): IndexEntry {
  using file = directory.openRegular(name)?.file;
  const status = statusOf(file ?? directory);
  const records = Array.from(
    { length: replicas },
    (_, number) => recordOf(number + 1, status, "current", 1),
  );
  return { version: 1, deleted: false, records };
}

Deno.test("I6: of a directory with very many known names a part is in memory at a time", async () => {
  using bench = new Bench();
  using directory = Directory.openTrusted(fromText(scratchDirectory("one")));
  directory.createFile(nameOf(0), 0o644).close();
  const entry = entryOf(directory, nameOf(0), REPLICAS);
  for (let number = 0; number < MANY; number++) bench.know(nameOf(number), entry);
  bench.index.commit();
  for (
    const [what, read] of [
      ["all", (parts: TreeReaderParts) => readTree(parts, FOLDER)],
      ["vanished", (parts: TreeReaderParts) => {
        const [ann] = bench.shares;
        return ann === undefined ? undefined : findVanished(parts, ann.replica, FOLDER);
      }],
    ] as const
  ) {
    bench.found.clear();
    for (let number = 0; number < MANY; number++) bench.found.set(join(FOLDER, nameOf(number)), 0);
    const beforeMiB = usedMiB();
    let peakMiB = 0;
    let told = 0;
    await read({
      ...bench.parts,
      lookAt: (path) => {
        told++;
        bench.found.set(path, 1);
        if (told % 100_000 === 0) peakMiB = Math.max(peakMiB, usedMiB() - beforeMiB);
      },
    });
    assertEquals([told, bench.found.size], [MANY, MANY], what);
    assertLess(peakMiB, MOST_MIB, what);
  }
});

Deno.test("I3: what differs in a directory with very many names is found in each part of it, and nothing else", async () => {
  using bench = new Bench();
  const [ann, bob] = bench.shares;
  if (ann === undefined || bob === undefined) return;
  const script =
    `seq -f %07g 0 ${EVERY} ${NOT_SO_MANY - 1} | xargs -n 5000 touch -d @1000000000; ` +
    `seq -f %07g 1 ${EVERY} ${NOT_SO_MANY - 1} | xargs -n 5000 touch -d @1000000000`;
  for (const { path } of bench.shares) await must("sh", ["-c", script], { cwd: `${path}/huge` });
  using annsFolder = Directory.openTrusted(fromText(`${ann.path}/huge`));
  using bobsFolder = Directory.openTrusted(fromText(`${bob.path}/huge`));
  const gone = annsFolder.status(nameOf(0));
  if (gone === undefined) return;
  const differing = new Set<RelativePath>();
  let vanished = 0;
  for (let number = 0; number < NOT_SO_MANY; number++) {
    const name = nameOf(number);
    const path = join(FOLDER, name);
    const kind = number % EVERY;
    if (kind !== 0) differing.add(path);
    if (kind === 1) continue; // there, and not known
    const statusIn = (folder: Directory) => kind === 0 ? folder.status(name) ?? gone : gone;
    bench.know(name, {
      version: 1,
      deleted: false,
      records: [annsFolder, bobsFolder].map((folder, at) =>
        recordOf(at + 1, statusIn(folder), "current", 1)
      ),
    });
    if (kind !== 0) vanished++;
  }
  bench.index.commit();
  const reading = await readTree(bench.parts, FOLDER);
  assertEquals(bench.found.size, differing.size);
  assertEquals(bench.found.keys().every((path) => differing.has(path)), true);
  assertEquals(bench.found.values().every((times) => times === 1), true);
  assertEquals([reading.directories, reading.differing], [1, differing.size]);
  bench.found.clear();
  await findVanished(bench.parts, ann.replica, FOLDER);
  assertEquals(bench.found.size, vanished);
});

Deno.test({
  name:
    "I6, I3: of very many names that nobody knows all are told of, and not all are kept in mind",
  ignore: !NIGHTLY, // as many files are to be made
  fn: async () => {
    using bench = new Bench();
    const [ann] = bench.shares;
    if (ann === undefined) return;
    const script = `seq -f %07g 1 ${NOT_SO_MANY} | xargs -n 5000 touch`;
    await must("sh", ["-c", script], { cwd: `${ann.path}/huge` });
    const reading = await readTree({
      ...bench.parts,
      replicas: [ann.replica],
    }, FOLDER);
    assertEquals(bench.found.size, NOT_SO_MANY);
    assertEquals([reading.files, reading.differing], [NOT_SO_MANY, NOT_SO_MANY]);
  },
});
