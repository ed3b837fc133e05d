/** What is done with one file, by the verdict and by what became of the file meanwhile. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch } from "@std/assert";
import { type FileName, fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { ERRNO, SystemError } from "../../ffi/errno.ts";
import type { Scanner, Verdict } from "../../src/scanning/scanner.ts";
import { deleting, type Disposal, leaving } from "../../src/vclient/disposal.ts";
import { Inspector, type Next, type Occasion } from "../../src/vclient/inspector.ts";
import { scratchDirectory } from "../support/scratch.ts";

const EVIL: Verdict = { kind: "infected", signature: "Bad" };
const NAME = fileName("file");

class Bench implements Disposable {
  readonly path = scratchDirectory("inspector");
  readonly root = Directory.openTrusted(fromText(this.path));
  readonly told: string[] = [];
  readonly inspector: Inspector;
  verdict: Verdict = { kind: "clean" };
  scans = 0;
  /** Happens while the file is scanned. */
  meanwhile: () => void = () => {};

  constructor(disposal: Disposal = deleting(() => {})) {
    const scanner: Scanner = {
      concurrency: 1,
      isDown: false,
      scan: () => {
        this.scans++;
        this.meanwhile();
        return Promise.resolve(this.verdict);
      },
      check: () => Promise.resolve({ available: true, version: "" }),
      onRecovery() {},
      close() {},
    };
    this.inspector = new Inspector(scanner, disposal, {
      malware: (path, signature) => this.told.push(`malware ${signature} ${path}`),
      disposed: (_path, _signature, consequence) => this.told.push(consequence),
      disposalFailed: (_path, _signature, reason) => this.told.push(`failed ${reason}`),
      scanError: (_path, reason) => this.told.push(`error ${reason}`),
      unstable: () => this.told.push("unstable"),
      restored: () => this.told.push("restored"),
    });
  }

  write(text = "content", name: FileName = NAME): void {
    Deno.writeTextFileSync(`${this.path}/${name}`, text);
  }

  has(name: FileName = NAME): boolean {
    return this.root.status(name) !== undefined;
  }

  inspect(
    path: RelativePath = NAME,
    occasion: Partial<Occasion> = {},
  ): Promise<Next> {
    const ordinary = { again: false, isOneOfMany: false, closed: false, used: false };
    return this.inspector.inspect(this.root, path, fromText("/shown"), {
      ...ordinary,
      ...occasion,
    });
  }

  [Symbol.dispose](): void {
    this.root.close();
  }
}

Deno.test("a clean file is scanned once, a changed or renamed one again", async () => {
  using bench = new Bench();
  bench.write();
  for (let i = 0; i < 3; i++) assertEquals(await bench.inspect(), "done");
  assertEquals(bench.scans, 1);
  bench.write("changed");
  await bench.inspect();
  assertEquals(bench.scans, 2);
  Deno.renameSync(`${bench.path}/file`, `${bench.path}/renamed`);
  await bench.inspect(fileName("renamed"));
  assertEquals(bench.scans, 3);
  Deno.chmodSync(`${bench.path}/renamed`, 0o600);
  await bench.inspect(fileName("renamed"));
  assertEquals([bench.scans, bench.told], [4, []]);
});

Deno.test("what a writer has closed is scanned, although its times and size are known to be clean", async () => {
  using bench = new Bench();
  bench.write();
  await bench.inspect();
  bench.verdict = EVIL;
  assertEquals([await bench.inspect(), bench.scans, bench.has()], ["done", 1, true]);
  await bench.inspect(NAME, { closed: true });
  assertEquals([bench.scans, bench.has()], [2, false]);
});

Deno.test("I1: what is open for writing is not known to be clean: its closing may be told to nobody", async () => {
  using bench = new Bench();
  bench.write();
  {
    using _writer = Deno.openSync(`${bench.path}/file`, { write: true });
    for (let i = 0; i < 2; i++) await bench.inspect();
    const status = bench.root.status(NAME);
    assert(status !== undefined && !bench.inspector.isSettled(status));
    assertEquals(bench.scans, 2);
  }
  for (let i = 0; i < 2; i++) await bench.inspect();
  assertEquals([bench.scans, bench.told], [3, []]);
});

