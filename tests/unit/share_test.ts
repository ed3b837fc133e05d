/** What a share makes of its watcher's events, and of its directory's coming and going. */

import { DatabaseSync } from "node:sqlite";
// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { display, fileName, fromText, type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { SystemError } from "../../ffi/errno.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { FileIndex } from "../../src/gate/file_index.ts";
import { LONGEST_PATH, REFRESH_FILE } from "../../src/gate/ignore_patterns.ts";
import { recordOf, UNKNOWN_ENTRY } from "../../src/gate/replica_record.ts";
import { Share } from "../../src/gate/share.ts";
import { scratchDirectory } from "../support/scratch.ts";

function path(text: string): RelativePath {
  return fromText(text) as RelativePath;
}

/** A share on a real file system; what it asks for, in words. Events are the test's own. */
class Bench implements Disposable {
  readonly index: FileIndex;
  readonly share: Share;
  readonly asked: string[] = [];
  readonly troubles: string[] = [];
  /** Paths that are as the index knows them. */
  isBeingRead = false;
  readonly known = new Set<RelativePath>();
  readonly #place: string;
  readonly #indexPath: string;
  #hasEnded = false;
  readonly #reactor = new Reactor();

  /** `earlier`: a daemon before this one, with the same index, that has ended. */
  constructor(place = scratchDirectory("share"), earlier?: Bench) {
    if (earlier === undefined) this.#indexPath = `${scratchDirectory("index")}/index`;
    else {
      this.#indexPath = earlier.#indexPath;
      earlier.#end();
    }
    const index = this.index = FileIndex.open(this.#indexPath, () => {});
    this.#place = place;
    this.share = new Share(fileName("ann"), {
      config: { debounceMs: 10, diodeProducers: new Set() },
      reactor: this.#reactor,
      index,
      rules: {
        isIgnored: (one) => one.startsWith("ignored") || one === REFRESH_FILE,
        isIgnoredDirectory: (one) => one.startsWith("ignored") || one.length > LONGEST_PATH,
      },
      openRoot: () => this.openRoot(),
      obstacle: () => undefined,
      isEcho: (_, one) => this.known.has(one),
      isBeingRead: () => this.isBeingRead,
      prepare: (_, one) => this.asked.push(`prepare ${display(one)}`),
      lookAt: (_, one) => this.asked.push(`look at ${display(one)}`),
      onMoved: (_, from, to) => this.asked.push(`moved ${display(from)} ${display(to)}`),
      read: (_, directory, what) => this.asked.push(`read ${display(directory)}: ${what}`),
      onFound: () => this.asked.push("found"),
      onCovered: () => {},
      onTrouble: (message) => this.troubles.push(message),
    });
    this.share.open();
  }

  openRoot(): Directory | undefined {
    try {
      return Directory.openTrusted(fromText(this.#place));
    } catch {
      return undefined;
    }
  }

  /** Another directory, as the watcher finds it. */
  newRoot(): Directory {
    return Directory.openTrusted(fromText(scratchDirectory("share")));
  }

  /** The same again. */
  heldRoot(): Directory {
    const root = this.openRoot();
    assert(root !== undefined);
    return root;
  }

  /** From the next daemon on no replica gets a number in the index, as where the disk is full. */
  refuseNumbers(): void {
    this.changeIndex(
      "CREATE TRIGGER refuse BEFORE INSERT ON replica " +
        "WHEN NOT EXISTS (SELECT 1 FROM entry WHERE name = 'room') " +
        "BEGIN SELECT RAISE(ROLLBACK, 'no room'); END",
    );
  }

  /** What is noted beside the index. */
  marks(): string[] {
    const folder = this.#indexPath.slice(0, this.#indexPath.lastIndexOf("/"));
    return [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) =>
      name.includes("forgotten")
    );
  }

  /** Nothing can be noted of a number beside the index. */
  refuseMark(id: number): void {
    Deno.mkdirSync(`${this.#indexPath}.forgotten-${id}`);
  }

  /** Ends this daemon, and changes its index behind the next one's back. */
  changeIndex(statement: string): void {
    this.#end();
    using database = new DatabaseSync(this.#indexPath);
    database.exec(statement);
  }

  allowNumbers(): void {
    const [record] = this.index.get(path("a")).records;
    assert(record !== undefined);
    this.index.put(path("room"), { version: 1, deleted: false, records: [record] });
    assert(this.index.commit());
  }

  /** The index has a file of the share: one that is there, or some. */
  knowFile(name = "a"): void {
    const { id, root } = this.share.replica;
    assert(root !== undefined);
    const status = root.status(fileName(name)) ?? statusOf(root);
    const record = recordOf(id, status, "current", 1);
    this.index.put(path(name), { version: 1, deleted: false, records: [record] });
  }

  [Symbol.dispose](): void {
    this.share.close();
    this.share.replica.detach();
    this.#reactor[Symbol.dispose]();
    this.#end();
  }

  #end(): void {
    if (!this.#hasEnded) this.index.close();
    this.#hasEnded = true;
  }
}

Deno.test("I5: an event is followed if it is news; the root's and an ignored directory's never are", () => {
  using bench = new Bench();
  bench.known.add(path("own"));
  for (const one of ["guest's", "own", "ignored/a", "folder/a"]) bench.share.changed(path(one));
  bench.share.changed(ROOT);
  assertEquals(bench.asked, ["look at guest's", "look at folder/a"]);
});

Deno.test("I3: what was changed by way of a name that is gone is looked for, now and then", () => {
  const place = scratchDirectory("share");
  Deno.mkdirSync(`${place}/after`);
  for (const name of ["there", "after/a"]) Deno.writeTextFileSync(`${place}/${name}`, "");
  using bench = new Bench(place);
  for (const one of ["there", "gone", "before/a"]) bench.known.add(path(one));
  bench.share.renamed(path("before"), path("after"));
  for (const one of ["there", "before/a"]) bench.share.changed(path(one), true, true);
  bench.share.changed(path("gone"), true, false);
  assertEquals(bench.asked, []);
  for (let time = 0; time < 3; time++) bench.share.changed(path("gone"), true, true);
  assertEquals(bench.asked, [`read ${display(ROOT)}: changed`]);
});

Deno.test("I3: what departed from a name that is known is met by its inode where it arrived", () => {
  const place = scratchDirectory("share");
  using bench = new Bench(place);
  Deno.mkdirSync(`${place}/new`);
  for (const name of ["known", "unknown"]) Deno.writeTextFileSync(`${place}/${name}`, "");
  bench.knowFile("known");
  for (const name of ["known", "unknown"]) {
    Deno.renameSync(`${place}/${name}`, `${place}/new/${name}`);
    bench.share.departed(path(name), bench.share.mark());
  }
  for (const one of ["new", "new/known", "new/unknown"]) bench.share.changed(path(one));
  const { moves } = bench.share;
  assertEquals(["known", "unknown"].map((name) => moves.targetOf(path(name))), [
    path("new/known"),
    undefined,
  ]);
});

/** The file `known`, which the index knows, is `new/known` by now, and nobody has told. */
function benchWithMoved(): Bench {
  const place = scratchDirectory("share");
  const bench = new Bench(place);
  Deno.mkdirSync(`${place}/new`);
  Deno.writeTextFileSync(`${place}/known`, "");
  bench.knowFile("known");
  Deno.renameSync(`${place}/known`, `${place}/new/known`);
  return bench;
}

Deno.test("I3: what departed may be met until the watcher has told of it, and while the share is read", () => {
  using bench = benchWithMoved();
  const mark = bench.share.mark();
  bench.share.departed(path("known"), mark);
  const mayBeMet = () => bench.share.mayBeMet(path("known"));
  assertEquals(mayBeMet(), true);
  bench.share.changed(path("known")); // it was used before it departed
  assertEquals(mayBeMet(), true);
  bench.share.movedOut(mark);
  assertEquals(mayBeMet(), false);
  bench.isBeingRead = true;
  assertEquals(mayBeMet(), true);
  bench.share.found(path("new/known"));
  assertEquals([mayBeMet(), bench.share.moves.targetOf(path("known"))], [false, path("new/known")]);
});

Deno.test("I3: what a guest renamed before the daemon renamed the directory, and is told after that, bears its new name", () => {
  for (const isTold of ["moved", "departed", "lost"]) {
    using bench = new Bench(scratchDirectory("share"));
    const { share } = bench;
    share.moved(path("old/a"), path("old/b"));
    share.expectRename({ from: path("old"), to: path("new"), isExchange: false });
    share.moved(path("old/b"), path("out"));
    assertEquals(share.moves.targetOf(path("new/a")), undefined);
    if (isTold === "moved") share.moved(path("old"), path("new"));
    else if (isTold === "departed") share.departed(path("old"), share.mark());
    else share.reread(ROOT, "overflow");
    assertEquals(share.moves.targetOf(path("new/a")), path("out"), isTold);
    assertEquals(share.moves.sourcesOf(path("out")), ["new/b", "new/a"].map(path));
    assertEquals(share.moves.targetOf(path("old")), undefined);
  }
});

Deno.test("I3: what departed from a name of which the index does not know yet is met by what it was before", () => {
  using bench = benchWithMoved();
  bench.share.moved(path("known"), path("between"));
  bench.share.departed(path("between"), bench.share.mark());
  bench.share.seen(path("new/known"), bench.share.replica.glance(path("new/known")), false);
  assertEquals(bench.share.moves.targetOf(path("known")), path("new/known"));
});

Deno.test("I3: what was looked at before its departure was told is met as well", () => {
  using bench = benchWithMoved();
  bench.share.seen(path("new/known"), bench.share.replica.glance(path("new/known")), false);
  bench.share.departed(path("known"), bench.share.mark());
  assertEquals(bench.share.moves.targetOf(path("known")), path("new/known"));
  assertEquals(bench.share.mayBeMet(path("known")), false);
});

Deno.test("I3: of an exchange whose first half was told in two parts, each has the other's name", () => {
  const place = scratchDirectory("share");
  using bench = new Bench(place);
  const { share } = bench;
  Deno.writeTextFileSync(`${place}/known`, "");
  bench.knowFile("known");
  Deno.renameSync(`${place}/known`, `${place}/other`);
  const mark = share.mark();
  share.departed(path("known"), mark);
  share.paired(mark);
  share.moved(path("known"), path("other"));
  assertEquals(share.mayBeMet(path("known")), false);
  share.moved(path("other"), path("known"));
  assertEquals(share.moves.targetsOf(path("known")), [path("other")]);
  assertEquals(share.moves.targetsOf(path("other")), [path("known")]);
});

Deno.test("I3: what is where it was told to be is not what departed from a name that it never had", () => {
  const place = scratchDirectory("share");
  using bench = new Bench(place);
  const { share } = bench;
  for (const name of ["one", "other"]) {
    Deno.writeTextFileSync(`${place}/${name}`, "");
    bench.knowFile(name);
  }
  const rename = (from: string, to: string) =>
    Deno.renameSync(`${place}/${from}`, `${place}/${to}`);
  rename("one", "between");
  rename("other", "one");
  rename("between", "other");
  share.moved(path("one"), path("other"));
  share.moved(path("other"), path("one"));
  rename("other", "last");
  share.moved(path("other"), path("last"));
  Deno.mkdirSync(`${place}/new`);
  rename("last", "new/name");
  share.departed(path("last"), share.mark());
  share.found(path("new/name"));
  assertEquals(share.moves.targetsOf(path("one")), [path("new/name")]);
  assertEquals(share.moves.targetsOf(path("other")).includes(path("one")), true);
});

Deno.test("I3: an inode that was given to something else is no new name of what departed long ago", () => {
  const place = scratchDirectory("share");
  using bench = new Bench(place);
  Deno.writeTextFileSync(`${place}/old`, "");
  bench.knowFile("old");
  bench.share.departed(path("old"), bench.share.mark());
  Deno.renameSync(`${place}/old`, `${place}/new`);
  bench.index.put(path("old"), UNKNOWN_ENTRY); // its deletion has travelled
  bench.share.changed(path("new"));
  assertEquals(bench.share.moves.targetOf(path("old")), undefined);
});

Deno.test("what is going to be looked at is prepared, where that will be done at all", () => {
  using bench = new Bench();
  for (const one of ["a", "ignored/a", "folder/a"]) bench.share.soon(path(one));
  bench.share.soon(ROOT);
  assertEquals(bench.asked, ["prepare a", "prepare folder/a"]);
  bench.share.rootLost();
  bench.share.soon(path("a"));
  assertEquals(bench.asked.length, 2);
});

Deno.test("I6: what has a path that is too long is told of now and then, and left alone", () => {
  using bench = new Bench();
  const long = path(`folder/${"n".repeat(LONGEST_PATH)}`);
  for (let time = 0; time < 3; time++) bench.share.changed(long);
  bench.share.moved(path("before"), long);
  assertEquals(bench.asked, []);
  assertEquals(bench.share.moves.targetOf(path("before")), undefined);
  assertEquals(bench.troubles.length, 1);
  assert(bench.troubles.every((message) => message.length < 300), "as if it were short");
  assertStringIncludes(bench.troubles.join(), "folder/nnn");
});

Deno.test("a new directory is read for what went before it was watched; the watcher tells the rest", () => {
  using bench = new Bench();
  bench.share.reread(path("folder"), "created");
  assertEquals(bench.asked, ["read folder: vanished"]);
});

Deno.test("I3: a tree that moved is looked at, and read for what is not as it was known", () => {
  using bench = new Bench();
  bench.share.reread(path("folder"), "moved");
  assertEquals(bench.asked, ["look at folder", "read folder: changed"]);
});

Deno.test("I7: a directory that the daemon made itself is no work in the share's queue", () => {
  using bench = new Bench();
  bench.known.add(path("folder"));
  bench.share.reread(path("folder"), "moved");
  assertEquals(bench.asked, ["read folder: changed"]);
});

Deno.test("I3: lost events are told, and the share is read", () => {
  using bench = new Bench();
  bench.share.reread(ROOT, "overflow");
  assertEquals(bench.asked, [`read ${display(ROOT)}: changed`]);
  assertEquals(bench.troubles, ["share/ann: events were lost: reading it again"]);
});

Deno.test("I3: while a share is gone nothing is followed, and nothing counts as deleted in it", () => {
  using bench = new Bench();
  assert(bench.share.isComplete);
  const before = bench.share.replica.id;
  bench.share.rootLost();
  assert(!bench.share.isComplete);
  bench.share.changed(path("a"));
  assertEquals(bench.asked, []);
  assertStringIncludes(bench.troubles.join(), "nothing is deleted");

  const back = bench.openRoot();
  assert(back !== undefined);
  bench.share.rootFound(back);
  assert(bench.share.isComplete);
  assertEquals(bench.asked, ["found"]);
  assertEquals(bench.share.replica.id, before, "what it had when it was last there still counts");
});

Deno.test("the directory that is held already is not found again", () => {
  using bench = new Bench();
  const again = bench.openRoot();
  assert(again !== undefined);
  bench.share.rootFound(again);
  assertEquals(bench.asked, []);
  assert(!again.isOpen);
});

Deno.test("I3: nothing that was known counts for another directory in the share's place", () => {
  using bench = new Bench();
  bench.knowFile();
  const before = bench.share.replica.id;
  bench.share.rootFound(bench.newRoot());
  assert(bench.share.replica.id !== before);
  assertEquals(bench.asked, ["found"]);
});

Deno.test("I3: a share that is suddenly empty deletes nothing elsewhere, and what was known is forgotten", () => {
  const place = scratchDirectory("share");
  Deno.writeTextFileSync(`${place}/a`, "");
  using first = new Bench(place);
  assert(first.share.isComplete);
  first.knowFile();
  Deno.removeSync(`${place}/a`);
  using second = new Bench(place, first);
  assert(!second.share.isComplete);
  assert(second.share.replica.id !== first.share.replica.id);
  assertStringIncludes(second.troubles.join(), "empty, but had files before");
});

Deno.test("I3: where the index cannot be written, it is noted beside it that nothing of an empty share counts", () => {
  const place = scratchDirectory("share");
  using first = new Bench(place);
  first.knowFile();
  const known = first.share.replica.id;
  first.refuseNumbers();
  using second = new Bench(place, first);
  assert(!second.share.isComplete);
  assert(second.share.replica.id !== known);
  // To whoever went by the index, all other files would be deleted.
  Deno.writeTextFileSync(`${place}/b`, "");
  using third = new Bench(place, second);
  assert(third.share.isComplete);
  const { id } = third.share.replica;
  assert(id !== known);
  assertEquals(third.marks().length, 1);
  third.changeIndex("DROP TRIGGER refuse");
  using fourth = new Bench(place, third);
  assertEquals(fourth.share.replica.id, id);
  using fifth = new Bench(place, fourth);
  assertEquals(fifth.share.replica.id, id);
  assertEquals(fifth.marks(), []);
});

Deno.test("I3: where that cannot be noted either, the share waits until it can", () => {
  const place = scratchDirectory("share");
  using first = new Bench(place);
  first.knowFile();
  const known = first.share.replica.id;
  first.refuseNumbers();
  first.refuseMark(known);
  using second = new Bench(place, first);
  assertEquals(second.share.replica.root, undefined);
  assertStringIncludes(second.troubles.join(), "trying again");
  // Nor does it count that its guest goes on.
  Deno.writeTextFileSync(`${place}/b`, "");
  assertThrows(() => second.share.rootFound(second.heldRoot()), SystemError);
  assertEquals(second.share.replica.root, undefined);

  second.allowNumbers();
  second.share.rootFound(second.heldRoot());
  assert(second.share.replica.root !== undefined);
  assert(!second.share.isComplete);
  assert(second.share.replica.id !== known);
  using third = new Bench(place, second);
  assert(third.share.isComplete);
  assertEquals(third.share.replica.id, second.share.replica.id);
});

Deno.test("I3: an empty share of which a damaged index does not tell what it had is suddenly empty", () => {
  const place = scratchDirectory("share");
  using first = new Bench(place);
  first.knowFile();
  first.changeIndex("UPDATE entry SET packed = CAST(packed || x'00' AS BLOB)");
  using second = new Bench(place, first);
  assert(second.share.replica.root !== undefined);
  assert(!second.share.isComplete, "what the export has left would be removed");
});

for (
  const [left, leave] of Object.entries<(place: string) => void>({
    "the mark for file browsers": (place) => Deno.writeTextFileSync(`${place}/${REFRESH_FILE}`, ""),
    "an ignored file": (place) => Deno.writeTextFileSync(`${place}/ignored`, ""),
    "an ignored directory": (place) => Deno.mkdirSync(`${place}/ignored`),
    "a symbolic link": (place) => Deno.symlinkSync("/", `${place}/link`),
  })
) {
  Deno.test(`I3: a share in which nothing is left but ${left} is suddenly empty`, () => {
    const place = scratchDirectory("share");
    leave(place);
    Deno.writeTextFileSync(`${place}/a`, "");
    using first = new Bench(place);
    first.knowFile();
    Deno.removeSync(`${place}/a`);
    using second = new Bench(place, first);
    assert(!second.share.isComplete);
  });
}

Deno.test("I7: of thousands of names that do not travel not all are looked at: such a share is not empty", () => {
  const place = scratchDirectory("share");
  for (let i = 0; i < 1_100; i++) Deno.writeTextFileSync(`${place}/ignored${i}`, "");
  using first = new Bench(place);
  first.knowFile();
  using second = new Bench(place, first);
  assert(second.share.isComplete);
});

Deno.test("an empty directory travels: the share that has one is not empty", () => {
  const place = scratchDirectory("share");
  Deno.mkdirSync(`${place}/folder`);
  using first = new Bench(place);
  first.knowFile();
  using second = new Bench(place, first);
  assert(second.share.isComplete);
});

Deno.test("I3: what was empty when the last daemon left it was emptied before its eyes, which counts once", () => {
  const place = scratchDirectory("share");
  Deno.writeTextFileSync(`${place}/a`, "");
  using first = new Bench(place);
  first.knowFile();
  Deno.removeSync(`${place}/a`);
  first.share.noteIfEmptied();
  using second = new Bench(place, first);
  assert(second.share.isComplete);
  assertEquals(second.share.replica.id, first.share.replica.id);
  second.knowFile();
  using third = new Bench(place, second);
  assert(!third.share.isComplete, "there was something since");
  third.share.noteIfEmptied();
  third.knowFile();
  using fourth = new Bench(place, third);
  assert(!fourth.share.isComplete, "it was not found with files, so nobody saw it emptied");
});

Deno.test("I3: a share that has files when the daemon leaves it is not to be found empty", () => {
  const place = scratchDirectory("share");
  Deno.writeTextFileSync(`${place}/a`, "");
  using first = new Bench(place);
  first.knowFile();
  first.share.noteIfEmptied();
  Deno.removeSync(`${place}/a`);
  using second = new Bench(place, first);
  assert(!second.share.isComplete);
});

Deno.test("I3: a share that is not there at the start keeps its number: what it had still counts", () => {
  const place = scratchDirectory("share");
  using first = new Bench(place);
  Deno.removeSync(place);
  using second = new Bench(place, first);
  assert(!second.share.isComplete);
  assertEquals(second.share.replica.id, first.share.replica.id);
});
