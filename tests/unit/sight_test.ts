/** Whose change it is that a reading finds: it waits in the queues of all of them, and of nobody else (I7). */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { Replica } from "../../src/gate/replica.ts";
import {
  type IndexEntry,
  recordOf,
  type RecordStatus,
  UNKNOWN_ENTRY,
  withRecord,
} from "../../src/gate/replica_record.ts";
import { authorsOf, sightsOf } from "../../src/gate/sight.ts";
import { scratchDirectory } from "../support/scratch.ts";

const PATH = fromText("file") as RelativePath;

class Bench {
  readonly #base = scratchDirectory("sights");
  readonly replicas: readonly Replica[];

  /** Whoever is named has the file. */
  constructor(...owners: readonly string[]) {
    this.replicas = ["ann", "bob", "cid"].map((name, number) => {
      Deno.mkdirSync(`${this.#base}/${name}`);
      if (owners.includes(name)) this.write(name, "content");
      const replica = new Replica("producer", fileName(name));
      replica.attach(Directory.openTrusted(fromText(`${this.#base}/${name}`)), number + 1);
      return replica;
    });
  }

  write(name: string, content: string): void {
    Deno.writeTextFileSync(`${this.#base}/${name}/file`, content);
  }

  remove(name: string): void {
    Deno.removeSync(`${this.#base}/${name}/file`);
  }

  /** What these have now. */
  known(status: RecordStatus, ...names: readonly string[]): IndexEntry {
    let entry: IndexEntry = { ...UNKNOWN_ENTRY, version: 1 };
    for (const { replica, seen } of sightsOf(PATH, this.replicas)) {
      if (seen.kind !== "file" || !names.includes(`${replica.producer}`)) continue;
      entry = withRecord(entry, recordOf(replica.id, seen.status, status, 1));
    }
    return entry;
  }

  authors(entry: IndexEntry): string[] {
    return authorsOf(sightsOf(PATH, this.replicas), entry).map(({ producer }) => `${producer}`);
  }

  [Symbol.dispose](): void {
    for (const replica of this.replicas) replica.detach();
  }
}

Deno.test("all who have changed, removed, or made it are its authors, and who waits for a verdict", () => {
  using bench = new Bench("ann", "bob");
  const entry = bench.known("current", "ann", "bob");
  assertEquals(bench.authors(entry), []);
  assertEquals(bench.authors(bench.known("held", "ann", "bob")), ["ann", "bob"]);
  assertEquals(bench.authors(bench.known("current", "ann")), ["bob"]);
  bench.write("ann", "other content");
  assertEquals(bench.authors(entry), ["ann"]);
  bench.remove("bob");
  assertEquals(bench.authors(entry), ["ann", "bob"]);
});

Deno.test("of what nobody knows, the only one who has it is the author; of several, nobody can say", () => {
  using alone = new Bench("bob");
  assertEquals(alone.authors(UNKNOWN_ENTRY), ["bob"]);
  using together = new Bench("ann", "bob");
  assertEquals(together.authors(UNKNOWN_ENTRY), []);
});
