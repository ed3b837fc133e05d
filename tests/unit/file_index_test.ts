/** The index remembers what was put, however long ago, and nothing that could not be written. */

import { DatabaseSync } from "node:sqlite";
// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { FileIndex } from "../../src/gate/file_index.ts";
import { begun } from "../../src/gate/index_renewal.ts";
import { LayoutFault } from "../../src/gate/layout_fault.ts";
import { type IndexEntry, UNKNOWN_ENTRY } from "../../src/gate/replica_record.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { waitFor } from "../support/wait.ts";

/** More than are kept in memory. */
const MANY = 10_000;
/** Entries of twice 4 MiB: which of those are in its memory that have just room there is not to be foreseen. */
const MORE_THAN_SQLITE_CACHES = 80_000;
const SQLITE_PAGE = 4096;
/** In the header (sqlite.org/fileformat2.html#file_format_version_numbers). */
const FORMAT_TO_WRITE_AT = 18;

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

const DIRECTORY = fromText("directory") as RelativePath;
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

Deno.test("I3: an index that the version before has left is taken over, and nothing of it forgotten", () => {
  const file = `${scratchDirectory("index")}/index`;
  {
    using index = open(file);
    index.put(path(1), entryOf(1));
    index.noteOnDisk();
  }
  {
    using database = new DatabaseSync(file);
    database.exec(`
      DROP TABLE boot;
      CREATE TABLE boot (started_ms REAL NOT NULL);
      INSERT INTO boot VALUES (0);
      PRAGMA user_version = 5;
    `);
  }
  const troubles: string[] = [];
  for (const _ of ["taken over", "opened again"]) {
    using index = open(file, troubles);
    assertEquals(index.get(path(1)), entryOf(1));
    assert(!index.isAhead);
  }
  assertEquals(troubles, []);
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

Deno.test("I3: what is held is listed in order, once, for the last of those who hold it", () => {
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
  heldBy(1, 1, 2);
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

Deno.test("I7: that nothing is known of a share is found out about as fast as all names are read", () => {
  using index = open();
  for (let i = 1; i <= MORE_THAN_SQLITE_CACHES; i++) index.put(path(i), entryOf(i));
  assert(index.commit());
  assert(index.knowsFilesOf(1));
  const start = performance.now();
  let read = 0;
  for (let after = "";;) {
    const { names } = index.page(DIRECTORY, after);
    read += names.length;
    after = names.at(-1) ?? "";
    if (after === "") break;
  }
  const readMs = performance.now() - start;
  assertEquals(read, MORE_THAN_SQLITE_CACHES);
  assert(!index.knowsFilesOf(1_000_000_007));
  const askedMs = performance.now() - start - readMs;
  assert(askedMs < 2 * readMs, `asked for ${askedMs} ms, read for ${readMs} ms`);
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

Deno.test("I3: no two replicas get one number, though what was written in between is rolled back", () => {
  const file = `${scratchDirectory("index")}/index`;
  open(file).close();
  change(
    file,
    "CREATE TRIGGER refuse BEFORE INSERT ON entry BEGIN SELECT RAISE(ROLLBACK, 'no room'); END",
  );
  using index = open(file);
  const ids = new Set<number>();
  for (const [inode, name] of ["ann", "bob", "cid"].entries()) {
    ids.add(index.replicaId(name, inode).id);
    index.put(path(1), entryOf(1));
  }
  assertEquals(ids.size, 3);
});

Deno.test("I3: a number that could not be written down is written with what is next", async () => {
  const file = `${scratchDirectory("index")}/index`;
  open(file).close();
  const until = Math.ceil(Date.now() / 1000) + 1;
  change(
    file,
    `CREATE TRIGGER refuse BEFORE INSERT ON replica WHEN unixepoch() < ${until} ` +
      "BEGIN SELECT RAISE(ROLLBACK, 'no room'); END",
  );
  let id;
  {
    using index = open(file);
    ({ id } = index.replicaId("ann", 7));
    assert(!index.commit());
    await waitFor("there is room", () => Date.now() >= until * 1000);
    index.put(path(1), entryOf(1));
  }
  using again = open(file);
  assertEquals(again.replicaId("ann", 7), { id, known: true, leftEmpty: false });
  assertEquals(again.get(path(1)), entryOf(1));
});

Deno.test("I3: a new index gives no number that an earlier one gave: jobs may still note what they know", () => {
  const file = `${scratchDirectory("index")}/index`;
  let away;
  {
    using index = open(file);
    index.replicaId("ann", 7);
    away = index.replicaId("bob", 8).id;
    index.put(path(1), entryOf(1));
  }
  change(file, "UPDATE entry SET packed = x''");
  {
    using index = open(file);
    index.replicaId("ann", 7);
    assertEquals(index.lastId("bob"), away);
    assertEquals(index.get(path(1)), UNKNOWN_ENTRY);
  }
  using index = open(file);
  const ids = ["ann", "cid", "bob"].map((name) => index.replicaId(name, 7).id);
  assertEquals(ids.filter((id) => id === away), []);
});

Deno.test("I3: a number that no record can hold is taken for damage", () => {
  for (const table of ["sqlite_sequence SET seq", "replica SET id"]) {
    const file = `${scratchDirectory("index")}/index`;
    {
      using index = open(file);
      index.replicaId("ann", 7);
    }
    change(file, `UPDATE ${table} = ${2 ** 40}`);
    using index = open(file);
    const { id } = index.replicaId("bob", 8);
    const { records: [record], ...entry } = entryOf(1);
    assert(record !== undefined);
    index.put(path(1), { ...entry, records: [{ ...record, replica: id }] });
    assert(index.knowsFilesOf(id), `${table}: ${id}`);
  }
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

/** What a disk may make of the row of a file, with what is right about the row still in its place. */
const DAMAGES: Readonly<Record<string, string>> = {
  // The third word of the first record, behind the entry's two, is its status.
  "a status that does not exist":
    "packed = CAST(substr(packed, 1, 16) || x'63000000' || substr(packed, 21) AS BLOB)",
  "more records than there are": "packed = CAST(x'0100000009000000' || substr(packed, 9) AS BLOB)",
  "half a word": "packed = CAST(substr(packed, 1, 9) AS BLOB)",
  "an entry too many": "packed = CAST(packed || packed AS BLOB)",
  "nothing": "packed = x''",
  "a number": "packed = 7",
  "a name with a slash": "name = 'a/b'",
  "a name that is no UTF-8": "name = CAST(x'c3ff32' AS TEXT)",
  "a name of other characters than a byte has": "name = '\u20ac'",
  "the directory itself as a name": "name = '..'",
  "a name that is no text": "name = x'32'",
};

/** Rows of an index file, changed behind the gate's back. */
function change(file: string, statement: string): void {
  using database = new DatabaseSync(file);
  database.exec(statement);
}

for (const [damage, assignment] of Object.entries(DAMAGES)) {
  Deno.test(`I3: an index with a row that nobody can have written is begun anew: ${damage}`, async () => {
    const file = `${scratchDirectory("index")}/index`;
    let id;
    {
      using index = open(file);
      ({ id } = index.replicaId("ann", 7));
      for (const i of [1, 2, 3]) index.put(path(i), entryOf(i));
    }
    change(file, `UPDATE entry SET ${assignment} WHERE name = '2'`);
    const troubles: string[] = [];
    let restored = 0;
    {
      using index = FileIndex.open(file, (message) => troubles.push(message), () => restored++);
      assertEquals(index.replicaId("ann", 7).id, id);
      assertEquals(index.page(DIRECTORY, "").names, []);
      for (const i of [1, 2, 3]) assertEquals(index.get(path(i)), UNKNOWN_ENTRY);
      index.put(path(2), entryOf(2));
      assert(index.commit());
      assertEquals(index.page(DIRECTORY, "").names, [fileName("2")]);
      await waitFor("the disk is to be read", () => restored === 1);
    }
    assertEquals(troubles.length, 1, troubles.join("; "));
    assert(Deno.statSync(`${file}.damaged`).isFile);
    using again = open(file, troubles);
    assertEquals(again.replicaId("ann", 7), { id, known: true, leftEmpty: false });
    assertEquals(again.get(path(2)), entryOf(2));
    assertEquals(troubles.length, 1);
  });
}

Deno.test("I3: an index with a number that is too large to be read is begun anew", () => {
  const file = `${scratchDirectory("index")}/index`;
  {
    using index = open(file);
    index.put(path(1), entryOf(1));
  }
  change(file, `UPDATE entry SET packed = ${2n ** 62n}`);
  const troubles: string[] = [];
  using index = open(file, troubles);
  assertEquals(index.get(path(1)), UNKNOWN_ENTRY);
  assertEquals(troubles.length, 1);
  assert(troubles[0]?.includes("starting a new one"), troubles[0]);
});

Deno.test("I3: damage that only the beginning of a transaction meets has the index begun anew", () => {
  const file = `${scratchDirectory("index")}/index`;
  const troubles: string[] = [];
  using index = open(file, troubles);
  for (let i = 1; i <= MORE_THAN_SQLITE_CACHES; i++) index.put(path(i), entryOf(i));
  assert(index.commit());
  // Until none of the other pages is in memory any more.
  for (let i = 1; i <= MORE_THAN_SQLITE_CACHES; i++) index.get(path(i));
  Deno.copyFileSync(file, `${file}.copy`);
  let page = 0;
  {
    using copy = new DatabaseSync(`${file}.copy`);
    const root = copy.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'replica'").get();
    page = Number(root?.rootpage);
  }
  {
    using disk = Deno.openSync(file, { write: true });
    disk.seekSync((page - 1) * SQLITE_PAGE, Deno.SeekMode.Start);
    disk.writeSync(new Uint8Array(SQLITE_PAGE).fill(0x55));
  }
  index.put(path(1), entryOf(2));
  assert(!index.commit(), "it was not written");
  assertEquals(troubles.length, 1);
  assert(troubles[0]?.includes("starting a new one"), troubles[0]);
  index.put(path(1), entryOf(3));
  assert(index.commit());
});

Deno.test("I3: an index whose columns have other names is begun anew", () => {
  const file = `${scratchDirectory("index")}/index`;
  open(file).close();
  const column = new TextEncoder().encode("id INTEGER PRIMARY KEY");
  const bytes = Deno.readFileSync(file);
  const at = bytes.findIndex((_, at) => column.every((byte, i) => bytes[at + i] === byte));
  bytes[at + 1] = 0x24;
  Deno.writeFileSync(file, bytes);
  const troubles: string[] = [];
  using index = open(file, troubles);
  const { id } = index.replicaId("ann", 7);
  assertEquals(index.lastId("ann"), id);
  assertEquals(troubles.length, 1, troubles.join("; "));
});

Deno.test("I3: an index whose header forbids to write is begun anew", () => {
  const file = `${scratchDirectory("index")}/index`;
  open(file).close();
  const bytes = Deno.readFileSync(file);
  bytes[FORMAT_TO_WRITE_AT] = 9;
  Deno.writeFileSync(file, bytes);
  const troubles: string[] = [];
  {
    using index = open(file, troubles);
    index.put(path(1), entryOf(1));
  }
  using again = open(file, troubles);
  assertEquals([again.get(path(1)), troubles.length], [entryOf(1), 1], troubles.join("; "));
});

Deno.test("I3: an index that is damaged while it is open is begun anew; damaged again at once, it is given up", async () => {
  const file = `${scratchDirectory("index")}/index`;
  const troubles: string[] = [];
  let restored = 0;
  using index = FileIndex.open(file, (message) => troubles.push(message), () => restored++);
  const fillAndDamage = () => {
    for (let i = 1; i <= MORE_THAN_SQLITE_CACHES; i++) index.put(path(i), entryOf(i));
    assert(index.commit());
    const size = Deno.statSync(file).size;
    Deno.truncateSync(file, 2 * SQLITE_PAGE);
    Deno.truncateSync(file, size);
  };
  const isSomethingUnknown = () => {
    const paths = Array.from({ length: MORE_THAN_SQLITE_CACHES }, (_, at) => path(at + 1));
    return paths.some((one) => index.get(one) === UNKNOWN_ENTRY);
  };
  fillAndDamage();
  assertEquals(troubles, []);
  index.put(path(MORE_THAN_SQLITE_CACHES - MANY), entryOf(1));
  assert(!index.commit(), "it was not written");
  assert(isSomethingUnknown());
  assertEquals(troubles.length, 1, troubles.join("; "));
  await waitFor("the disk is to be read", () => restored === 1);

  fillAndDamage();
  assert(isSomethingUnknown());
  assertEquals(troubles.length, 2, troubles.join("; "));
  assert(troubles[1]?.includes("going on without"));
  await waitFor("the disk is to be read again", () => restored === 2);
  index.put(path(1), entryOf(1));
  assert(index.commit());
  assertEquals(index.get(path(1)), entryOf(1));
});

Deno.test("where no index can be made, nobody is told that there is a new one", () => {
  const troubles: string[] = [];
  const why = new Error("damaged");
  begun("/there/is/no/such/place/index.sqlite", why, (message) => troubles.push(message)).close();
  assertEquals(troubles.filter((message) => message.includes("new one")), []);
  assertStringIncludes(troubles[0] ?? "", "cannot be used (damaged)");
  assertStringIncludes(troubles[1] ?? "", "no index can be written");
});
