/** A renamed directory is followed in all the other replicas or in none, and the index with it. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { display, fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { RENAME_EXCHANGE } from "../../ffi/platform.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { DirectoryMoves } from "../../src/gate/directory_moves.ts";
import { FileIndex } from "../../src/gate/file_index.ts";
import { LargeDirectories } from "../../src/gate/large_directories.ts";
import { Publisher } from "../../src/gate/publisher.ts";
import { Recovery } from "../../src/gate/recovery.ts";
import { Replica } from "../../src/gate/replica.ts";
import { matches, recordOf, withRecord } from "../../src/gate/replica_record.ts";
import { Stager } from "../../src/gate/snapshot.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { exists } from "../support/tree.ts";

const PRODUCERS = ["ann", "bob", "cid"];
const DIRECTORIES = ["old", "old/below"];
const FILES = ["old/1", "old/2", "old/below/3", "file"];

const relative = (path: string) => fromText(path) as RelativePath;

/** Three shares with the same tree, known to the index. */
class Tree implements Disposable {
  readonly index: FileIndex;
  readonly moves: DirectoryMoves;
  readonly followed: string[] = [];
  readonly exchanged: boolean[] = [];
  readonly troubles: unknown[] = [];
  isPossible = true;
  canFollow = true;
  ignored: string | undefined;
  worked: string | undefined;
  readonly #base = scratchDirectory("moves");
  readonly #replicas: Replica[];
  readonly #own = new DisposableStack();

  constructor() {
    const index = this.index = this.#own.use(FileIndex.open(`${this.#base}/index`, () => {}));
    this.#replicas = PRODUCERS.map((name) => {
      for (const path of DIRECTORIES) Deno.mkdirSync(this.at(name, path), { recursive: true });
      for (const path of FILES) Deno.writeTextFileSync(this.at(name, path), path);
      const replica = new Replica("producer", fileName(name));
      const root = Directory.openTrusted(fromText(`${this.#base}/${name}`));
      replica.attach(root, index.replicaId(replica.name, statusOf(root).inode).id);
      this.#own.defer(() => replica.detach());
      return replica;
    });
    for (const path of [...DIRECTORIES, ...FILES]) this.#know(relative(path));
    const open = (name: string) => {
      Deno.mkdirSync(`${this.#base}/${name}`);
      return this.#own.use(Directory.openTrusted(fromText(`${this.#base}/${name}`)));
    };
    const staging = open("staging");
    const stager = new Stager(staging);
    const recovery = new Recovery(open("recovery"), () => undefined, () => {});
    this.moves = new DirectoryMoves({
      replicas: this.#replicas,
      index,
      publisher: new Publisher(staging, stager, recovery, () => {}),
      tree: () => ({
        index,
        replicas: this.#replicas,
        large: new LargeDirectories(),
        isIgnored: (path) => display(path) === this.ignored,
        isIgnoredDirectory: (path) => display(path) === this.ignored,
        lookAt: () => {},
        mark: () => 0,
        onRenamed: () => {},
        isStopped: () => false,
        onShortage: () => {},
        onFailure: () => {},
        room: () => undefined,
      }),
      isPossible: () => this.isPossible,
      isWorkedOn: (directory) => display(directory) === this.worked,
      canFollow: () => this.canFollow,
      onChanged: () => {},
      onRenamed: ({ isExchange }) => this.exchanged.push(isExchange),
      onMoved: ({ from, to }) => this.followed.push(`${display(from)} ${display(to)}`),
      onTrouble: (error) => this.troubles.push(error),
    });
  }

  at(producer: string, path = ""): string {
    return `${this.#base}/${producer}/${path}`;
  }

  /** Ann renames it, and the watcher tells of that. */
  async rename(from: string, to: string): Promise<void> {
    Deno.renameSync(this.at("ann", from), this.at("ann", to));
    await this.#tell(from, to);
  }

  /** Ann gives each the other's name, and her watcher tells of the one that is a directory. */
  async exchange(from: string, to: string): Promise<void> {
    using root = Directory.openTrusted(fromText(this.at("ann")));
    root.rename(fileName(from), root, fileName(to), RENAME_EXCHANGE);
    await this.#tell(from, to);
  }

  async #tell(from: string, to: string): Promise<void> {
    const [author] = this.#replicas;
    if (author === undefined) throw new Error("ann is there");
    this.moves.moved({ author, from: relative(from), to: relative(to), number: 1 });
    await this.moves.ended();
  }

  /** Where the share has the deepest file. */
  places(path = "below/3"): string[] {
    return PRODUCERS.map((name) =>
      ["old", "new", "in/new"].filter((directory) => exists(this.at(name, `${directory}/${path}`)))
        .join(", ")
    );
  }

  /** The names that are known in a directory. */
  known(directory: string): string[] {
    return this.index.page(relative(directory), "").names.map(display);
  }

  [Symbol.dispose](): void {
    this.#own.dispose();
  }

  #know(path: RelativePath): void {
    let entry = this.index.get(path);
    for (const replica of this.#replicas) {
      using view = replica.view(path);
      if (view.seen.kind !== "file" && view.seen.kind !== "directory") throw new Error("it is");
      entry = withRecord(entry, recordOf(replica.id, view.seen.status, "current", 1));
    }
    this.index.put(path, { ...entry, version: 1 });
  }
}

