/** Readings of trees: each directory once, for the most that was asked; too many end in one of the whole (I6). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { display, fileName, fromText, type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { nextTurn } from "../../ffi/reactor.ts";
import { FileIndex } from "../../src/gate/file_index.ts";
import { LargeDirectories } from "../../src/gate/large_directories.ts";
import { Readings, type Wanted } from "../../src/gate/readings.ts";
import { Replica } from "../../src/gate/replica.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { sleep } from "../support/wait.ts";

/** Two shares on a real file system; what is found in them. */
class Bench implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "readings-" });
  readonly index = FileIndex.open(":memory:", () => {});
  readonly shares: readonly Replica[];
  readonly found: string[] = [];
  /** On whose behalf. */
  readonly foundFor: string[] = [];
  /** The first share's queue is full until it settles. */
  room: Promise<void> | undefined;
  readonly large = new LargeDirectories();
  readonly readings: Readings;
  read = 0;
  onFound = () => {};
  /** How many readings had ended when something was first found. */
  readBefore: number | undefined;
  #stopped = false;

  constructor() {
    this.shares = ["ann", "bob"].map((name) => {
      Deno.mkdirSync(`${this.path}/${name}`);
      const replica = new Replica("producer", fileName(name));
      const root = Directory.openTrusted(fromText(`${this.path}/${name}`));
      replica.attach(root, this.index.replicaId(replica.name, statusOf(root).inode).id);
      return replica;
    });
    this.readings = new Readings({
      shares: this.shares,
      tree: (share) => ({
        index: this.index,
        replicas: this.shares,
        large: this.large,
        isIgnored: () => false,
        isIgnoredDirectory: () => false,
        lookAt: (path) => {
          this.found.push(display(path));
          this.onFound();
          this.foundFor.push(share === undefined ? "nobody" : display(share.name));
          this.readBefore ??= this.read;
        },
        mark: () => 0,
        onRenamed: () => {},
        isStopped: () => this.#stopped,
        onShortage: () => {},
        onFailure: (directory, error) => this.found.push(`${display(directory)}: ${error.message}`),
        room: () => share === this.shares[0] ? this.room : undefined,
      }),
      isStopped: () => this.#stopped,
      ready: () => undefined,
      beforeRead: () => {},
      onRead: () => this.read++,
      onTrouble: (message) => this.found.push(message),
      onShortage: () => {},
    });
  }

  share(number: number): Replica {
    const share = this.shares[number];
    if (share === undefined) throw new RangeError("no such share");
    return share;
  }

  request(number: number, directory: string, what: Wanted): void {
    this.readings.request(this.share(number), fromText(directory) as RelativePath, what);
  }

  stop(): void {
    this.#stopped = true;
  }

  [Symbol.dispose](): void {
    this.stop();
    for (const share of this.shares) share.detach();
    this.index.close();
    Deno.removeSync(this.path, { recursive: true });
  }
}

async function allRead({ readings }: Bench): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await readings.ended();
}

Deno.test("a directory that was asked for often is read once, for the most that was asked", async () => {
  using bench = new Bench();
  Deno.mkdirSync(`${bench.path}/bob/in`);
  Deno.writeTextFileSync(`${bench.path}/bob/in/theirs`, "");
  bench.request(0, "in", "vanished");
  bench.request(0, "in", "everything");
  bench.request(0, "in", "changed");
  bench.readings.start();
  await allRead(bench);
  assertEquals([bench.read, bench.found], [1, ["in/theirs"]]);
});

Deno.test("I7: what a reading that waits will come by is not read once more for itself", async () => {
  using bench = new Bench();
  Deno.mkdirSync(`${bench.path}/ann/a/b/c`, { recursive: true });
  bench.request(0, "a", "changed");
  bench.request(0, "a/b", "changed");
  bench.request(0, "a/b/c", "vanished");
  bench.request(0, "ab", "changed");
  bench.readings.start();
  await allRead(bench);
  assertEquals(bench.read, 2);
  bench.read = 0;
  // It finds less, or on another's behalf.
  bench.request(0, "a", "vanished");
  bench.request(0, "a/b", "vanished");
  bench.request(1, "a/b", "changed");
  bench.request(0, "a/b", "everything");
  bench.request(0, "a/b/c", "everything");
  await allRead(bench);
  assertEquals(bench.read, 3);
});

Deno.test("what changed is looked for in one share only", async () => {
  using bench = new Bench();
  Deno.writeTextFileSync(`${bench.path}/ann/mine`, "");
  Deno.writeTextFileSync(`${bench.path}/bob/theirs`, "");
  bench.request(0, "", "changed");
  bench.readings.start();
  await allRead(bench);
  assertEquals(bench.found, ["mine"]);
});

