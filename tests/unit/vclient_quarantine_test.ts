/** The quarantine: what goes in, how it lies there, and what stays where it is. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess, assertMatch, assertRejects } from "@std/assert";
import {
  type ByteString,
  type FileName,
  fileName,
  fromText,
  toBytes,
} from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { ERRNO, SystemError } from "../../ffi/errno.ts";
import type { FileDescriptor } from "../../ffi/file_descriptor.ts";
import { type FileStatus, statusOf } from "../../ffi/file_status.ts";
import { type Kept, Quarantine } from "../../src/vclient/quarantine.ts";
import { must } from "../support/command.ts";
import { scratchDirectory } from "../support/scratch.ts";

function sizeOf(path: string): number {
  return Deno.statSync(path).size;
}

const CONTENT = "infected".repeat(1000);

class Bench implements Disposable {
  readonly shares = scratchDirectory("watched");
  readonly directory: string;
  readonly quarantine: Quarantine;
  readonly strays: string[] = [];
  parent: Directory;
  readonly #stack = new DisposableStack();

  /** `memory`: the quarantine is on another filesystem. */
  constructor(where: "disk" | "memory" = "disk") {
    this.directory = `${scratchDirectory("quarantine", where)}/made`;
    this.quarantine = Quarantine.open(fromText(this.directory), (one) => this.strays.push(one));
    this.parent = this.#stack.use(Directory.openTrusted(fromText(this.shares)));
  }

  path(name: FileName): string {
    return `${this.shares}/${name}`;
  }

  /** Writes a file, takes it for scanned, and puts it into quarantine. */
  async keep(
    name: FileName,
    { before, after }: { before?: () => void; after?: () => void } = {},
  ): Promise<Kept> {
    const created = this.parent.createFile(name, 0o640);
    created.close();
    using file = this.#open(name);
    using writable = await Deno.open(`/proc/self/fd/${file.fd}`, { write: true });
    writable.writeSync(new TextEncoder().encode(CONTENT));
    writable.utimeSync(1_000_000, 2_000_000);
    before?.();
    const status = this.parent.status(name);
    if (status === undefined) throw new Error("it is not there");
    after?.();
    return await this.#keep(name, file, status);
  }

  /** What is there, as it is. */
  async keepAgain(name: FileName): Promise<Kept> {
    using file = this.#open(name);
    return await this.#keep(name, file, statusOf(file));
  }

  /** Goes on in what is mounted at the watched directory by now. */
  openAgain(): void {
    this.parent = this.#stack.use(Directory.openTrusted(fromText(this.shares)));
  }

  #open(name: FileName): FileDescriptor {
    const opened = this.parent.openRegular(name);
    if (opened === undefined) throw new Error("it is not there");
    return opened.file;
  }

  async #keep(name: FileName, file: FileDescriptor, status: FileStatus): Promise<Kept> {
    const path = `${fromText(this.shares)}/${name}` as ByteString;
    const scanned = { parent: this.parent, name, file, status };
    return await this.quarantine.keep(scanned, { path, signature: "Bad.\\x1b[31m" });
  }

  /** There is no room for another one in quarantine. */
  refuseCopies(): void {
    const { createFile } = Directory.prototype;
    Directory.prototype.createFile = function (name, mode) {
      if (name.endsWith(".partial")) throw new SystemError("open", ERRNO.EDQUOT, name);
      return createFile.call(this, name, mode);
    };
    this.#stack.defer(this.admitCopies = () => Directory.prototype.createFile = createFile);
  }

  admitCopies = (): unknown => undefined;

  get kept(): string[] {
    return [...Deno.readDirSync(this.directory)].map(({ name }) => name).sort();
  }

  get watched(): string[] {
    return [...Deno.readDirSync(this.shares)].map(({ name }) => name).sort();
  }

  [Symbol.dispose](): void {
    this.quarantine.close();
    this.#stack.dispose();
  }
}

