/** Infected files are taken away by identity: only the very file that was scanned. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { type FileName, fileName, fromText, toBytes } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { ERRNO, SystemError } from "../../ffi/errno.ts";
import { remove, type ScannedFile } from "../../src/vclient/removal.ts";
import { scratchDirectory } from "../support/scratch.ts";

const NAME = fileName("evil");

/** A directory in which something happens at the last moment before a rename. */
class Eventful extends Directory {
  readonly events: (() => void)[] = [];

  override rename(name: FileName, target: Directory, targetName: FileName, flags?: number): void {
    this.events.shift()?.();
    super.rename(name, target, targetName, flags);
  }
}

class Bench implements Disposable {
  readonly path = scratchDirectory("removal");
  readonly strays: string[] = [];
  readonly parent: Eventful;
  readonly #stack = new DisposableStack();

  constructor() {
    using opened = Directory.openTrusted(fromText(this.path));
    // Its own descriptor, in another class.
    const duplicate = opened.duplicate();
    this.parent = this.#stack.use(new Eventful(duplicate.fd));
    this.write(NAME, "infected");
  }

  write(name: string, text: string): void {
    Deno.writeTextFileSync(`${this.path}/${name}`, text);
  }

  read(name: string): string | undefined {
    try {
      return Deno.readTextFileSync(`${this.path}/${name}`);
    } catch {
      return undefined; // not there
    }
  }

  get names(): string[] {
    return [...Deno.readDirSync(this.path)].map(({ name }) => name).sort();
  }

  scanned(name = NAME): ScannedFile {
    const opened = this.parent.openRegular(name);
    if (opened === undefined) throw new Error("it is not there");
    this.#stack.use(opened.file);
    return { parent: this.parent, name: NAME, ...opened };
  }

