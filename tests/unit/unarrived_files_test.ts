/** Clean versions that are kept for the time until they arrive: whose they are, and how long and how many. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { fileName, fromText } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { Snapshot, Stager } from "../../src/gate/snapshot.ts";
import { UnarrivedFiles } from "../../src/gate/unarrived_files.ts";
import { scratchDirectory } from "../support/scratch.ts";

const ANN = { id: 1 };
const BOB = { id: 2 };

class Bench implements Disposable {
  readonly path = scratchDirectory("unarrived");
  readonly unarrived = new UnarrivedFiles();
  readonly #directory = Directory.openTrusted(fromText(this.path));
  readonly #stager = new Stager(this.#directory);

  async snapshot(name: string): Promise<Snapshot> {
    Deno.writeTextFileSync(`${this.path}/${name}`, name);
    const snapshot = await this.#stager.take(this.#directory, fileName(name));
    assert(snapshot !== undefined);
    return snapshot;
  }

  [Symbol.dispose](): void {
    this.unarrived.clear();
    this.#directory.close();
  }
}

Deno.test("the very version is kept, for its author", async () => {
  using bench = new Bench();
  const { unarrived } = bench;
  const snapshot = await bench.snapshot("file");
  unarrived.keep(ANN, snapshot, 0);
  assert(unarrived.has(ANN, snapshot.source));
  assert(!unarrived.has(BOB, snapshot.source));
  assert(!unarrived.has(ANN, { ...snapshot.source, ctimeNs: snapshot.source.ctimeNs + 1n }));
});

Deno.test("whoever takes it has it, once, whatever the file is by now", async () => {
  using bench = new Bench();
  const { unarrived } = bench;
  using snapshot = await bench.snapshot("file");
  unarrived.keep(ANN, snapshot, 0);
  assertEquals(unarrived.take(BOB, snapshot.source), undefined);
  assertEquals(unarrived.take(ANN, { inode: snapshot.source.inode }), snapshot);
  assertEquals(unarrived.take(ANN, snapshot.source), undefined);
  unarrived.clear();
  assert(snapshot.staged.isOpen);
});

Deno.test("I6: what has arrived, or was judged long ago, is given up", async () => {
  using bench = new Bench();
  const { unarrived } = bench;
  const arrived = await bench.snapshot("arrived");
  unarrived.keep(ANN, arrived, 0);
  unarrived.forget(ANN, arrived.source);
  assert(!arrived.staged.isOpen);

  const old = await bench.snapshot("old");
  unarrived.keep(ANN, old, 0);
  const young = await bench.snapshot("young");
  unarrived.keep(ANN, young, 1_000);
  unarrived.sweep(60_500);
  assertEquals([old.staged.isOpen, young.staged.isOpen], [false, true]);
});

Deno.test("I3, I6, I7: one of too many of an author's is not kept, and none is given up for it", async () => {
  using bench = new Bench();
  const { unarrived } = bench;
  const snapshots = [];
  for (let i = 0; i < 65; i++) snapshots.push(await bench.snapshot(`${i}`));
  for (const snapshot of snapshots) unarrived.keep(ANN, snapshot, 0);
  const [first, ...others] = snapshots;
  const last = others.pop();
  assert(first !== undefined && last !== undefined);
  assertEquals(snapshots.map(({ staged }) => staged.isOpen).indexOf(false), 64);
  assert(!unarrived.has(ANN, last.source));
  const bobs = await bench.snapshot("bob's");
  unarrived.keep(BOB, bobs, 0);
  assert(unarrived.has(BOB, bobs.source));
  unarrived.forget(ANN, first.source);
  const again = await bench.snapshot("again");
  unarrived.keep(ANN, again, 0);
  assert(unarrived.has(ANN, again.source));
});