for (const where of ["disk", "memory"] as const) {
  const place = where === "disk" ? "the same filesystem" : "another filesystem";

  Deno.test(`${place}: mode 000, the whole content, and a JSON file beside it`, async () => {
    using bench = new Bench(where);
    const name = fileName("in voice\n.exe");
    const kept = await bench.keep(name);
    assert(kept.kind === "kept");
    assertMatch(kept.name, /^\d{8}T\d{6}-in_voice_x0a\.exe$/);
    assertEquals(bench.kept, [kept.name, `${kept.name}.json`]);
    assertEquals(bench.watched, []);
    const path = `${bench.directory}/${kept.name}`;
    const { mode, size, mtime } = Deno.statSync(path);
    assertEquals([(mode ?? 0) & 0o7777, size, mtime], [0, CONTENT.length, new Date(2e9)]);
    const about = JSON.parse(Deno.readTextFileSync(`${path}.json`));
    const original = fromText(bench.path(name));
    assertEquals(about.path, `${bench.shares}/in voice\\x0a.exe`);
    assertEquals(Uint8Array.fromHex(about.pathBytes), toBytes(original));
    assertEquals(about.signature, "Bad.\\x1b[31m");
    assertEquals([about.size, about.uid, about.gid, about.mode], [
      size,
      Deno.uid(),
      Deno.gid(),
      "0640",
    ]);
    assertEquals(new Date(about.time).toISOString(), about.time);
    assertEquals(bench.strays, []);
  });

  Deno.test(`${place}: nothing there is ever overwritten`, async () => {
    using bench = new Bench(where);
    const name = fileName("evil");
    const names = new Set<string>();
    for (let i = 0; i < 5; i++) {
      const kept = await bench.keep(name);
      assert(kept.kind === "kept");
      names.add(kept.name);
    }
    assertEquals([names.size, bench.kept.length], [5, 10]);
  });

  Deno.test(`I3: ${place}: what took the file's place stays, and nothing is kept`, async () => {
    using bench = new Bench(where);
    const name = fileName("evil");
    const kept = await bench.keep(name, {
      after() {
        Deno.renameSync(bench.path(name), `${bench.shares}/moved`);
        Deno.writeTextFileSync(bench.path(name), "innocent");
      },
    });
    assertEquals(kept, { kind: "changed" });
    assertEquals([bench.kept, bench.watched], [[], ["evil", "moved"]]);
    assertEquals(Deno.readTextFileSync(bench.path(name)), "innocent");
    assertEquals((Deno.statSync(`${bench.shares}/moved`).mode ?? 0) & 0o777, 0o640, "unlocked");
  });

  Deno.test(`I3: ${place}: a quarantine that fails leaves the file as it is`, async () => {
    using bench = new Bench(where);
    Deno.removeSync(bench.directory);
    const name = fileName("evil");
    await assertRejects(() => bench.keep(name), SystemError);
    assertEquals(Deno.readTextFileSync(bench.path(name)), CONTENT);
    assertEquals((Deno.statSync(bench.path(name)).mode ?? 0) & 0o777, 0o640);
  });
}

Deno.test("I6: a quarantine that is refused leaves no trace on the file: that would be news again", async () => {
  using bench = new Bench();
  const name = fileName("evil");
  bench.parent.rename = () => {
    throw new SystemError("renameat2", ERRNO.EPERM); // chattr +a
  };
  let before: FileStatus | undefined;
  const after = () => void (before = bench.parent.status(name));
  await assertRejects(() => bench.keep(name, { after }), SystemError, "EPERM");
  assertEquals([bench.parent.status(name), bench.kept], [before, []]);
});

for (const errno of [ERRNO.EXDEV, ERRNO.EDQUOT]) {
  Deno.test(`I6: a file that could not be moved (errno ${errno}) is not renamed again in vain`, async () => {
    using bench = new Bench();
    const name = fileName("evil");
    const refuse = () => {
      throw new SystemError("renameat2", errno); // another project's quota, say
    };
    let renames = 0;
    const { rename } = bench.parent;
    bench.parent.rename = (from, target, ...rest) => {
      renames++;
      if (target === bench.parent) rename.call(bench.parent, from, target, ...rest);
      else refuse();
    };
    bench.refuseCopies();
    await assertRejects(() => bench.keep(name), SystemError);
    assertEquals([renames, bench.watched, bench.kept], [3, ["evil"], []]);
    await assertRejects(() => bench.keepAgain(name), SystemError);
    assertEquals([renames, bench.watched, bench.kept], [3, ["evil"], []]);
    bench.admitCopies();
    assertEquals((await bench.keepAgain(name)).kind, "kept");
    assertEquals(bench.watched, []);
  });
}

