/** Renames of which no event told, found by inode (I3). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { FoundRenames } from "../../src/gate/found_renames.ts";
import { Replica } from "../../src/gate/replica.ts";
import {
  type IndexEntry,
  recordOf,
  UNKNOWN_ENTRY,
  withRecord,
} from "../../src/gate/replica_record.ts";
import { sightsOf } from "../../src/gate/sight.ts";

interface Bench {
  readonly path: string;
  /** What is known of a file or directory of ann's, as it is now. */
  known(name: string): IndexEntry;
  /** The renames that are found when these are looked at, in order. */
  found(looks: readonly (readonly [string, IndexEntry])[], most?: number): string[];
}

function withBench(body: (bench: Bench) => void): void {
  const path = Deno.makeTempDirSync({ prefix: "renames-" });
  const ann = new Replica("producer", fileName("ann"));
  try {
    ann.attach(Directory.openTrusted(fromText(path)), 1);
    const at = (name: string) => fromText(name) as RelativePath;
    body({
      path,
      known: (name) => {
        const seen = ann.glance(at(name));
        assert(seen.kind === "file" || seen.kind === "directory");
        return withRecord(UNKNOWN_ENTRY, recordOf(1, seen.status, "current", 1));
      },
      found: (looks, most) => {
        const renames: string[] = [];
        const onRenamed = (_: Replica, from: string, to: string) => renames.push(`${from} → ${to}`);
        const search = new FoundRenames({ mark: () => 1, onRenamed }, most);
        for (const [name, entry] of looks) search.see(at(name), entry, sightsOf(at(name), [ann]));
        return renames;
      },
    });
  } finally {
    ann.detach();
    Deno.removeSync(path, { recursive: true });
  }
}

Deno.test("I3: whichever name is read first, the other one tells of the rename", () =>
  withBench(({ path, known, found }) => {
    Deno.writeTextFileSync(`${path}/a`, "content");
    const entry = known("a");
    Deno.writeTextFileSync(`${path}/a`, "changed in place");
    Deno.renameSync(`${path}/a`, `${path}/b`);
    assertEquals(found([["a", entry], ["b", UNKNOWN_ENTRY]]), ["a → b"]);
    assertEquals(found([["b", UNKNOWN_ENTRY], ["a", entry]]), ["a → b"]);
  }));

Deno.test("I3: over a name that is known, it is a rename as well", () =>
  withBench(({ path, known, found }) => {
    for (const name of ["a", "b"]) Deno.writeTextFileSync(`${path}/${name}`, name);
    const looks = ["a", "b"].map((name) => [name, known(name)] as const);
    Deno.renameSync(`${path}/a`, `${path}/b`);
    assertEquals(found(looks), ["a → b"]);
  }));

Deno.test("I3: files that have exchanged their names were renamed both, at one moment", () =>
  withBench(({ path, known, found }) => {
    for (const name of ["a", "b"]) Deno.writeTextFileSync(`${path}/${name}`, name);
    const looks = ["a", "b"].map((name) => [name, known(name)] as const);
    for (const [from, to] of [["a", "t"], ["b", "a"], ["t", "b"]]) {
      Deno.renameSync(`${path}/${from}`, `${path}/${to}`);
    }
    assertEquals(found(looks), ["b → a", "a → b"]);
  }));

Deno.test("what is deleted, replaced, or as it is known was not renamed", () =>
  withBench(({ path, known, found }) => {
    for (const name of ["a", "b", "c"]) Deno.writeTextFileSync(`${path}/${name}`, name);
    const looks = ["a", "b", "c"].map((name) => [name, known(name)] as const);
    Deno.writeTextFileSync(`${path}/new`, "new"); // before an inode is free again
    Deno.renameSync(`${path}/new`, `${path}/b`);
    Deno.removeSync(`${path}/a`);
    assertEquals(found(looks), []);
  }));

Deno.test("I3: what was renamed with its directory is told of once", () =>
  withBench(({ path, known, found }) => {
    Deno.mkdirSync(`${path}/old`);
    Deno.writeTextFileSync(`${path}/old/letter`, "content");
    const lost = ["old", "old/letter"].map((name) => [name, known(name)] as const);
    Deno.renameSync(`${path}/old`, `${path}/new`);
    const news = ["new", "new/letter"].map((name) => [name, UNKNOWN_ENTRY] as const);
    for (const looks of [[...lost, ...news], [...news, ...lost]]) {
      assertEquals(found(looks), ["old/letter → new/letter"]);
    }
  }));

Deno.test("I3: what has a file's place in a renamed directory is told of, and what has its inode by now", () =>
  withBench(({ path, known, found }) => {
    Deno.mkdirSync(`${path}/old`);
    Deno.writeTextFileSync(`${path}/news`, "news");
    const lost = [["old", known("old")], ["old/letter", known("news")]] as const;
    Deno.writeTextFileSync(`${path}/old/letter`, "malware");
    Deno.renameSync(`${path}/old`, `${path}/new`);
    const news = ["new", "new/letter", "news"].map((name) => [name, UNKNOWN_ENTRY] as const);
    const renames = ["old/letter → new/letter", "old/letter → news"];
    assertEquals(found([...lost, ...news]), renames);
    assertEquals(found([...news, ...lost]).sort(), renames);
  }));

Deno.test("I6: of very many names the oldest are forgotten", () =>
  withBench(({ path, known, found }) => {
    const names = ["a", "b", "c"];
    for (const name of names) Deno.writeTextFileSync(`${path}/${name}`, name);
    const looks = names.map((name) => [name, known(name)] as const);
    for (const name of names) Deno.renameSync(`${path}/${name}`, `${path}/new-${name}`);
    const news = names.map((name) => [`new-${name}`, UNKNOWN_ENTRY] as const);
    assertEquals(found([...looks, ...news], 2), ["b → new-b", "c → new-c"]);
  }));