Deno.test("a scan that was asked for by a writer's close and failed is made up for", async () => {
  using bench = new Bench();
  bench.write();
  await bench.inspect();
  bench.verdict = { kind: "error", reason: "timeout" };
  assertEquals(await bench.inspect(NAME, { closed: true }), "later");
  bench.verdict = EVIL;
  await bench.inspect(NAME, { again: true });
  assert(!bench.has());
});

Deno.test("what is gone, empty, a link or no file is nobody's business, and nobody is told", async () => {
  using bench = new Bench();
  bench.verdict = EVIL;
  bench.write("");
  Deno.writeTextFileSync(`${bench.path}/target`, "content");
  Deno.symlinkSync("target", `${bench.path}/link`);
  Deno.mkdirSync(`${bench.path}/directory`);
  Deno.symlinkSync("directory", `${bench.path}/linked`);
  Deno.writeTextFileSync(`${bench.path}/directory/in`, "content");
  const paths = ["file", "none", "link", "directory", "linked/in", "none/in"];
  for (const path of paths) {
    assertEquals(await bench.inspect(fromText(path) as RelativePath), "done", path);
  }
  assertEquals([bench.scans, bench.told], [0, []]);
  assert(bench.has(fileName("target")));
});

Deno.test("I3: what was taken out when a process was killed has its name again before it is scanned", async () => {
  using bench = new Bench();
  const hidden = (own: string) => fileName(`.clamd-vclient-0123456789abcdef-${own}`);
  bench.write("mine", hidden("own name"));
  assertEquals(await bench.inspect(hidden("own name")), "done");
  assertEquals([bench.has(fileName("own name")), bench.scans], [true, 0]);
  bench.write("another", hidden("own name"));
  await bench.inspect(hidden("own name"));
  for (const [name, text] of [["own name", "mine"], ["own name.restored-1", "another"]] as const) {
    assertEquals(Deno.readTextFileSync(`${bench.path}/${name}`), text);
  }
  for (const none of [hidden(".."), fileName(".clamd-vclient-mine")]) {
    bench.write("not taken out", none);
    await bench.inspect(none);
    assert(bench.has(none));
  }
  assertEquals([bench.scans, bench.told], [2, ["restored", "restored"]]);
});

Deno.test("an infected file is told of and removed", async () => {
  using bench = new Bench();
  bench.write();
  bench.verdict = EVIL;
  assertEquals(await bench.inspect(), "done");
  assert(!bench.has());
  assertEquals(bench.told, ["malware Bad /shown", "deleted"]);
  assertEquals(bench.inspector.counts, { scanned: 1, infected: 1, failed: 0 });
});

Deno.test("with --action log it stays, and is told of once for each version", async () => {
  using bench = new Bench(leaving);
  bench.write();
  bench.verdict = EVIL;
  for (let i = 0; i < 3; i++) assertEquals(await bench.inspect(), "done");
  assertEquals([bench.scans, bench.told.length], [1, 2]);
  assertMatch(bench.told.join(), /malware Bad \/shown,left in place/);
  bench.write("another");
  await bench.inspect();
  assertEquals([bench.told.length, bench.has()], [4, true]);
});

Deno.test("I3: whatever the verdict, a file that changed meanwhile is scanned again first", async () => {
  const verdicts: Verdict[] = [
    { kind: "clean" },
    EVIL,
    { kind: "error", reason: "no" },
    { kind: "unscannable", reason: "large" },
  ];
  for (const verdict of verdicts) {
    using bench = new Bench();
    bench.write();
    bench.verdict = verdict;
    bench.meanwhile = () => bench.write("innocent");
    assertEquals(await bench.inspect(), "soon");
    assertEquals([bench.has(), bench.told], [true, ["unstable"]]);
  }
});

Deno.test("malware that is written again during every scan is removed with the third verdict in a row", async () => {
  using bench = new Bench();
  bench.write();
  bench.meanwhile = () => bench.write(`${bench.scans} times bad`);
  for (const verdict of [EVIL, EVIL, { kind: "clean" } as const, EVIL, EVIL]) {
    bench.verdict = verdict;
    assertEquals([await bench.inspect(), bench.has()], ["soon", true]);
  }
  bench.told.length = 0;
  assertEquals([await bench.inspect(), bench.has()], ["done", false]);
  assertEquals(bench.told, ["malware Bad /shown", "deleted"]);
});

