/** What waits while a tree is read, or changes, takes no more memory because it lies deep (I6). */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertLess } from "@std/assert";
import {
  fileName,
  fromText,
  isWithin,
  join,
  type RelativePath,
  ROOT,
} from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { FileIndex } from "../../src/gate/file_index.ts";
import { LargeDirectories } from "../../src/gate/large_directories.ts";
import { Replica } from "../../src/gate/replica.ts";
import { recordOf, UNKNOWN_ENTRY, withRecord } from "../../src/gate/replica_record.ts";
import { readTree, type TreeReaderParts } from "../../src/gate/tree_reader.ts";
import { findVanished } from "../../src/gate/vanished_entries.ts";
import { walkFiles } from "../../src/vclient/file_walk.ts";
import { must } from "../support/command.ts";
import { usedMiB } from "../support/memory.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { sleep } from "../support/wait.ts";
import { WatchedTree } from "../support/watched_tree.ts";

/** Directories in one whose path has 4000 bytes: with paths of their own they take 80 MiB. */
const MANY = 20_000;
const LEVELS = 16;
const LONG = fileName("x".repeat(249));
const DEEP = Array(LEVELS).fill(LONG).join("/") as RelativePath;
const ELSEWHERE = fromText("excluded") as RelativePath;
const MOST_MIB = 20;

async function makeDeep(path: string): Promise<void> {
  const script = `for i in $(seq ${LEVELS}); do mkdir -p ${LONG}; cd -P ${LONG}; done; ` +
    `seq ${MANY} | xargs mkdir`;
  await must("sh", ["-e", "-c", script], { cwd: path });
}

class Bench implements Disposable {
  readonly path = scratchDirectory("deep");
  readonly ann = new Replica("producer", fileName("ann"));
  readonly index = FileIndex.open(":memory:", () => {});
  /** Directories that were told of. */
  found = 0;
  #tookMiB: number | undefined;

  constructor() {
    Deno.mkdirSync(`${this.path}/${LONG}`);
    this.ann.attach(Directory.openTrusted(fromText(this.path)), 1);
  }

  /** Reads, and tells what waits when all were told of takes. */
  async tookMiB(read: (parts: TreeReaderParts) => Promise<unknown>): Promise<number> {
    const beforeMiB = usedMiB();
    await read({
      index: this.index,
      replicas: [this.ann],
      large: new LargeDirectories(),
      isIgnored: () => false,
      isIgnoredDirectory: () => false,
      lookAt: (path) => {
        if (new Set([path]).has(path)) this.found++; // as a queue asks
      },
      mark: () => 0,
      onRenamed: () => {},
      isStopped: () => this.#tookMiB !== undefined,
      onShortage: () => {},
      onFailure: (_, error) => {
        throw error;
      },
      room: () => {
        if (this.found >= MANY) this.#tookMiB = usedMiB() - beforeMiB;
        return undefined;
      },
    });
    assertEquals(this.#tookMiB === undefined, false, "not all were found");
    return this.#tookMiB ?? 0;
  }

  [Symbol.dispose](): void {
    this.ann.detach();
    this.index.close();
  }
}

Deno.test("I6: directories that are still to be read", async () => {
  using bench = new Bench();
  await makeDeep(bench.path);
  assertLess(await bench.tookMiB((parts) => readTree(parts, ROOT)), MOST_MIB);
});

Deno.test("I6: known directories in which is still to be looked for what vanished", async () => {
  using bench = new Bench();
  using directory = Directory.openTrusted(fromText(bench.path));
  const known = withRecord(UNKNOWN_ENTRY, recordOf(1, statusOf(directory), "current", 1));
  for (let i = 0; i < MANY; i++) bench.index.put(join(DEEP, fileName(`${i}`)), known);
  assertLess(await bench.tookMiB((parts) => findVanished(parts, bench.ann, DEEP)), MOST_MIB);
});

Deno.test("I6: clamd-vclient: directories that are still to be read", async () => {
  const path = scratchDirectory("walked");
  await makeDeep(path);
  using root = Directory.openTrusted(fromText(path));
  const beforeMiB = usedMiB();
  let tookMiB: number | undefined;
  let asked = 0;
  await walkFiles(root, ROOT, {
    covered: () => {},
    isExcluded: (below) => ++asked > 0 && isWithin(below, ELSEWHERE),
    file: () => {},
    onTrouble: () => {},
    isStopped() {
      if (asked < MANY) return false;
      tookMiB ??= usedMiB() - beforeMiB;
      return true;
    },
  });
  assertLess(tookMiB ?? Infinity, MOST_MIB);
});

Deno.test("I6: clamd-vclient: a directory beside each of many that lie in each other", async () => {
  const path = scratchDirectory("comb");
  const DEPTH = 1000;
  using root = Directory.openTrusted(fromText(path));
  let here = root.duplicate();
  for (let level = 0; level < DEPTH; level++) {
    using above = here;
    for (const side of ["a", "z"]) above.makeDirectory(fileName(side), 0o755);
    above.makeDirectory(LONG, 0o755);
    here = above.openBeneath(LONG) ?? above.duplicate();
  }
  here.createFile(fileName("file"), 0o644).close();
  here.close();
  const beforeMiB = usedMiB();
  let tookMiB: number | undefined;
  await walkFiles(root, ROOT, {
    covered: () => {},
    isExcluded: () => false,
    file: () => void (tookMiB = usedMiB() - beforeMiB),
    onTrouble: () => {},
    isStopped: () => tookMiB !== undefined,
  });
  assertLess(tookMiB ?? Infinity, MOST_MIB);
});

Deno.test("I6: changes of which too many wait to be kept apart", async () => {
  await using tree = await WatchedTree.start({ debounceMs: 60_000 });
  const script = `for i in $(seq ${LEVELS}); do mkdir ${LONG}; cd -P ${LONG}; done`;
  await must("sh", ["-e", "-c", script], { cwd: tree.inside() });
  await sleep(300); // until it is watched
  const beforeMiB = usedMiB();
  const PART = 2000; // so that no event is lost
  for (let first = 0; first < MANY; first += PART) {
    const names = `seq ${first} ${first + PART - 1} | xargs touch`;
    const below = `for i in $(seq ${LEVELS}); do cd -P ${LONG}; done; ${names}`;
    await must("sh", ["-e", "-c", below], { cwd: tree.inside() });
    await sleep(100);
  }
  assertEquals(tree.troubles, []);
  assertLess(usedMiB() - beforeMiB, MOST_MIB);
});
