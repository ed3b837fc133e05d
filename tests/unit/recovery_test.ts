/** Taking things out by identity, and what a crash leaves of it, on a real file system. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { SystemError } from "../../ffi/errno.ts";
import { writeAll } from "../../ffi/file_content.ts";
import { type FileStatus, statusOf } from "../../ffi/file_status.ts";
import { type JournalLine, RecoveryJournal } from "../../src/gate/recovery_journal.ts";
import { nameOfTaken, takenUnder } from "../../src/gate/recovery_name.ts";
import { Recovery } from "../../src/gate/recovery.ts";

const REPLICA = fromText("share/ann");
const ORIGIN = {
  replica: REPLICA,
  producer: fileName("ann"),
  path: fromText("folder/doc.txt") as RelativePath,
};

class Bench implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "recovery-" });
  readonly folder: string;
  readonly share: Directory;
  readonly parent: Directory;
  readonly recoveryDirectory: Directory;
  readonly troubles: string[] = [];
  recovery: Recovery;
  /** Where the share is; `undefined` while it is away. */
  place: Directory | undefined;

  constructor() {
    this.folder = `${this.path}/share/folder`;
    Deno.mkdirSync(this.folder, { recursive: true });
    Deno.mkdirSync(`${this.path}/recovery`);
    this.share = Directory.openTrusted(fromText(`${this.path}/share`));
    this.place = this.share;
    this.parent = Directory.openTrusted(fromText(this.folder));
    this.recoveryDirectory = Directory.openTrusted(fromText(`${this.path}/recovery`));
    this.recovery = this.restart();
  }

  /** Another daemon on the same directory; the one before died. */
  restart(): Recovery {
    const recovery = new Recovery(
      this.recoveryDirectory,
      (name) => name === REPLICA ? this.place : undefined,
      (message) => this.troubles.push(message),
    );
    recovery.recover();
    return this.recovery = recovery;
  }

  write(text: string, name = "doc.txt"): FileStatus {
    Deno.writeTextFileSync(`${this.folder}/${name}`, text);
    return this.status(name);
  }

  status(name = "doc.txt"): FileStatus {
    const status = this.parent.status(fileName(name));
    if (status === undefined) throw new Error(`${name} is not there`);
    return status;
  }

  prepared(text: string): Descriptor {
    const file = this.recoveryDirectory.createUnnamed();
    writeAll(file, new TextEncoder().encode(text));
    return file;
  }

  contents(): string[] {
    const names = [...Deno.readDirSync(this.folder)].map(({ name }) => name);
    return names.map((name) => Deno.readTextFileSync(`${this.folder}/${name}`)).sort();
  }

  /** What lies in recovery but the journal. */
  taken(): string[] {
    return [...Deno.readDirSync(`${this.path}/recovery`)].map(({ name }) => name)
      .filter((name) => name !== "journal");
  }

  [Symbol.dispose](): void {
    this.recovery.close();
    for (const directory of [this.share, this.parent, this.recoveryDirectory]) directory.close();
    Deno.removeSync(this.path, { recursive: true });
  }
}

Deno.test("a known version is replaced, and gone after a moment", () => {
  using bench = new Bench();
  const before = bench.write("old");
  using prepared = bench.prepared("new");
  assertEquals(bench.recovery.replace(prepared, bench.parent, ORIGIN, before), "done");
  assertEquals(bench.contents(), ["new"]);
  assertEquals(bench.status().inode, statusOf(prepared).inode);
  assertEquals(bench.taken().length, 1);
  bench.recovery.sweep(0, true);
  assertEquals(bench.taken(), []);
});

Deno.test("I3: a version that is not the known one is not replaced", () => {
  using bench = new Bench();
  const before = bench.write("old");
  bench.write("newer");
  using prepared = bench.prepared("new");
  assertEquals(bench.recovery.replace(prepared, bench.parent, ORIGIN, before), "changed");
  assertEquals(bench.contents(), ["newer"]);
  assertEquals(bench.taken(), []);
});

Deno.test("I3: another file under the same name is not removed", () => {
  using bench = new Bench();
  const before = bench.write("old");
  bench.write("other", "other.txt");
  Deno.renameSync(`${bench.folder}/other.txt`, `${bench.folder}/doc.txt`);
  assertEquals(bench.recovery.remove(bench.parent, ORIGIN, before, false), "changed");
  assertEquals(bench.contents(), ["other"]);
});

