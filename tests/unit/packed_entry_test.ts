/** The index's own form of what is known: nothing is lost in it, and it tells changes as the records do. */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  asFileName,
  fileName,
  fromBytes,
  fromText,
  type RelativePath,
  ROOT,
} from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import { packStatus, STATUS_WORDS, unpackStatus } from "../../ffi/status_words.ts";
import { FileIndex } from "../../src/gate/file_index.ts";
import { KnownDirectory, KnownPage, PAGE_NAMES } from "../../src/gate/known_directory.ts";
import { BrokenEntry, packEntry, unpackEntry, wordsOf } from "../../src/gate/packed_entry.ts";
import { Pace } from "../../src/gate/pace.ts";
import { type IndexEntry, matches, recordOf } from "../../src/gate/replica_record.ts";
import { scratchDirectory } from "../support/scratch.ts";

const nanoseconds = fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n });
const u32 = fc.nat({ max: 2 ** 32 - 1 });

const replica = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

const status: fc.Arbitrary<FileStatus> = fc.record({
  kind: fc.constantFrom("file", "directory"),
  mode: fc.nat({ max: 0o7777 }),
  uid: u32,
  gid: u32,
  links: fc.constant(1),
  device: fc.constant(1),
  mountId: fc.constant(1),
  inode: fc.maxSafeNat(),
  size: fc.maxSafeNat(),
  blocks: fc.constant(0),
  mtimeNs: nanoseconds,
  ctimeNs: nanoseconds,
});

const entry: fc.Arbitrary<IndexEntry> = fc.record({
  version: u32,
  deleted: fc.boolean(),
  records: fc.uniqueArray(
    fc.tuple(replica, status, fc.constantFrom("current", "held", "infected", "own"), u32)
      .map(([replica, seen, state, version]) => recordOf(replica, seen, state, version)),
    { selector: ({ replica }) => replica, minLength: 1, maxLength: 5 },
  ),
});

const name = fc.stringMatching(/^[^/\0]{1,20}$/).filter((text) => text !== "." && text !== "..");

/** As one or two of its fields change. */
const change: fc.Arbitrary<Partial<FileStatus>> = fc.oneof(
  fc.constant({}),
  fc.record({ mtimeNs: nanoseconds }),
  fc.record({ ctimeNs: nanoseconds }),
  fc.record({ size: fc.maxSafeNat() }),
  fc.record({ inode: fc.maxSafeNat() }),
  fc.record({ mode: fc.nat({ max: 0o7777 }) }),
  fc.record({ uid: u32 }),
  fc.record({ gid: u32 }),
  fc.record({ kind: fc.constantFrom<"file" | "directory">("file", "directory") }),
);

Deno.test("I3: an entry that was packed is the same entry", () => {
  fc.assert(fc.property(entry, (original) => {
    assertEquals(unpackEntry(wordsOf(packEntry(original)), 0), original);
  }));
});

Deno.test("a piece of an entry is none", () => {
  fc.assert(fc.property(entry, fc.nat(), (original, cut) => {
    const bytes = packEntry(original);
    const piece = bytes.subarray(0, cut % bytes.length);
    assertThrows(() => unpackEntry(wordsOf(piece), 0), BrokenEntry);
  }));
});

Deno.test("I3: packed, a version is current exactly if the record says so", async () => {
  const property = fc.asyncProperty(entry, fc.nat(), change, async (original, which, changed) => {
    const record = original.records[which % original.records.length];
    if (record === undefined) throw new Error("there is one");
    const seen = { ...record, links: 1, device: 1, mountId: 1, blocks: 0, ...changed };
    const page = new KnownPage([fileName("x")], wordsOf(packEntry(original)));
    const known = await KnownDirectory.read({ page: () => page }, ROOT, new Pace());
    // Another directory that is like it may be what a renamed one has left its name to.
    const isRecorded = matches(record, seen) && record.inode === seen.inode;
    const isOwn = isRecorded && record.status === "own";
    assertEquals(known.isOwn(0, record.replica, wordsFor(seen)), isOwn);
    const isCurrent = isRecorded && record.status === "current" &&
      record.version === original.version;
    assertEquals(known.isCurrent(0, record.replica, wordsFor(seen)), isCurrent);
  });
  await fc.assert(property, { numRuns: 1000 });
});

function wordsFor(seen: FileStatus): Uint32Array {
  const words = new Uint32Array(STATUS_WORDS);
  packStatus({ ...seen, kind: seen.kind === "directory" ? "directory" : "file" }, words, 0);
  return words;
}