Deno.test("a file that can neither be locked nor go back stays in quarantine, described", async () => {
  using bench = new Bench();
  const name = fileName("evil");
  const { rename } = bench.parent;
  bench.parent.rename = (from, target, ...rest) => {
    rename.call(bench.parent, from, target, ...rest);
    if (target === bench.parent) return;
    target.status = target.rename = () => {
      throw new SystemError("statx", ERRNO.EIO);
    };
  };
  const kept = await bench.keep(name);
  assert(kept.kind === "kept");
  assertEquals([bench.watched, bench.kept], [[], [kept.name, `${kept.name}.json`]]);
  const modes = bench.kept.map((one) =>
    (Deno.statSync(`${bench.directory}/${one}`).mode ?? 0) & 0o777
  );
  assertEquals(modes, [0, 0o600], "the next start looks after it");
  assertEquals(bench.strays.length, 1);
});

/** From now on nothing can be removed or renamed in a directory (chattr +a). */
function makeAppendOnly(path: string): Disposable {
  const { removeFile, rename } = Directory.prototype;
  const { ino } = Deno.statSync(path);
  const refuse = (directory: Directory, call: string, name: FileName) => {
    if (statusOf(directory).inode === ino) throw new SystemError(call, ERRNO.EPERM, name);
  };
  Directory.prototype.removeFile = function (name) {
    refuse(this, "unlink", name);
    return removeFile.call(this, name);
  };
  Directory.prototype.rename = function (name, ...rest) {
    refuse(this, "renameat2", name);
    rename.call(this, name, ...rest);
  };
  return { [Symbol.dispose]: () => Object.assign(Directory.prototype, { removeFile, rename }) };
}

Deno.test("I6: where nothing can be removed from the quarantine, no copy is begun, and nothing more is written", async () => {
  using bench = new Bench("memory");
  const name = fileName("evil");
  const refusal = /^in the quarantine, unlink \S+: EPERM/;
  const size = () => bench.kept.reduce((sum, one) => sum + sizeOf(`${bench.directory}/${one}`), 0);
  {
    using _ = makeAppendOnly(bench.directory);
    assertMatch((await assertRejects(() => bench.keep(name), SystemError)).message, refusal);
    const before = bench.kept;
    assertEquals(before.length, 2);
    assertLess(size(), CONTENT.length, "nothing was copied");
    for (let i = 0; i < 3; i++) {
      assertMatch((await assertRejects(() => bench.keepAgain(name), SystemError)).message, refusal);
    }
    assertEquals([bench.kept, bench.watched], [before, ["evil"]]);
    using stack = new DisposableStack();
    const next = Quarantine.open(fromText(bench.directory), () => {});
    stack.defer(() => next.close());
    next.recover();
    using file = bench.parent.openRegular(name)?.file;
    assert(file !== undefined);
    const scanned = { parent: bench.parent, name, file, status: statusOf(file) };
    const again = () => next.keep(scanned, { path: fromText("/x"), signature: "Bad" });
    assertMatch((await assertRejects(again, SystemError)).message, refusal);
    assertEquals([bench.kept, bench.watched], [before, ["evil"]], "nor after another start");
  }
  const kept = await bench.keepAgain(name);
  assert(kept.kind === "kept");
  assertEquals([bench.kept, bench.watched], [[kept.name, `${kept.name}.json`], []]);
});

Deno.test("what failed is told, not what could not be cleared up after it; that is done later", async () => {
  for (const where of ["disk", "memory"] as const) {
    using bench = new Bench(where);
    const name = fileName("evil");
    {
      using stack = new DisposableStack();
      const { rename } = bench.parent;
      bench.parent.rename = () => {
        stack.use(makeAppendOnly(bench.directory));
        throw new SystemError("renameat2", ERRNO.EIO);
      };
      await assertRejects(() => bench.keep(name), SystemError, "EIO");
      bench.parent.rename = rename;
    }
    assert(bench.kept.length > 0);
    const kept = await bench.keepAgain(name);
    assert(kept.kind === "kept");
    assertEquals([bench.kept, bench.watched], [[kept.name, `${kept.name}.json`], []]);
  }
});

Deno.test("a quarantine that was removed and made again is used", async () => {
  using bench = new Bench();
  await bench.keep(fileName("first"));
  Deno.removeSync(bench.directory, { recursive: true });
  await assertRejects(() => bench.keep(fileName("second")), SystemError, "ENOENT");
  Deno.mkdirSync(bench.directory);
  await bench.keep(fileName("third"));
  assertEquals(bench.kept.length, 2, String(bench.kept));
});