Deno.test("a removal for good leaves nothing behind at once", () => {
  using bench = new Bench();
  const before = bench.write("malware");
  assertEquals(bench.recovery.remove(bench.parent, ORIGIN, before, false), "done");
  assertEquals([bench.contents(), bench.taken()], [[], []]);
});

Deno.test("a name that is gone is not replaced", () => {
  using bench = new Bench();
  const before = bench.write("old");
  Deno.removeSync(`${bench.folder}/doc.txt`);
  using prepared = bench.prepared("new");
  assertEquals(bench.recovery.replace(prepared, bench.parent, ORIGIN, before), "changed");
  assertEquals(bench.contents(), []);
});

Deno.test("I6: a recovery directory that was removed is a failure, no change of the file that is to be tried at once", () => {
  using bench = new Bench();
  const known = bench.write("malware");
  Deno.removeSync(`${bench.path}/recovery`, { recursive: true });
  assertThrows(
    () => bench.recovery.remove(bench.parent, ORIGIN, known, false),
    SystemError,
    "ENOENT",
  );
  Deno.mkdirSync(`${bench.path}/recovery`);
  assertEquals(bench.contents(), ["malware"]);
});

Deno.test("I2: a symbolic link is replaced itself, its target stays", () => {
  using bench = new Bench();
  Deno.writeTextFileSync(`${bench.path}/canary`, "untouched");
  Deno.symlinkSync(`${bench.path}/canary`, `${bench.folder}/doc.txt`);
  using prepared = bench.prepared("new");
  const outcome = bench.recovery.replace(prepared, bench.parent, ORIGIN, bench.status());
  assertEquals(outcome, "done");
  bench.recovery.sweep(0, true);
  assertEquals(Deno.readTextFileSync(`${bench.path}/canary`), "untouched");
  assertEquals(bench.status().kind, "file");
});

Deno.test("I3: what is written to a replaced file that was still open comes back beside the new one", () => {
  using bench = new Bench();
  const before = bench.write("old");
  using writer = Deno.openSync(`${bench.folder}/doc.txt`, { write: true, append: true });
  using prepared = bench.prepared("new");
  assertEquals(bench.recovery.replace(prepared, bench.parent, ORIGIN, before), "done");
  writer.writeSync(new TextEncoder().encode(", and more"));
  bench.recovery.sweep(0, true);
  assertEquals(bench.contents(), ["new", "old, and more"]);
});

Deno.test("I3: a replaced file is kept for as long as somebody may write to it", () => {
  using bench = new Bench();
  const before = bench.write("old");
  const writer = Deno.openSync(`${bench.folder}/doc.txt`, { write: true, append: true });
  using prepared = bench.prepared("new");
  assertEquals(bench.recovery.replace(prepared, bench.parent, ORIGIN, before), "done");
  const muchLater = performance.now() + 60_000;
  bench.recovery.sweep(muchLater);
  assertEquals(bench.taken().length, 1);
  writer.writeSync(new TextEncoder().encode(", and more"));
  writer.close();
  bench.recovery.sweep(muchLater + 60_000);
  assertEquals(bench.contents(), ["new", "old, and more"]);
});

for (const end of ["a sweep", "a start"]) {
  Deno.test(`two names of one file are removed, and neither is back after ${end}`, () => {
    using bench = new Bench();
    bench.write("old");
    Deno.linkSync(`${bench.folder}/doc.txt`, `${bench.folder}/second.txt`);
    for (const name of ["doc.txt", "second.txt"]) {
      const origin = { ...ORIGIN, path: fromText(`folder/${name}`) as RelativePath };
      assertEquals(bench.recovery.remove(bench.parent, origin, bench.status(name), true), "done");
    }
    assertEquals(bench.taken().length, 2);
    if (end === "a start") bench.restart();
    bench.recovery.sweep(performance.now() + 60_000);
    assertEquals([bench.contents(), bench.taken()], [[], []]);
  });
}

Deno.test("crash after a replacement: the replaced version had been given up", () => {
  using bench = new Bench();
  const before = bench.write("old");
  using prepared = bench.prepared("new");
  bench.recovery.replace(prepared, bench.parent, ORIGIN, before);
  bench.restart();
  bench.recovery.sweep(performance.now() + 60_000);
  assertEquals([bench.contents(), bench.taken()], [["new"], []]);
});