const FOLLOWED = ["new", "new", "new"];

Deno.test("I4: it is renamed everywhere, and what is known of it goes along", async () => {
  using tree = new Tree();
  const entry = tree.index.get(relative("old/below/3"));
  await tree.rename("old", "new");
  assertEquals([tree.places(), tree.followed], [FOLLOWED, ["old new"]]);
  assertEquals(tree.index.get(relative("new/below/3")), entry);
  assertEquals(["old", "old/below", "new", "new/below", ""].map((at) => tree.known(at)), [
    [],
    [],
    ["1", "2", "below"],
    ["3"],
    ["file", "new"],
  ]);
  assertEquals(tree.exchanged, [false]);
});

Deno.test("I3, I4: exchanged for a file, both get each other's name everywhere", async () => {
  using tree = new Tree();
  const entry = tree.index.get(relative("old/below/3"));
  const inodes = () =>
    PRODUCERS.map((name) =>
      ["old", "file"].map((path) => Deno.statSync(tree.at(name, path)).ino).join()
    );
  const before = inodes();
  await tree.exchange("old", "file");
  assertEquals(inodes(), before.map((pair) => pair.split(",").reverse().join()));
  assertEquals(PRODUCERS.map((name) => Deno.readTextFileSync(tree.at(name, "old"))), [
    "file",
    "file",
    "file",
  ]);
  assertEquals([tree.followed, tree.exchanged], [["old file"], [true]]);
  assertEquals(tree.index.get(relative("file/below/3")), entry);
  assertEquals(["old", "old/below", "file", "file/below", ""].map((at) => tree.known(at)), [
    [],
    [],
    ["1", "2", "below"],
    ["3"],
    ["file", "old"],
  ]);
  // What the others have is known as it is now; what the author has, is looked at.
  const { records } = tree.index.get(relative("old"));
  const isKnown = PRODUCERS.map((name, at) => {
    using root = Directory.openTrusted(fromText(tree.at(name)));
    const [record, status] = [records[at], root.status(fileName("old"))];
    return record !== undefined && status !== undefined && matches(record, status);
  });
  assertEquals(isKnown.slice(1), [true, true]);
});

Deno.test("I3: exchanged for a file that its author has changed since: the others have the known one", async () => {
  using tree = new Tree();
  const exchanging = tree.exchange("old", "file");
  Deno.writeTextFileSync(tree.at("ann", "old"), "changed");
  await exchanging;
  assertEquals(PRODUCERS.map((name) => Deno.readTextFileSync(tree.at(name, "old"))), [
    "changed",
    "file",
    "file",
  ]);
  assertEquals(tree.index.get(relative("old")).records.map(({ size }) => size), [4, 4, 4]);
});