  remove(scanned = this.scanned()): string {
    return remove(scanned, (message) => this.strays.push(message));
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

Deno.test("the file that was scanned is removed, and nothing is left", () => {
  using bench = new Bench();
  bench.write("other", "clean");
  assertEquals(bench.remove(), "done");
  assertEquals(bench.names, ["other"]);
});

Deno.test("I3: a file that took its place after the scan survives", () => {
  for (
    const replace of [
      (bench: Bench) => bench.write(NAME, "innocent"),
      (bench: Bench) => {
        bench.write("new", "innocent");
        Deno.renameSync(`${bench.path}/new`, `${bench.path}/${NAME}`);
      },
      (bench: Bench) => {
        Deno.removeSync(`${bench.path}/${NAME}`);
        bench.write(NAME, "innocent");
      },
    ]
  ) {
    using bench = new Bench();
    const scanned = bench.scanned();
    replace(bench);
    assertEquals(bench.remove(scanned), "changed");
    assertEquals([bench.names, bench.read(NAME)], [[NAME], "innocent"]);
  }
});

Deno.test("I3: a file that takes its place at the last moment is put back", () => {
  using bench = new Bench();
  bench.write("new", "innocent");
  const scanned = bench.scanned();
  bench.parent.events.push(() => Deno.renameSync(`${bench.path}/new`, `${bench.path}/${NAME}`));
  assertEquals(bench.remove(scanned), "changed");
  assertEquals([bench.names, bench.read(NAME)], [[NAME], "innocent"]);
  assertEquals(bench.strays, []);
});

Deno.test("I3: and beside a newcomer, if its name is taken again by then", () => {
  using bench = new Bench();
  bench.write("new", "innocent");
  const scanned = bench.scanned();
  bench.parent.events.push(
    () => Deno.renameSync(`${bench.path}/new`, `${bench.path}/${NAME}`),
    () => bench.write(NAME, "newcomer"),
  );
  assertEquals(bench.remove(scanned), "changed");
  assertEquals(bench.names, [NAME, `${NAME}.restored-1`]);
  assertEquals([bench.read(NAME), bench.read(`${NAME}.restored-1`)], ["newcomer", "innocent"]);
  assertMatch(bench.strays.join(), /evil was replaced .* is now evil\.restored-1/);
});

Deno.test("I3: the hidden name tells the file's own, as far as there is room", () => {
  for (const length of [4, 223, 224, 255]) {
    using bench = new Bench();
    const name = fileName("x".repeat(length));
    bench.parent.rename(NAME, bench.parent, name);
    const scanned = { ...bench.scanned(name), name };
    let seen: string[] = [];
    const removeFile = bench.parent.removeFile.bind(bench.parent);
    bench.parent.removeFile = (hidden) => {
      seen = bench.names;
      return removeFile(hidden);
    };
    assertEquals(bench.remove(scanned), "done");
    const [hidden = ""] = seen;
    assertMatch(hidden, /^\.clamd-vclient-[0-9a-f]{16}-x+$/);
    assertEquals(hidden.length, Math.min(255, length + 32));
  }
});

/** A file system whose names have at most `most` bytes, and are UTF-8. */
function strictNames(bench: Bench, most: number, seen: string[] = []): void {
  const rename = bench.parent.rename.bind(bench.parent);
  bench.parent.rename = (from, target, to, flags) => {
    if (to.length > most) throw new SystemError("renameat2", ERRNO.ENAMETOOLONG);
    new TextDecoder("utf-8", { fatal: true }).decode(toBytes(to)); // throws
    seen.push(to);
    rename(from, target, to, flags);
  };
}

Deno.test("malware with the longest name of a file system with short ones is removed, too", () => {
  for (
    const [text, most] of [["x".repeat(143), 143], ["ü".repeat(71), 143], [
      "試".repeat(85),
      255,
    ]] as const
  ) {
    using bench = new Bench();
    const seen: string[] = [];
    const name = fileName(text);
    bench.parent.rename(NAME, bench.parent, name);
    strictNames(bench, most, seen);
    assertEquals(bench.remove({ ...bench.scanned(name), name }), "done");
    assertEquals(bench.names, []);
    const [hidden = ""] = seen;
    assertMatch(hidden, /^\.clamd-vclient-[0-9a-f]{16}-/);
    assert(name.startsWith(hidden.slice(32)) && hidden.length > most - 3, hidden);
  }
});

Deno.test("I3: an innocent file whose name has no room for more is put back beside a newcomer", () => {
  for (const [text, most] of [["x".repeat(143), 143], ["試".repeat(85), 255]] as const) {
    using bench = new Bench();
    const name = fileName(text);
    bench.parent.rename(NAME, bench.parent, name);
    bench.write("new", "innocent");
    const scanned = { ...bench.scanned(name), name };
    strictNames(bench, most);
    bench.parent.events.push(
      () => Deno.renameSync(`${bench.path}/new`, `${bench.path}/${text}`),
      () => bench.write(text, "newcomer"),
    );
    assertEquals(bench.remove(scanned), "changed");
    const [beside = ""] = bench.names.filter((one) => one !== text);
    assertMatch(beside, /^(x+|試+)\.restored-1$/);
    assertEquals([bench.read(text), bench.read(beside)], ["newcomer", "innocent"]);
  }
});

Deno.test("I3: content written at the last moment is a change too", () => {
  using bench = new Bench();
  const scanned = bench.scanned();
  bench.parent.events.push(() => bench.write(NAME, "innocent"));
  assertEquals(bench.remove(scanned), "changed");
  assertEquals([bench.names, bench.read(NAME)], [[NAME], "innocent"]);
});

Deno.test("a file that is gone, or a link or directory in its place, is left alone", () => {
  for (
    const replace of [
      () => {},
      (path: string) => Deno.mkdirSync(path),
      (path: string) => Deno.symlinkSync("/etc/hostname", path),
    ]
  ) {
    using bench = new Bench();
    const path = `${bench.path}/${NAME}`;
    const scanned = bench.scanned();
    bench.parent.events.push(() => {
      Deno.removeSync(path);
      replace(path);
    });
    assertEquals(bench.remove(scanned), "changed");
    assertEquals(bench.names.filter((name) => name !== NAME), []);
  }
});

Deno.test("a file that somebody takes from its hidden name is not said to be removed", () => {
  using bench = new Bench();
  const removeFile = bench.parent.removeFile.bind(bench.parent);
  bench.parent.removeFile = (hidden) => {
    Deno.renameSync(`${bench.path}/${hidden}`, `${bench.path}/saved`);
    return removeFile(hidden);
  };
  assertEquals([bench.remove(), bench.names], ["changed", ["saved"]]);
});

Deno.test("of a file with several names only the one that was scanned goes", () => {
  using bench = new Bench();
  Deno.linkSync(`${bench.path}/${NAME}`, `${bench.path}/link`);
  assertEquals(bench.remove(), "done");
  assertEquals([bench.names, bench.read("link")], [["link"], "infected"]);
});

Deno.test("a filesystem without RENAME_NOREPLACE is served too", () => {
  using bench = new Bench();
  const refuse = () => {
    throw new SystemError("renameat2", ERRNO.EINVAL);
  };
  bench.parent.events.push(refuse);
  assertEquals(bench.remove(), "done");
  assertEquals(bench.names, []);
});

Deno.test("malware is removed also where the disk has no room for another name, and nothing else is", () => {
  for (const taken of [false, true]) {
    using bench = new Bench();
    const scanned = bench.scanned();
    bench.parent.events.push(() => {
      if (taken) bench.write(NAME, "innocent");
      throw new SystemError("renameat2", ERRNO.ENOSPC);
    });
    assertEquals(bench.remove(scanned), taken ? "changed" : "done");
    assertEquals(bench.read(NAME), taken ? "innocent" : undefined);
  }
});

Deno.test("a removal that fails is told, and the file is in its place", () => {
  using bench = new Bench();
  bench.parent.events.push(() => {
    throw new SystemError("renameat2", ERRNO.EACCES);
  });
  assertThrows(() => bench.remove(), SystemError, "EACCES");
  assert(bench.read(NAME) === "infected");
});