Deno.test({
  name: "a quarantine is where its path leads, also when its file system is mounted or detached",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    using bench = new Bench();
    await bench.keep(fileName("before"));
    await must("mount", ["-t", "tmpfs", "none", bench.directory]);
    try {
      await bench.keep(fileName("mounted"));
      assertEquals(bench.kept.length, 2, String(bench.kept));
    } finally {
      await must("umount", ["--lazy", bench.directory]);
    }
    await bench.keep(fileName("detached"));
    assertEquals(bench.kept.length, 4, String(bench.kept));
  },
});

Deno.test("what is on its way into a quarantine when another one takes its place arrives, with its description", async () => {
  using bench = new Bench("memory");
  const [first, second] = [fileName("first"), fileName("second")];
  for (const name of [first, second]) Deno.writeTextFileSync(bench.path(name), CONTENT);
  const keeping = bench.keepAgain(first);
  const moved = `${bench.directory}.moved`;
  Deno.renameSync(bench.directory, moved);
  Deno.mkdirSync(bench.directory);
  const outcomes = await Promise.all([keeping, bench.keepAgain(second)]);
  for (const kept of outcomes) {
    assert(kept.kind === "kept");
    const modes = [kept.name, `${kept.name}.json`].map((name) =>
      (Deno.statSync(`${moved}/${name}`).mode ?? 0) & 0o777
    );
    assertEquals(modes, [0, 0o400]);
  }
  assertEquals([bench.kept, bench.watched], [[], []]);
  await bench.keep(fileName("third"));
  assertEquals(bench.kept.length, 2, String(bench.kept));
});

Deno.test(
  "I2: a quarantine that was moved is used as long as what takes its place is another user's",
  {
    ignore: Deno.uid() !== 0,
  },
  async () => {
    using bench = new Bench();
    const moved = `${bench.directory}.moved`;
    Deno.renameSync(bench.directory, moved);
    await bench.keep(fileName("first"));
    Deno.mkdirSync(bench.directory);
    Deno.chownSync(bench.directory, 65534, 65534);
    await bench.keep(fileName("second"));
    assertEquals([[...Deno.readDirSync(moved)].length, bench.kept], [4, []]);
  },
);

Deno.test({
  name: "I6: what lies on a read-only file system is not copied in vain, and that is told",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    using bench = new Bench();
    const name = fileName("evil");
    Deno.writeTextFileSync(bench.path(name), CONTENT);
    await must("mount", ["--bind", "--options", "ro", bench.shares, bench.shares]);
    try {
      bench.openAgain();
      bench.refuseCopies();
      await assertRejects(() => bench.keepAgain(name), SystemError, "read-only");
      assertEquals(bench.kept, []);
    } finally {
      await must("umount", ["--lazy", bench.shares]);
    }
  },
});

Deno.test("a file that has other names is copied: they do not lead into the quarantine", async () => {
  using bench = new Bench();
  const name = fileName("evil");
  const other = `${bench.shares}/other`;
  const kept = await bench.keep(name, { before: () => Deno.linkSync(bench.path(name), other) });
  assert(kept.kind === "kept");
  const there = Deno.statSync(`${bench.directory}/${kept.name}`);
  assert(there.ino !== Deno.statSync(other).ino);
  assertEquals([bench.watched, there.nlink, there.size], [["other"], 1, CONTENT.length]);
});

Deno.test("the longest names are kept too, whatever bytes they have, with room for more on eCryptfs", async () => {
  using bench = new Bench();
  for (const character of ["x", "\xff", "\n"]) {
    const kept = await bench.keep(character.repeat(255) as FileName);
    assert(kept.kind === "kept");
    assertMatch(kept.name, /^[A-Za-z0-9._-]{1,250}$/);
    assertLess(kept.name.length, 143 - "-1000".length - ".partial".length);
  }
  assertEquals(bench.watched, []);
});

const OWN = "20261121T104955-evil";
const DESCRIPTION = JSON.stringify({ path: "/x/evil", pathBytes: "2f782f6576696c" }, null, 2);
const ANOTHER = 65534;

interface Left {
  readonly text: string;
  readonly mode: number;
  readonly owner?: number;
}