const FILE_HINDRANCES: Readonly<Record<string, (tree: Tree) => void>> = {
  "the file was changed by another": (tree) => Deno.writeTextFileSync(tree.at("bob", "file"), "!"),
  "the file is another one": (tree) => {
    Deno.writeTextFileSync(tree.at("cid", "another"), "file");
    Deno.renameSync(tree.at("cid", "another"), tree.at("cid", "file"));
  },
  "the file is ignored under the directory's name": (tree) => tree.ignored = "old",
  "a file in the directory was changed": (tree) =>
    Deno.writeTextFileSync(tree.at("bob", "old/below/3"), "!"),
  "a job at the file": (tree) => tree.worked = "file",
  "the author has another file": (tree) => {
    Deno.writeTextFileSync(tree.at("ann", "another"), "another");
    Deno.renameSync(tree.at("ann", "another"), tree.at("ann", "file"));
  },
};

for (const [what, make] of Object.entries(FILE_HINDRANCES)) {
  Deno.test(`I3: an exchange for a file is followed nowhere: ${what}`, async () => {
    using tree = new Tree();
    make(tree);
    const known = ["old", "old/below", ""].map((at) => tree.known(at));
    await tree.exchange("old", "file");
    const directories = PRODUCERS.map((name) =>
      ["old", "file"].find((path) => Deno.statSync(tree.at(name, path)).isDirectory)
    );
    assertEquals(directories, ["file", "old", "old"]);
    assertEquals(["old", "old/below", ""].map((at) => tree.known(at)), known);
    assertEquals([tree.followed, tree.troubles], [[], []]);
  });
}

Deno.test("I4: the same into a directory that the others have not yet", async () => {
  using tree = new Tree();
  Deno.mkdirSync(tree.at("ann", "in"));
  await tree.rename("old", "in/new");
  assertEquals(tree.places(), ["in/new", "in/new", "in/new"]);
  assertEquals(tree.known("in/new"), ["1", "2", "below"]);
});

const HINDRANCES: Readonly<Record<string, (tree: Tree) => void>> = {
  "a file changed by another": (tree) => Deno.writeTextFileSync(tree.at("bob", "old/below/3"), "!"),
  "a file that only another has": (tree) => Deno.writeTextFileSync(tree.at("cid", "old/new"), ""),
  "a directory that only another has": (tree) => Deno.mkdirSync(tree.at("cid", "old/below/own")),
  "a file that another has removed": (tree) => Deno.removeSync(tree.at("bob", "old/1")),
  "a file that is ignored": (tree) => tree.ignored = "old/2",
  "a directory that will be ignored": (tree) => tree.ignored = "new/below",
  "something under the new name": (tree) => Deno.writeTextFileSync(tree.at("cid", "new"), ""),
  "a link under the new name": (tree) => Deno.symlinkSync("/", tree.at("bob", "new")),
  "something that was known under the new name": (tree) => {
    tree.index.put(relative("new/gone"), tree.index.get(relative("old/1")));
  },
  "another directory under the old name": (tree) => {
    Deno.renameSync(tree.at("bob", "old"), tree.at("bob", "elsewhere"));
    Deno.mkdirSync(tree.at("bob", "old"));
  },
  "a link under the old name": (tree) => {
    Deno.renameSync(tree.at("bob", "old"), tree.at("bob", "elsewhere"));
    Deno.symlinkSync("elsewhere", tree.at("bob", "old"));
  },
  "a job in it": (tree) => tree.worked = "old",
  "a job at its new name": (tree) => tree.worked = "new",
  "a share that is not there": (tree) => tree.isPossible = false,
  "too many renames in it that would have to be remembered otherwise": (tree) =>
    tree.canFollow = false,
};

for (const [what, make] of Object.entries(HINDRANCES)) {
  Deno.test(`I3: it is followed nowhere: ${what}`, async () => {
    using tree = new Tree();
    make(tree);
    const known = ["old", "old/below"].map((at) => tree.known(at));
    const before = tree.places("1");
    await tree.rename("old", "new");
    assertEquals(tree.places("1"), ["new", ...before.slice(1)]);
    assertEquals(["old", "old/below"].map((at) => tree.known(at)), known);
    assertEquals([tree.followed, tree.troubles], [[], []]);
  });
}

