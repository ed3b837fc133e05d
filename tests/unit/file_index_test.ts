/** The index remembers what was put, however long ago, and nothing that could not be written. */

import { DatabaseSync } from "node:sqlite";
// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { FileIndex } from "../../src/gate/file_index.ts";
import { LayoutFault } from "../../src/gate/layout.ts";
import { type IndexEntry, UNKNOWN_ENTRY } from "../../src/gate/replica_record.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { waitFor } from "../support/wait.ts";

/** More than are kept in memory. */
const MANY = 10_000;

function entryOf(number: number): IndexEntry {
  return {
    version: number,
    deleted: false,
    records: [{
      replica: 1,
      kind: "file",
      status: "current",
      version: number,
      inode: number,
      size: 1,
      mtimeNs: BigInt(number),
      ctimeNs: 2n,
      mode: 0o644,
      uid: 1,
      gid: 1,
    }],
  };
}

const path = (number: number) => fromText(`directory/${number}`) as RelativePath;

function open(file = `${scratchDirectory("index")}/index`, troubles: string[] = []): FileIndex {
  return FileIndex.open(file, (message) => troubles.push(message));
}

Deno.test("I3: all that was put is there, the oldest too, and after opening again", () => {
  const file = `${scratchDirectory("index")}/index`;
  {
    using index = open(file);
    for (let i = 1; i <= MANY; i++) index.put(path(i), entryOf(i));
    for (const i of [1, 2, MANY - 1, MANY]) assertEquals(index.get(path(i)), entryOf(i));
  }
  using again = open(file);
  for (const i of [1, 2, MANY - 1, MANY]) assertEquals(again.get(path(i)), entryOf(i));
});

Deno.test("I3: what is put later counts, and what has no records is forgotten", () => {
  using index = open();
  index.put(path(1), entryOf(1));
  index.put(path(1), entryOf(2));
  assertEquals(index.get(path(1)), entryOf(2));
  index.put(path(1), { ...entryOf(3), records: [] });
  assertEquals(index.get(path(1)), UNKNOWN_ENTRY);
  assertEquals(index.page(fromText("directory") as RelativePath, "").names, []);
});

Deno.test("I3: what is held is listed in order, once, for the first of those who hold it", () => {
  using index = open();
  const heldBy = (number: number, ...replicas: readonly number[]) => {
    const { records: [record], ...entry } = entryOf(number);
    assert(record !== undefined);
    const records = [1, 2, 3].map((replica) => ({
      ...record,
      replica,
      status: replicas.includes(replica) ? "held" as const : "current" as const,
    }));
    index.put(path(number), { ...entry, records });
  };
  heldBy(3, 2);
  heldBy(1, 2, 3);
  heldBy(2, 3);
  heldBy(4);
  heldBy(5, 2);
  heldBy(5);
  const held = (replica: number, limit = 10, after?: RelativePath) =>
    index.heldPaths(replica, limit, after);
  assertEquals([held(1), held(2), held(3)], [[], [path(1), path(3)], [path(2)]]);
  assertEquals(held(2, 1), [path(1)]);
  assertEquals(held(2, 1, path(1)), [path(3)]);
  assertEquals(held(0), []);
});

Deno.test("I3: what could not be written is as if it had never been known", () => {
  const file = `${scratchDirectory("index")}/index`;
  open(file).close();
  {
    using database = new DatabaseSync(file);
    // As when the disk is full: the second version cannot be written.
    database.exec(
      "CREATE TRIGGER refuse BEFORE INSERT ON entry WHEN hex(substr(NEW.packed, 1, 4)) = '02000000' " +
        "BEGIN SELECT RAISE(ROLLBACK, 'no room'); END",
    );
  }
  const troubles: string[] = [];
  using index = open(file, troubles);
  index.put(path(1), entryOf(1));
  assert(index.commit());
  index.put(path(1), entryOf(2));
  assertEquals(index.get(path(1)), entryOf(1));
  assertEquals(troubles.length, 1);
  index.put(path(1), entryOf(3));
  assertEquals(index.get(path(1)), entryOf(3));
});

Deno.test("I3: after a while of trouble the disk is to be read, for what was forgotten", async () => {
  const file = `${scratchDirectory("index")}/index`;
  open(file).close();
  {
    using database = new DatabaseSync(file);
    database.exec(
      "CREATE TRIGGER refuse BEFORE INSERT ON entry WHEN NEW.name = '2' " +
        "BEGIN SELECT RAISE(ROLLBACK, 'no room'); END",
    );
  }
  let restored = 0;
  using index = FileIndex.open(file, () => {}, () => restored++);
  index.put(path(1), entryOf(1)); // goes with the transaction of the one that fails
  index.put(path(2), entryOf(2));
  assertEquals(index.get(path(1)), UNKNOWN_ENTRY);
  assertEquals(restored, 0);
  await waitFor("it is tried again", () => restored === 1);
  index.put(path(1), entryOf(1));
  assert(index.commit());
});

Deno.test("I3: nothing of the index is mapped into memory, where a full disk would end the daemon", () => {
  const folder = scratchDirectory("index");
  using index = open(`${folder}/index`);
  index.put(path(1), entryOf(1));
  assert(index.commit());
  assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
    "index",
    "index-wal",
  ]);
});

Deno.test("I3: a process that ends leaves SQLite's log, without which a full disk lets nobody open the index", async () => {
  const folder = scratchDirectory("index");
  const program = `
    import { FileIndex } from "${new URL("../../src/gate/file_index.ts", import.meta.url)}";
    FileIndex.open("${folder}/index", console.log).leave();
    Deno.exit(0);
  `;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", "--ext=ts", program],
  }).output();
  assertEquals(new TextDecoder().decode(stdout), "");
  assertEquals(Deno.statSync(`${folder}/index-wal`).size, 0, "what it said is in the file itself");
});

Deno.test("I3: an index that another daemon uses is left alone", () => {
  const file = `${scratchDirectory("index")}/index`;
  using index = open(file);
  index.put(path(1), entryOf(1));
  assertThrows(() => open(file), LayoutFault, "another daemon");
  assertEquals(index.get(path(1)), entryOf(1));
  assert(index.commit());
});

Deno.test("I3: a record that nobody can have written makes its directory unknown, and stops nothing", () => {
  const file = `${scratchDirectory("index")}/index`;
  {
    using index = open(file);
    index.put(path(1), entryOf(1));
  }
  {
    using damage = new DatabaseSync(file);
    // The third word of the first record, behind the entry's two, is its status.
    damage.exec(
      "UPDATE entry SET packed = " +
        "CAST(substr(packed, 1, 16) || x'63000000' || substr(packed, 21) AS BLOB)",
    );
  }
  const troubles: string[] = [];
  using index = open(file, troubles);
  assertEquals(index.page(fromText("directory") as RelativePath, "").names, []);
  assertEquals(index.get(path(1)), UNKNOWN_ENTRY);
  assertEquals(troubles.length, 1);
});