Deno.test("I3: a start shortens nobody's time to write to a replaced file", () => {
  using bench = new Bench();
  const before = bench.write("old");
  using prepared = bench.prepared("new");
  bench.recovery.replace(prepared, bench.parent, ORIGIN, before);
  const [taken] = bench.taken();
  assert(taken !== undefined);
  bench.restart();
  bench.recovery.sweep(performance.now() + 1000);
  // By a guest that had looked it up before.
  Deno.writeTextFileSync(`${bench.path}/recovery/${taken}`, ", and more", { append: true });
  bench.restart();
  assertEquals([bench.contents(), bench.taken()], [["new", "old, and more"], []]);
});

Deno.test("crash before the exchange: our own clone is discarded", () => {
  using bench = new Bench();
  const before = bench.write("old");
  using prepared = bench.prepared("new");
  bench.recovery.replace(prepared, bench.parent, ORIGIN, before);
  // As if it had not happened yet: the clone back in recovery, the old version in its place.
  const [taken] = bench.taken();
  assert(taken !== undefined);
  Deno.renameSync(`${bench.folder}/doc.txt`, `${bench.path}/clone`);
  Deno.renameSync(`${bench.path}/recovery/${taken}`, `${bench.folder}/doc.txt`);
  Deno.renameSync(`${bench.path}/clone`, `${bench.path}/recovery/${taken}`);
  prepared.close();
  bench.restart();
  assertEquals([bench.contents(), bench.taken()], [["old"], []]);
});

Deno.test("I3: crash with a guest's change in recovery: it comes back, beside the newcomer", () => {
  using bench = new Bench();
  const before = bench.write("old");
  using writer = Deno.openSync(`${bench.folder}/doc.txt`, { write: true, append: true });
  using prepared = bench.prepared("new");
  bench.recovery.replace(prepared, bench.parent, ORIGIN, before);
  writer.writeSync(new TextEncoder().encode(", and more"));
  bench.restart();
  assertEquals([bench.contents(), bench.taken()], [["new", "old, and more"], []]);
});

Deno.test("I3: a guest's change comes back to where it was, if nothing took its place", () => {
  using bench = new Bench();
  const before = bench.write("old");
  using writer = Deno.openSync(`${bench.folder}/doc.txt`, { write: true, append: true });
  bench.recovery.remove(bench.parent, ORIGIN, before, true);
  writer.writeSync(new TextEncoder().encode(", and more"));
  bench.restart();
  assertEquals(Deno.readTextFileSync(`${bench.folder}/doc.txt`), "old, and more");
});

Deno.test("I3: what belongs to a share that is not there waits for it, over several starts", () => {
  using bench = new Bench();
  const before = bench.write("old");
  using writer = Deno.openSync(`${bench.folder}/doc.txt`, { write: true, append: true });
  bench.recovery.remove(bench.parent, ORIGIN, before, true);
  writer.writeSync(new TextEncoder().encode(", and more"));
  bench.place = undefined;
  bench.restart();
  bench.restart();
  assertEquals([bench.contents(), bench.taken().length], [[], 1]);
  bench.place = bench.share;
  bench.recovery.putBackWaiting();
  assertEquals([bench.contents(), bench.taken()], [["old, and more"], []]);
});

Deno.test("I3: what cannot be put back now is told, and put back later", () => {
  using bench = new Bench();
  const before = bench.write("old");
  using writer = Deno.openSync(`${bench.folder}/doc.txt`, { write: true, append: true });
  bench.recovery.remove(bench.parent, ORIGIN, before, true);
  writer.writeSync(new TextEncoder().encode(", and more"));
  // Another filesystem: nothing can be renamed there.
  using elsewhere = Directory.openTrusted(fromText("/proc"));
  bench.place = elsewhere;
  bench.recovery.sweep(0, true);
  assertEquals([bench.taken().length, bench.troubles.length], [1, 1]);
  bench.restart();
  assertEquals([bench.taken().length, bench.troubles.length], [1, 2]);
  bench.place = bench.share;
  bench.recovery.sweep(performance.now() + 60_000);
  assertEquals([bench.contents(), bench.taken()], [["old, and more"], []]);
});