Deno.test("I6, I3: more directories than can be remembered end in a reading of the whole", async () => {
  using bench = new Bench();
  Deno.writeTextFileSync(`${bench.path}/bob/far`, "");
  for (let number = 0; number < 5_001; number++) bench.request(0, `d${number}`, "vanished");
  bench.readings.start();
  await allRead(bench);
  assertEquals(bench.found, ["far"]);
  assertEquals(bench.read <= 2, true);
});

Deno.test("I7: a share with much to read does not hold up the other", async () => {
  using bench = new Bench();
  Deno.writeTextFileSync(`${bench.path}/bob/theirs`, "");
  for (let number = 0; number < 4_000; number++) bench.request(0, `d${number}`, "changed");
  bench.request(1, "", "changed");
  bench.readings.start();
  await bench.readings.ended();
  assert((bench.readBefore ?? 4_000) < 2_000, `${bench.readBefore} of ann's were first`);
  assertEquals([bench.read, bench.found], [4_001, ["theirs"]]);
});

Deno.test("I6, I7: large directories are read one at a time, and small ones wait for none of them", async () => {
  using bench = new Bench();
  for (const name of ["ann", "bob"]) {
    Deno.mkdirSync(`${bench.path}/${name}/large`);
    for (let number = 0; number < 5_000; number++) {
      Deno.writeTextFileSync(`${bench.path}/${name}/large/${number}`, "");
    }
  }
  Deno.mkdirSync(`${bench.path}/bob/small`);
  Deno.writeTextFileSync(`${bench.path}/bob/small/file`, "");
  const endOther = await bench.large.enter();
  bench.request(0, "large", "changed");
  bench.request(1, "small", "changed");
  bench.request(1, "large", "changed");
  bench.readings.start();
  while (bench.read < 1) await nextTurn();
  await sleep(50);
  assertEquals([bench.read, bench.found], [1, ["small/file"]]);
  endOther();
  await bench.readings.ended();
  assertEquals([bench.read, bench.found.length], [3, 10_001]);
  // All of one, and then all of the other.
  const [first, ...rest] = bench.foundFor.slice(1);
  assert(rest.slice(0, 4_999).every((share) => share === first), "both at a time");
  assert(rest.slice(4_999).every((share) => share !== first), "both at a time");
});

Deno.test("I7: a share with a full queue does not hold up the others, nor what nobody asked for", async () => {
  using bench = new Bench();
  const room = Promise.withResolvers<void>();
  bench.room = room.promise;
  for (const name of ["ann", "bob"]) {
    for (const directory of ["in", "out"]) {
      Deno.mkdirSync(`${bench.path}/${name}/${directory}`);
      Deno.writeTextFileSync(`${bench.path}/${name}/${directory}/of-${name}`, "");
    }
  }
  bench.request(0, "in", "changed");
  bench.request(0, "out", "changed");
  bench.request(1, "in", "changed");
  bench.readings.requestAll(fromText("out") as RelativePath);
  bench.readings.start();
  while (bench.read < 2) await nextTurn();
  assertEquals(
    bench.found.map((path, at) => `${path} for ${bench.foundFor[at]}`).sort(),
    [
      "in/of-ann for share/ann",
      "in/of-bob for share/bob",
      "out/of-ann for nobody",
      "out/of-bob for nobody",
    ],
  );
  room.resolve();
  await bench.readings.ended();
  assertEquals([bench.read, bench.found.at(-1)], [4, "out/of-ann"]);
});

Deno.test("I7: thousands of small readings leave the event loop its turns", async () => {
  using bench = new Bench();
  for (let number = 0; number < 4_000; number++) bench.request(0, `d${number}`, "changed");
  bench.readings.start();
  let turns = 0;
  const ended = bench.readings.ended().then(() => true);
  while (!await Promise.race([ended, nextTurn()])) turns++;
  assert(turns > 5, `${turns} turns`);
});

Deno.test("after the stop nothing is read", async () => {
  using bench = new Bench();
  Deno.writeTextFileSync(`${bench.path}/ann/mine`, "");
  bench.request(0, ROOT, "changed");
  bench.stop();
  bench.readings.start();
  await allRead(bench);
  assertEquals(bench.found, []);
});

Deno.test("I3: a path is covered from when a directory above it was asked for until that is read", async () => {
  using bench = new Bench();
  const covered = () =>
    ["in", "in/deep/er", "inner"].map((path) =>
      bench.readings.cover(fromText(path) as RelativePath)
    );
  Deno.mkdirSync(`${bench.path}/bob/in`);
  Deno.writeTextFileSync(`${bench.path}/bob/in/theirs`, "");
  assertEquals(covered(), [false, false, false]);
  bench.request(0, "in", "everything");
  assertEquals(covered(), [true, true, false]);
  bench.onFound = () => assertEquals(covered(), [true, true, false], "while it is read");
  bench.readings.start();
  await allRead(bench);
  assertEquals(bench.found, ["in/theirs"]);
  assertEquals(covered(), [false, false, false]);
  bench.readings.requestAll(ROOT);
  assertEquals(covered(), [true, true, true]);
});
