/** What went from a new directory before it was watched is found again, and only that. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { fileName, fromText, join, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { FileIndex } from "../../src/gate/file_index.ts";
import { LargeDirectories } from "../../src/gate/large_directories.ts";
import { Replica } from "../../src/gate/replica.ts";
import { recordOf, UNKNOWN_ENTRY, withRecord } from "../../src/gate/replica_record.ts";
import type { TreeReaderParts } from "../../src/gate/tree_reader.ts";
import { findVanished } from "../../src/gate/vanished_entries.ts";
import { scratchDirectory } from "../support/scratch.ts";

const NEW = fileName("new");

class Bench implements Disposable {
  readonly path = scratchDirectory("vanished");
  readonly ann = new Replica("producer", fileName("ann"));
  readonly bob = new Replica("producer", fileName("bob"));
  readonly #index = FileIndex.open(":memory:", () => {});

  constructor() {
    for (const [id, replica] of [this.ann, this.bob].entries()) {
      Deno.mkdirSync(`${this.path}/${replica.producer}/new/below`, { recursive: true });
      replica.attach(Directory.openTrusted(fromText(`${this.path}/${replica.producer}`)), id);
    }
  }

  /** Makes it known as it is in the replica's share now. */
  know(replica: Replica, path: RelativePath): void {
    using view = replica.view(path);
    if (view.seen.kind === "absent") throw new Error(`${path} is not there`);
    const record = recordOf(replica.id, view.seen.status, "current", 1);
    this.#index.put(path, withRecord(UNKNOWN_ENTRY, record));
  }

  async vanished(replica: Replica): Promise<RelativePath[]> {
    const found: RelativePath[] = [];
    const parts: TreeReaderParts = {
      index: this.#index,
      replicas: [this.ann, this.bob],
      large: new LargeDirectories(),
      isIgnored: () => false,
      isIgnoredDirectory: () => false,
      lookAt: (path) => found.push(path),
      mark: () => 0,
      onRenamed: () => {},
      isStopped: () => false,
      onShortage: () => {},
      onFailure: (_, error) => {
        throw error;
      },
      room: () => Promise.resolve(),
    };
    await findVanished(parts, replica, NEW);
    return found.sort();
  }

  [Symbol.dispose](): void {
    this.ann.detach();
    this.bob.detach();
    this.#index.close();
  }
}

function write(bench: Bench, replica: Replica, path: RelativePath): void {
  Deno.writeTextFileSync(`${bench.path}/${replica.producer}/${path}`, "x");
}

Deno.test("I3: a known file that went before its directory was watched is looked at", async () => {
  using bench = new Bench();
  const [gone, stays] = [join(NEW, fileName("gone")), join(NEW, fileName("stays"))];
  const below = join(NEW, fileName("below"));
  const deep = join(below, fileName("deep"));
  for (const path of [gone, stays, deep]) {
    write(bench, bench.ann, path);
    bench.know(bench.ann, path);
  }
  bench.know(bench.ann, below);
  Deno.removeSync(`${bench.path}/ann/${gone}`);
  Deno.removeSync(`${bench.path}/ann/${deep}`);
  assertEquals(await bench.vanished(bench.ann), [deep, gone]);
});

Deno.test("I3: with the directory itself, everything known in it went", async () => {
  using bench = new Bench();
  const path = join(NEW, fileName("file"));
  write(bench, bench.ann, path);
  bench.know(bench.ann, path);
  Deno.removeSync(`${bench.path}/ann/new`, { recursive: true });
  assertEquals(await bench.vanished(bench.ann), [path]);
});

Deno.test("what only another share had, or nobody knew, is no loss", async () => {
  using bench = new Bench();
  const path = join(NEW, fileName("file"));
  write(bench, bench.ann, path);
  bench.know(bench.ann, path);
  write(bench, bench.bob, join(NEW, fileName("unknown")));
  assertEquals(await bench.vanished(bench.bob), []);
});