/** What the next start makes of what lies in the quarantine: paths that are looked at again, and what is left. */
function recovered(files: Readonly<Record<string, Left>>): {
  readonly told: readonly ByteString[];
  readonly left: Readonly<Record<string, Left>>;
} {
  using bench = new Bench();
  for (const [name, { text, mode, owner }] of Object.entries(files)) {
    const path = `${bench.directory}/${name}`;
    Deno.writeTextFileSync(path, text);
    if (owner !== undefined) Deno.chownSync(path, owner, owner);
    Deno.chmodSync(path, mode);
  }
  const told = bench.quarantine.recover();
  const left = Object.fromEntries(bench.kept.map((name) => {
    const path = `${bench.directory}/${name}`;
    const { mode, uid } = Deno.statSync(path);
    const owner = uid === Deno.uid() ? {} : { owner: uid ?? -1 };
    Deno.chmodSync(path, 0o600);
    return [name, { text: Deno.readTextFileSync(path), mode: (mode ?? 0) & 0o777, ...owner }];
  }));
  return { told, left };
}

Deno.test("files of somebody who uses the directory are left as they are", () => {
  for (
    const files of [
      { "settings.json": { text: '{"my":"settings"}', mode: 0o600 } },
      { "report.json": { text: "{}", mode: 0o600 }, report: { text: "data", mode: 0o600 } },
      { "x.json": { text: "", mode: 0o600 }, "x.partial": { text: "part", mode: 0o600 } },
      { "x.json": { text: DESCRIPTION, mode: 0o600 } },
      { [`${OWN}.json`]: { text: '{"my":"settings"}', mode: 0o600 } },
      { [`${OWN}.json`]: { text: "my notes", mode: 0o600 } },
      { [`${OWN}.json`]: { text: '{\n  "path": "mine"\n}', mode: 0o600 } },
      { [`${OWN}.json`]: { text: '{"pathBytes":"zz"}', mode: 0o600 } },
      { [`${OWN}.json`]: { text: DESCRIPTION, mode: 0o644 } },
      {
        [`${OWN}.json`]: { text: "{}", mode: 0o600 },
        [OWN]: { text: "data", mode: 0o600 },
        [`${OWN}.partial`]: { text: "", mode: 0 },
      },
      { [`${OWN}.partial`]: { text: "", mode: 0 } },
    ]
  ) {
    assertEquals(recovered(files), { told: [], left: files });
  }
});

Deno.test({ name: "files of another owner are left as they are", ignore: Deno.uid() !== 0 }, () => {
  for (const text of ["", DESCRIPTION]) {
    const files = {
      [`${OWN}.json`]: { text, mode: 0o600, owner: ANOTHER },
      [OWN]: { text: "data", mode: 0o600 },
      [`${OWN}.partial`]: { text: "", mode: 0 },
    };
    assertEquals(recovered(files), { told: [], left: files });
  }
});

Deno.test("the next start removes what was begun, and tells where", () => {
  const path = fromText("/x/evil");
  const described = { [`${OWN}.json`]: { text: DESCRIPTION, mode: 0o600 } };
  assertEquals(recovered(described), { told: [path], left: {} });
  const copied = { ...described, [`${OWN}.partial`]: { text: "the beg", mode: 0 } };
  assertEquals(recovered(copied), { told: [path], left: {} });
  const another = { [`${OWN}.partial`]: { text: "somebody's", mode: 0o600 } };
  assertEquals(recovered({ ...described, ...another }), { told: [path], left: another });
});

Deno.test("a description that was not written yet is removed, unless more has its name", () => {
  for (const name of [OWN, `${OWN.slice(0, 15)}-2-evil`]) {
    for (const text of ["", DESCRIPTION.slice(0, 5), DESCRIPTION.slice(0, -5), "\0\0"]) {
      const begun = { [`${name}.json`]: { text, mode: 0o600 } };
      assertEquals(recovered(begun), { told: [], left: {} });
      const empty = { ...begun, [`${name}.partial`]: { text: "", mode: 0 } };
      assertEquals(recovered(empty), { told: [], left: {} });
      const more = { ...begun, [`${name}.partial`]: { text: "more", mode: 0 } };
      assertEquals(recovered(more), { told: [], left: more });
    }
  }
});

Deno.test("I1: a file that was moved in is locked at the next start, whatever its description tells", () => {
  for (const text of [DESCRIPTION, DESCRIPTION.slice(0, -5), ""]) {
    const { told, left } = recovered({
      [`${OWN}.json`]: { text, mode: 0o600 },
      [OWN]: { text: "infected", mode: 0o640 },
    });
    assertEquals(left, {
      [OWN]: { text: "infected", mode: 0 },
      [`${OWN}.json`]: { text, mode: 0o400 },
    });
    assertEquals(told, text === DESCRIPTION ? [fromText("/x/evil")] : []);
  }
});