Deno.test("I3: what could be renamed in one share only is renamed back", async () => {
  using tree = new Tree();
  Deno.mkdirSync(tree.at("ann", "in"));
  Deno.writeTextFileSync(tree.at("cid", "in"), "in the way"); // bob comes before
  const { ino } = Deno.statSync(tree.at("bob", "old"));
  await tree.rename("old", "in/new");
  assertEquals(tree.places(), ["in/new", "old", "old"]);
  assertEquals(Deno.statSync(tree.at("bob", "old")).ino, ino);
  assertEquals([tree.known("old"), tree.known("in")], [["1", "2", "below"], []]);
});

Deno.test("I2: a link in the place of the directory that is to hold it leads nowhere", async () => {
  const outside = scratchDirectory("outside");
  using tree = new Tree();
  Deno.mkdirSync(tree.at("ann", "in"));
  Deno.symlinkSync("../ann", tree.at("cid", "in"));
  Deno.symlinkSync(outside, tree.at("bob", "in"));
  await tree.rename("old", "in/new");
  assertEquals([...Deno.readDirSync(outside)], []);
  assertEquals(["bob", "cid"].map((name) => exists(tree.at(name, "old/below/3"))), [true, true]);
  assertEquals([tree.known("old"), tree.followed], [["1", "2", "below"], []]);
});

Deno.test("while it is followed, what is below either name has to wait, and nothing else", async () => {
  using tree = new Tree();
  const covered = () =>
    ["old", "old/below/3", "new", "new/x", "older", "", "in"].filter((path) =>
      tree.moves.covers(relative(path))
    );
  const renaming = tree.rename("old", "new");
  assertEquals(covered(), ["old", "old/below/3", "new", "new/x"]);
  await renaming;
  assertEquals(covered(), []);
});

Deno.test("I7: of one author's moves half the time is left to the others", async () => {
  using tree = new Tree();
  await tree.rename("old", "new");
  await tree.rename("new", "old"); // at once
  assertEquals([tree.places(), tree.followed.length], [["old", "new", "new"], 1]);
});

Deno.test("I3: thousands of names and directories are moved in the index, and no other", async () => {
  using index = FileIndex.open(`${scratchDirectory("index")}/index`, (message) => {
    throw new Error(message);
  });
  using tree = new Tree();
  const entry = tree.index.get(relative("old/1"));
  const paths = (directory: string) => [
    ...Array.from({ length: 5000 }, (_, i) => `${directory}/${i}`),
    ...Array.from({ length: 300 }, (_, i) => `${directory}/below/${i}/file`),
    `${directory}/below/ä\u{1F600}/last`,
  ];
  const others = ["a.", "a/b.", "a0/x", "a/bc", "a/b0/x", "a-b/x", "a"].map((at) => `${at}/other`);
  for (const path of [...paths("a/b"), ...others]) index.put(relative(path), entry);
  assertEquals([index.knowsBelow(relative("c/d")), index.knowsBelow(relative("a/b"))], [
    false,
    true,
  ]);
  const moving = index.moveBelow(relative("a/b"), relative("c/d"));
  // Whoever asks meanwhile finds each under its new name, and none under the former one.
  const some = paths("").filter((_, i) => i % 500 === 0);
  for (const path of some) {
    assertEquals(index.get(relative(`c/d${path}`)).records.length, entry.records.length, path);
    assertEquals(index.get(relative(`a/b${path}`)).records.length, 0, path);
  }
  index.put(relative("c/d/4999"), { ...entry, version: 7 });
  await moving;
  assertEquals(index.get(relative("c/d/4999")).version, 7);
  assertEquals([index.knowsBelow(relative("c/d")), index.knowsBelow(relative("a/b"))], [
    true,
    false,
  ]);
  for (const path of [...paths("c/d"), ...others]) {
    assertEquals(index.get(relative(path)).records.length, entry.records.length, path);
  }
  for (const path of paths("a/b")) assertEquals(index.get(relative(path)).records.length, 0, path);
});