Deno.test("I3: not even then is what took its place touched", async () => {
  using bench = new Bench();
  bench.verdict = EVIL;
  for (let i = 0; i < 10; i++) {
    bench.write("innocent", fileName("new"));
    Deno.renameSync(`${bench.path}/new`, `${bench.path}/file`);
    bench.meanwhile = () => {
      Deno.truncateSync(`${bench.path}/file`, 3);
      bench.write("innocent", fileName("new"));
      Deno.renameSync(`${bench.path}/new`, `${bench.path}/file`);
    };
    assertEquals(await bench.inspect(), "soon");
    assertEquals(Deno.readTextFileSync(`${bench.path}/file`), "innocent");
  }
});

Deno.test("I3: a file that took its place meanwhile is not touched", async () => {
  using bench = new Bench();
  bench.write();
  bench.verdict = EVIL;
  bench.meanwhile = () => {
    bench.write("innocent", fileName("new"));
    Deno.renameSync(`${bench.path}/new`, `${bench.path}/file`);
  };
  assertEquals(await bench.inspect(), "soon");
  assertEquals(Deno.readTextFileSync(`${bench.path}/file`), "innocent");
});

Deno.test("a file without a verdict is told of once, not deleted, and tried again", async () => {
  using bench = new Bench();
  bench.write();
  bench.verdict = { kind: "error", reason: "nobody \\x1b there" };
  for (let i = 0; i < 3; i++) assertEquals(await bench.inspect(), "later");
  assertEquals([bench.has(), bench.told], [true, ["error nobody \\x1b there"]]);
  bench.verdict = { kind: "unscannable", reason: "large" };
  bench.write("large");
  assertEquals(await bench.inspect(), "much-later");
  const status = bench.root.status(NAME);
  assert(
    status !== undefined && bench.inspector.isUnscannable(status),
    "reading the tree finds no news",
  );
  bench.verdict = EVIL;
  assertEquals([await bench.inspect(), bench.has()], ["done", false], "a look at the path does");
});

Deno.test("a removal that fails is told once and tried again", async () => {
  using bench = new Bench({
    dispose() {
      throw new SystemError("renameat2", ERRNO.EROFS);
    },
    takesAway: true,
    keepsIn: () => false,
  });
  bench.write();
  bench.verdict = EVIL;
  for (let i = 0; i < 3; i++) assertEquals(await bench.inspect(), "later");
  assertMatch(bench.told.join(), /^malware Bad \/shown,failed renameat2: EROFS[^,]*$/);
  assert(bench.has());
});

Deno.test("a file that cannot be opened is an error, told at the first attempt", async () => {
  using bench = new Bench();
  Deno.mkdirSync(`${bench.path}/d`);
  bench.root.openBeneath = () => {
    throw new SystemError("openat2", ERRNO.EACCES);
  };
  const path = fromText("d/file") as RelativePath;
  assertEquals([await bench.inspect(path), await bench.inspect(path, { again: true })], [
    "later",
    "later",
  ]);
  assertMatch(bench.told.join(), /^error openat2: EACCES[^,]*$/);
  assertEquals(await bench.inspect(path, { isOneOfMany: true }), "later");
  assertEquals(bench.told.length, 1, "nor is one of too many told");
});

Deno.test("I6: what a disposal in vain has done to the file is no news: the user is told once", async () => {
  using bench = new Bench({
    ...leaving,
    dispose({ parent, name }) {
      parent.rename(name, parent, fileName("hidden"));
      parent.rename(fileName("hidden"), parent, name);
      throw new SystemError("renameat2", ERRNO.ENOSPC);
    },
  });
  bench.verdict = EVIL;
  bench.write();
  for (let i = 0; i < 3; i++) assertEquals(await bench.inspect(), "later");
  assertEquals(bench.told.length, 2);
  bench.write("changed");
  await bench.inspect();
  assertEquals(bench.told.length, 4);
});