Deno.test("I3: a whole directory out of the index is the sum of its entries", async () => {
  const contents = fc.dictionary(name, entry, { maxKeys: 20 });
  await fc.assert(fc.asyncProperty(contents, async (entries) => {
    using index = FileIndex.open(":memory:", (message) => {
      throw new Error(message);
    });
    for (const [text, original] of Object.entries(entries)) {
      index.put(`d/${fromText(text)}` as RelativePath, original);
      index.put(fromText(text) as RelativePath, original); // in another directory
    }
    const known = await KnownDirectory.read(index, fromText("d") as RelativePath, new Pace());
    const found = known.names.map((text, position) => [text, known.entryAt(position)]);
    const expected = Object.entries(entries).map(([text, original]) => [fromText(text), original]);
    assertEquals(new Map(found as [string, unknown][]), new Map(expected as [string, unknown][]));
  }));
});

Deno.test("I3, I9: a name is found where it stands, wherever it is expected, and no other", async () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 3 }).map((bytes) =>
    asFileName(fromBytes(bytes))
  ).filter((name) => name !== undefined);
  const names = fc.uniqueArray(bytes, { maxLength: 40 });
  const [original] = fc.sample(entry, 1);
  if (original === undefined) throw new Error("there is one");
  await fc.assert(fc.asyncProperty(names, bytes, fc.nat(50), async (known, other, expected) => {
    using index = FileIndex.open(":memory:", (message) => {
      throw new Error(message);
    });
    for (const name of known) index.put(`d/${name}` as RelativePath, original);
    const directory = await KnownDirectory.read(index, fromText("d") as RelativePath, new Pace());
    for (const [position, name] of directory.names.entries()) {
      assertEquals(directory.positionOf(name, expected), position);
    }
    assertEquals(directory.positionOf(other, expected) !== undefined, known.includes(other));
  }));
});

Deno.test("I3, I7: a directory of many pages is read whole, and others have their turn in between", async () => {
  const [original] = fc.sample(entry, 1);
  if (original === undefined) throw new Error("there is one");
  for (const count of [PAGE_NAMES - 1, PAGE_NAMES, PAGE_NAMES + 1, 2 * PAGE_NAMES + 7]) {
    using index = FileIndex.open(":memory:", (message) => {
      throw new Error(message);
    });
    const names = Array.from({ length: count }, (_, i) => fileName(`${i % 7}-${i}`));
    for (const [i, name] of names.entries()) {
      index.put(`d/${name}` as RelativePath, { ...original, version: i });
    }
    const pace = new Pace();
    let rests = 0;
    pace.rest = () => Promise.resolve(void rests++);
    const known = await KnownDirectory.read(index, fromText("d") as RelativePath, pace);
    assertEquals(known.names, names.toSorted((a, b) => a < b ? -1 : 1));
    for (const [i, name] of names.entries()) {
      const position = known.positionOf(name) ?? -1;
      assertEquals(known.names[position], name);
      assertEquals(known.entryAt(position).version, i);
    }
    assertEquals(rests, Math.floor(count / PAGE_NAMES));
  }
});

Deno.test("statx(2) by words tells what it tells as an object", () => {
  const path = scratchDirectory("words");
  using directory = Directory.openTrusted(fromText(path));
  const words = new Uint32Array(STATUS_WORDS);
  Deno.writeTextFileSync(`${path}/file`, "content");
  Deno.mkdirSync(`${path}/directory`);
  Deno.chmodSync(`${path}/file`, 0o4751);
  Deno.chownSync(`${path}/file`, 4_000_000_000, 7);
  const times = [new Date("1901-12-14T00:00:00.123Z"), new Date("2300-01-01T00:00:00.5Z")];
  for (const time of [...times, new Date()]) {
    Deno.utimeSync(`${path}/file`, time, time);
    for (const name of [fileName("file"), fileName("directory")]) {
      const seen = directory.status(name);
      if (seen === undefined) throw new Error("it is there");
      assertEquals(directory.statusWords(name, words), true);
      const { kind, inode, size, mtimeNs, ctimeNs, uid, gid, mode } = seen;
      assertEquals(unpackStatus(words, 0), {
        ...{ inode, size, mtimeNs, ctimeNs, uid, gid, mode },
        kind: kind === "directory" ? "directory" : "file",
      });
    }
  }
  assertEquals(directory.statusWords(fileName("nothing"), words), false);
});
