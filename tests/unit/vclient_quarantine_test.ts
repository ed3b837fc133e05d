/** The quarantine: what goes in, how it lies there, and what stays where it is. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  type ByteString,
  type FileName,
  fileName,
  fromText,
  toBytes,
} from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { ERRNO, SystemError } from "../../ffi/errno.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import { type Kept, Quarantine } from "../../src/vclient/quarantine.ts";
import { scratchDirectory } from "../support/scratch.ts";

const CONTENT = "infected".repeat(100);

class Bench implements Disposable {
  readonly shares = scratchDirectory("watched");
  readonly directory: string;
  readonly quarantine: Quarantine;
  readonly strays: string[] = [];
  readonly parent: Directory;
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
    const opened = this.parent.openRegular(name);
    if (opened === undefined) throw new Error("it is not there");
    using file = opened.file;
    using writable = await Deno.open(`/proc/self/fd/${file.fd}`, { write: true });
    writable.writeSync(new TextEncoder().encode(CONTENT));
    writable.utimeSync(1_000_000, 2_000_000);
    before?.();
    const status = this.parent.status(name);
    if (status === undefined) throw new Error("it is not there");
    after?.();
    const path = `${fromText(this.shares)}/${name}` as ByteString;
    const scanned = { parent: this.parent, name, file, status };
    return await this.quarantine.keep(scanned, { path, signature: "Bad.\\x1b[31m" });
  }

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

Deno.test("a quarantine that was removed and made again is used", async () => {
  using bench = new Bench();
  await bench.keep(fileName("first"));
  Deno.removeSync(bench.directory, { recursive: true });
  await assertRejects(() => bench.keep(fileName("second")), SystemError, "ENOENT");
  Deno.mkdirSync(bench.directory);
  await bench.keep(fileName("third"));
  assertEquals(bench.kept.length, 2, String(bench.kept));
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

Deno.test("the longest names are kept too, whatever bytes they have", async () => {
  using bench = new Bench();
  for (const character of ["x", "\xff", "\n"]) {
    const kept = await bench.keep(character.repeat(255) as FileName);
    assert(kept.kind === "kept");
    assertMatch(kept.name, /^[A-Za-z0-9._-]{1,250}$/);
  }
  assertEquals(bench.watched, []);
});
