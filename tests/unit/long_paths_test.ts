/** Wherever paths are kept there is room for so many bytes of them: each may be as long as a guest likes (I6). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess } from "@std/assert";
import { fileName, fromText, join, type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { FileIndex } from "../../src/gate/file_index.ts";
import { LONGEST_PATH } from "../../src/gate/ignore_patterns.ts";
import { LargeDirectories } from "../../src/gate/large_directories.ts";
import { Readings } from "../../src/gate/readings.ts";
import { Removals } from "../../src/gate/removals.ts";
import { Replica } from "../../src/gate/replica.ts";
import type { IndexEntry } from "../../src/gate/replica_record.ts";
import { RetrySchedule } from "../../src/gate/retry_schedule.ts";
import { Share } from "../../src/gate/share.ts";
import { usedMiB } from "../support/memory.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";

/** As many take 80 MB. */
const MANY = 10_000;
const MOST_MIB = 10;
/** Less than are kept of short paths. */
const FEW_READINGS = 4_000;

const ENTRY: IndexEntry = {
  version: 1,
  deleted: false,
  records: [{
    replica: 1,
    kind: "file",
    status: "current",
    version: 1,
    inode: 1,
    size: 1,
    mtimeNs: 1n,
    ctimeNs: 2n,
    mode: 0o644,
    uid: 1,
    gid: 1,
  }],
};

/** Of the longest that travel. */
function longPath(number: number): RelativePath {
  return fromText(`${number}/`.padEnd(LONGEST_PATH, "n")) as RelativePath;
}

/** What is kept of so many long paths, in MiB. */
function keptMiB(keep: (path: RelativePath) => void, many = MANY): number {
  const beforeMiB = usedMiB();
  for (let number = 0; number < many; number++) keep(longPath(number));
  return usedMiB() - beforeMiB;
}

Deno.test("I6, I3: few long paths are tried again singly, and the rest with everything", () => {
  const clock = new SimulatedClock();
  const looks: string[] = [];
  const retries = new RetrySchedule(
    {
      lookAt: () => looks.push("one") > 0,
      reread: (queue) => looks.push(`everything for ${queue}`),
    },
    undefined,
    clock,
  );
  assertLess(keptMiB((path) => retries.later(path, "ann", 100)), MOST_MIB);
  retries.later(fromText("b") as RelativePath, "bob", 100);
  clock.pass(100);
  assertEquals(looks.at(-1), "one", "I7: another's queue has its own room");
  clock.pass(20_000);
  assertEquals(looks.at(-1), "everything for ann");
  assertLess(keptMiB((path) => retries.later(path, "ann", 100)), MOST_MIB);
  retries.stop();
});

Deno.test("I6: of long directories that are to be removed the ones tried longest ago are forgotten", () => {
  const removals = new Removals();
  assertLess(keptMiB((path) => removals.attempt(path)), MOST_MIB);
  assert(removals.has(longPath(MANY - 1)));
  assert(!removals.has(longPath(0)));
});

Deno.test("I6: few long paths are known to be echoes of what the daemon did", () => {
  using index = FileIndex.open(`${scratchDirectory("index")}/index`, () => {});
  using reactor = new Reactor();
  const share = new Share(fileName("ann"), {
    config: { debounceMs: 10, diodeProducers: new Set() },
    reactor,
    index,
    rules: { isIgnored: () => false, isIgnoredDirectory: () => false },
    openRoot: () => undefined,
    obstacle: () => undefined,
    isEcho: () => false,
    isBeingRead: () => false,
    prepare: () => {},
    lookAt: () => {},
    onMoved: () => {},
    read: () => {},
    onFound: () => {},
    onCovered: () => {},
    onTrouble: () => {},
  });
  assertLess(keptMiB((path) => share.expect(path)), MOST_MIB);
  assert(share.expects(longPath(MANY - 1)));
  share.close();
});

Deno.test("I6: the index has few long paths in memory", () => {
  using index = FileIndex.open(`${scratchDirectory("index")}/index`, () => {});
  assertLess(keptMiB((path) => index.put(path, ENTRY)), MOST_MIB);
  assertEquals(index.get(longPath(0)), ENTRY);
  assertEquals(index.get(longPath(MANY - 1)), ENTRY);
});

Deno.test("I6: an index without a file takes so much memory, and goes on then without what is new", () => {
  const MOST_TAKEN_MIB = 400;
  const residentMiB = () => {
    usedMiB(); // without the garbage
    return Deno.memoryUsage().rss / 2 ** 20;
  };
  const troubles: string[] = [];
  const beforeMiB = residentMiB();
  using index = FileIndex.open(":memory:", (message) => troubles.push(message));
  index.put(longPath(0), ENTRY);
  index.commit();
  for (let number = 1; troubles.length === 0; number++) {
    index.put(longPath(number), ENTRY);
    if (number % 1000 > 0) continue;
    assertLess(residentMiB() - beforeMiB, MOST_TAKEN_MIB, `${number} paths`);
  }
  assertEquals(index.get(longPath(0)), ENTRY);
  index.put(longPath(0), { ...ENTRY, version: 2 });
  assert(index.get(longPath(0)).version === 2, "what is known can change");
});

Deno.test("I6, I3: few long directories wait to be read singly, and then all is", async () => {
  using index = FileIndex.open(`${scratchDirectory("index")}/index`, () => {});
  const place = scratchDirectory("read");
  Deno.writeTextFileSync(`${place}/file`, "");
  const ann = new Replica("producer", fileName("ann"));
  ann.attach(Directory.openTrusted(fromText(place)), 1);
  const found: RelativePath[] = [];
  const readings = new Readings({
    shares: [ann],
    tree: () => ({
      index,
      replicas: [ann],
      large: new LargeDirectories(),
      isIgnored: () => false,
      isIgnoredDirectory: () => false,
      lookAt: (path) => found.push(path),
      mark: () => 0,
      onRenamed: () => {},
      isStopped: () => false,
      onShortage: () => {},
      onFailure: () => {},
      room: () => undefined,
    }),
    isStopped: () => false,
    ready: () => undefined,
    beforeRead: () => {},
    onRead: () => {},
    onTrouble: () => {},
    onShortage: () => {},
  });
  const request = (path: RelativePath) => readings.request(ann, path, "vanished");
  assertLess(keptMiB(request, FEW_READINGS), MOST_MIB);
  readings.start();
  for (let turn = 0; turn < 20; turn++) await readings.ended();
  assertEquals(found, [join(ROOT, fileName("file"))]);
  ann.detach();
});