Deno.test("I3, I6: the journal stays small under replacements without end, and still knows what lies there", () => {
  using bench = new Bench();
  const first = bench.write("first");
  using writer = Deno.openSync(`${bench.folder}/doc.txt`, { write: true, append: true });
  bench.recovery.remove(bench.parent, ORIGIN, first, true);
  let most = 0;
  for (let round = 0; round < 20_000; round++) {
    const path = fromText("folder/other.txt") as RelativePath;
    const before = bench.write("", "other.txt");
    bench.recovery.remove(bench.parent, { ...ORIGIN, path }, before, false);
    if (round % 100 > 0) continue;
    bench.recovery.sweep(0);
    most = Math.max(most, Deno.statSync(`${bench.path}/recovery/journal`).size);
  }
  assert(most < 300_000, `${most} bytes`);
  writer.writeSync(new TextEncoder().encode(", and more"));
  bench.restart();
  assertEquals([bench.contents(), bench.taken()], [["first, and more"], []]);
});

Deno.test("I6, I3: of too many replaced files the oldest are decided on at once, and nothing of them is lost", () => {
  const MOST = 4096;
  using bench = new Bench();
  const writers = new Map<number, Deno.FsFile>();
  for (let number = 0; number < MOST + 10; number++) {
    const name = `${number}`;
    const before = bench.write(name, name);
    const path = fromText(`folder/${name}`) as RelativePath;
    if ([3, 4, 50].includes(number)) {
      writers.set(
        number,
        Deno.openSync(`${bench.folder}/${name}`, { write: true, append: true }),
      );
    }
    bench.recovery.remove(bench.parent, { ...ORIGIN, path }, before, true);
  }
  const write = (number: number) => writers.get(number)?.writeSync(new Uint8Array([0x21]));
  // Of the ten that are too many one was written to after it had been taken out; another is only open for writing.
  write(3);
  bench.recovery.sweep(0);
  assertEquals(bench.contents(), ["3!"]);
  assertEquals([bench.recovery.lingering, bench.taken().length], [MOST, MOST]);
  bench.recovery.sweep(0);
  assertEquals(bench.recovery.lingering, MOST, "the others have their time");
  write(50);
  for (const writer of writers.values()) writer.close();
  bench.recovery.sweep(performance.now() + 60_000);
  assertEquals([bench.contents(), bench.taken()], [["3!", "50!"], []]);
});

Deno.test("I7: what is done with many removed files leaves others their turn", () => {
  using bench = new Bench();
  const sweep = () => bench.recovery.sweep(performance.now() + 60_000, false, 1);
  for (let number = 0; number < 1000; number++) {
    const before = bench.write(`${number}`);
    bench.recovery.remove(bench.parent, ORIGIN, before, true);
  }
  assert(sweep());
  assert(bench.recovery.lingering > 0);
  let turns = 1;
  while (sweep()) turns++;
  assert(turns < 1000, `${turns} turns`);
  assertEquals([bench.recovery.lingering, bench.taken()], [0, []]);
});

Deno.test("what is of unknown origin stays in recovery, and is told", () => {
  using bench = new Bench();
  Deno.writeTextFileSync(`${bench.path}/recovery/taken-7`, "whose?");
  bench.restart();
  assertEquals(bench.taken(), ["taken-7"]);
  assertEquals(bench.troubles.length, 1);
});

Deno.test("a power failure takes the journal's lines: what was to go goes, what changed stays and is told", () => {
  using bench = new Bench();
  const replaced = bench.write("replaced");
  {
    using newer = bench.prepared("newer");
    bench.recovery.replace(newer, bench.parent, ORIGIN, replaced);
  }
  bench.recovery.remove(bench.parent, ORIGIN, bench.status(), true);
  const [changed = ""] = bench.taken();
  Deno.writeTextFileSync(`${bench.path}/recovery/${changed}`, "changed before the power failed");
  Deno.removeSync(`${bench.path}/recovery/journal`);
  bench.restart();
  assertEquals(bench.troubles, [
    `recovery/${changed} is of unknown origin: kept there, have a look at it`,
  ]);
  bench.recovery.sweep(performance.now() + 60_000);
  assertEquals(bench.taken(), [changed]);
});

Deno.test("what was taken out is told by its name, whatever its size and time", () => {
  const uint = fc.nat({ max: Number.MAX_SAFE_INTEGER });
  const time = fc.bigInt({ min: -(2n ** 94n), max: 2n ** 94n });
  fc.assert(fc.property(uint, uint, uint, uint, time, (sequence, clone, inode, size, mtimeNs) => {
    const taken = { clone, expected: { inode, size, mtimeNs } };
    const name = nameOfTaken(sequence, taken);
    assertEquals(takenUnder(name), taken);
    assert(name.length <= 255);
  }));
});

