/** What the index says counts after a power failure only where the disk confirms it (I3). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { FileIndex } from "../../src/gate/file_index.ts";
import { confirmed } from "../../src/gate/index_confirmation.ts";
import type { Seen } from "../../src/gate/planning/situation.ts";
import { Replica } from "../../src/gate/replica.ts";
import { type IndexEntry, recordOf, UNKNOWN_ENTRY } from "../../src/gate/replica_record.ts";
import { Directory } from "../../ffi/directory.ts";
import { startMachineAnew } from "../support/index_file.ts";
import { scratchDirectory } from "../support/scratch.ts";

const PATH = fromText("doc.txt") as RelativePath;
const ROOT_INODE = 7;
const ABSENT: Seen = { kind: "absent" };

function open(file: string): FileIndex {
  return FileIndex.open(file, () => {});
}

/** Two producers that have a file each, and an index in which both are known. */
class Bench {
  readonly #base = scratchDirectory("confirmation");
  readonly file = `${this.#base}/index`;
  readonly ann = new Replica("producer", fileName("ann"));
  readonly bob = new Replica("producer", fileName("bob"));
  readonly entry: IndexEntry;

  constructor() {
    using index = open(this.file);
    this.ann.id = index.replicaId("ann", ROOT_INODE).id;
    this.bob.id = index.replicaId("bob", ROOT_INODE).id;
    for (const name of ["ann", "bob"]) Deno.writeTextFileSync(`${this.#base}/${name}`, name);
    const records = [this.ann, this.bob].map((replica) => {
      const seen = this.seen(replica);
      assert(seen.kind === "file");
      return recordOf(replica.id, seen.status, "current", 1);
    });
    this.entry = { version: 1, deleted: false, records };
    index.put(PATH, this.entry);
  }

  seen({ producer }: Replica): Seen {
    using directory = Directory.openTrusted(fromText(this.#base));
    const status = directory.status(producer);
    return status === undefined ? ABSENT : { kind: "file", status };
  }

  /** Of the index: what counts of it, if this is what is seen. */
  look(index: FileIndex, change: ReadonlyMap<Replica, Seen> = new Map()): IndexEntry {
    const sights = [this.ann, this.bob].map((replica) => ({
      replica,
      seen: change.get(replica) ?? this.seen(replica),
    }));
    return confirmed(index, PATH, index.get(PATH), () => sights);
  }
}

Deno.test("I3: an index of the same boot is believed, whatever is seen", () => {
  const bench = new Bench();
  using index = open(bench.file);
  assert(!index.isAhead);
  assertEquals(bench.look(index, new Map([[bench.ann, ABSENT]])), bench.entry);
});

Deno.test("I3: an index of an earlier boot is believed where everybody has what it says", () => {
  const bench = new Bench();
  startMachineAnew(bench.file);
  using index = open(bench.file);
  assert(index.isAhead);
  assertEquals(bench.look(index), bench.entry);
  assertEquals(index.get(PATH), bench.entry);
});

Deno.test("I3: it is not believed where somebody lacks it, or has another: nothing is known of that any more", () => {
  const other = new Bench();
  for (const seen of [ABSENT, other.seen(other.ann)]) {
    const bench = new Bench();
    startMachineAnew(bench.file);
    using index = open(bench.file);
    assertEquals(bench.look(index, new Map([[bench.bob, seen]])), UNKNOWN_ENTRY);
    assertEquals(index.get(PATH), UNKNOWN_ENTRY);
  }
});

Deno.test("I3: a daemon that died before it had read everything leaves the doubt to the next one", () => {
  const bench = new Bench();
  startMachineAnew(bench.file);
  {
    using index = open(bench.file);
    index.put(fromText("another") as RelativePath, bench.entry);
  }
  using index = open(bench.file);
  assert(index.isAhead);
});

Deno.test("I3: when all is read there is no doubt left, and of who was not there nothing is known", () => {
  const bench = new Bench();
  startMachineAnew(bench.file);
  {
    using index = open(bench.file);
    index.confirm([bench.ann.id]);
    assert(!index.isAhead);
  }
  using index = open(bench.file);
  assert(!index.isAhead);
  assert(index.replicaId("ann", ROOT_INODE).known);
  assert(!index.replicaId("bob", ROOT_INODE).known);
});

Deno.test("I3: what was noted as on the disk is believed in the next boot, unless something was put since", () => {
  for (const isLast of [true, false]) {
    const bench = new Bench();
    {
      using index = open(bench.file);
      index.noteOnDisk();
      index.commit();
      if (!isLast) index.put(PATH, bench.entry);
    }
    startMachineAnew(bench.file);
    using index = open(bench.file);
    assertEquals(index.isAhead, !isLast);
  }
});