Deno.test("a journal that was cut off or overwritten with garbage stops nothing", () => {
  using bench = new Bench();
  const before = bench.write("old");
  bench.recovery.remove(bench.parent, ORIGIN, before, true);
  const journal = `${bench.path}/recovery/journal`;
  const line = Deno.readTextFileSync(journal);
  Deno.writeTextFileSync(
    journal,
    `{"name":"taken-1","pa\n\0\0\n${line}{"name":"../x"}\n${line.slice(0, 30)}`,
  );
  bench.restart();
  bench.recovery.sweep(performance.now() + 60_000);
  assertEquals([bench.contents(), bench.taken()], [[], []]);
});

Deno.test("I3: a journal that is gone on with keeps its lines, and loses none to one that was cut off", () => {
  using bench = new Bench();
  const journal = `${bench.path}/recovery/journal`;
  const line = (name: string): JournalLine => ({
    ...ORIGIN,
    name: fileName(name),
  });
  Deno.removeSync(journal);
  const first = new RecoveryJournal(bench.recoveryDirectory);
  first.resume(); // there is none yet
  first.append(line("taken-1"));
  first.close();
  Deno.writeTextFileSync(journal, '{"name":"cut-o', { append: true });

  const second = new RecoveryJournal(bench.recoveryDirectory);
  second.resume();
  second.append(line("taken-2"));
  second.append(line("taken-3"));
  assertEquals([...second.read().keys()], ["taken-1", "taken-2", "taken-3"].map(fileName));
  second.close();
});

Deno.test("a name of 255 bytes finds room for its conflict copy", () => {
  using bench = new Bench();
  const name = fileName("x".repeat(250) + ".text");
  const origin = { ...ORIGIN, path: `folder/${name}` as RelativePath };
  const before = bench.write("old", name);
  using writer = Deno.openSync(`${bench.folder}/${name}`, { write: true, append: true });
  using prepared = bench.prepared("new");
  assertEquals(bench.recovery.replace(prepared, bench.parent, origin, before), "done");
  writer.writeSync(new TextEncoder().encode(", and more"));
  bench.recovery.sweep(0, true);
  assertEquals(bench.contents(), ["new", "old, and more"]);
});

/** As JSON it takes six times as many bytes. */
const ODD = Array(32).fill("\x01".repeat(249)).join("/") as RelativePath;

function* oddLines(count: number): Generator<JournalLine> {
  for (let number = 0; number < count; number++) {
    yield { ...ORIGIN, name: fileName(`taken-${number}`), path: ODD };
  }
}

Deno.test("I3: a journal is read, and gone on with, however long the paths in it have made it", () => {
  using bench = new Bench();
  const MANY = 1_500; // 72 MB
  const first = new RecoveryJournal(bench.recoveryDirectory);
  first.rewrite([...oddLines(MANY)]);
  first.close();
  const second = new RecoveryJournal(bench.recoveryDirectory);
  assertEquals(second.read().size, MANY);
  second.resume();
  const last = { ...ORIGIN, name: fileName("taken-last") };
  second.append(last);
  second.close();
  const third = new RecoveryJournal(bench.recoveryDirectory);
  const lines = third.read();
  assertEquals([lines.size, lines.get(last.name)], [MANY + 1, last]);
});

Deno.test("I7: a journal is written anew a little at a time, with what is appended meanwhile", () => {
  using bench = new Bench();
  const MANY = 300;
  const journal = new RecoveryJournal(bench.recoveryDirectory);
  journal.rewrite([]);
  const lines = [...oddLines(MANY)];
  let turns = 1;
  while (!journal.rewriteUntil(performance.now(), () => lines)) {
    journal.append({ ...ORIGIN, name: fileName(`during-${turns++}`) });
    if (turns > 10) continue;
    assertEquals(new RecoveryJournal(bench.recoveryDirectory).read().size, turns - 1);
  }
  assert(turns >= MANY, `${turns} turns`);
  journal.append({ ...ORIGIN, name: fileName("after") });
  journal.close();
  const read = new RecoveryJournal(bench.recoveryDirectory).read();
  assertEquals(read.size, MANY + turns);
});
