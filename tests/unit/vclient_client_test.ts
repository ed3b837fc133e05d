/** The client at work on a real tree, with a scanner that says what the test wants. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertGreater, assertLess, assertStringIncludes } from "@std/assert";
import { type ByteString, fromBytes, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { readSmall } from "../../ffi/file_content.ts";
import { ERRNO, SystemError } from "../../ffi/errno.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { configureLogging, logger } from "../../src/logging/logging.ts";
import type { Availability, Scanner, Verdict } from "../../src/scanning/scanner.ts";
import { UserNotifier } from "../../src/user_notification/user_notifier.ts";
import { Client, type ClientParts } from "../../src/vclient/client.ts";
import { deleting } from "../../src/vclient/disposal.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { sleep, waitFor } from "../support/wait.ts";

const EVIL = "evil";

/** Infected is what begins with `evil`; the content of everything scanned is remembered. */
class Scripted implements Scanner {
  readonly concurrency = 2;
  readonly contents: string[] = [];
  isAway = false;
  pause: Promise<void> | undefined;
  #onRecovery: (() => void)[] = [];

  async scan(file: Descriptor): Promise<Verdict> {
    await this.pause;
    if (this.isAway) return { kind: "error", reason: "away" };
    const content = fromBytes(readSmall(file, 1000));
    this.contents.push(content);
    return content.startsWith(EVIL) ? { kind: "infected", signature: "Bad" } : { kind: "clean" };
  }

  get isDown(): boolean {
    return this.isAway;
  }

  check(): Promise<Availability> {
    return Promise.resolve(
      this.isAway ? { available: false, reason: "away" } : { available: true, version: "" },
    );
  }

  onRecovery(listener: () => void): void {
    this.#onRecovery.push(listener);
  }

  comeBack(): void {
    this.isAway = false;
    for (const listener of this.#onRecovery) listener();
  }

  close(): void {}
}

type Limits = "queueLimits" | "failureLimits" | "intervals" | "mostWatches" | "mostVersions";

/** Remembers what the user is told. */
class ToldUser extends UserNotifier {
  readonly errors: string[] = [];

  override scanError(path: ByteString, error: string): void {
    this.errors.push(`${path}: ${error}`);
  }
}

interface BenchOptions extends Pick<ClientParts, Limits> {
  readonly excludes?: readonly string[];
  /** Made before the client starts. */
  readonly files?: Readonly<Record<string, string>>;
}

class Bench implements AsyncDisposable {
  readonly path = Deno.realPathSync(scratchDirectory("client"));
  readonly scanner = new Scripted();
  readonly client: Client;
  readonly user: ToldUser;
  readonly #reactor = new Reactor();

  private constructor({ files = {}, excludes = [], ...limits }: BenchOptions) {
    Deno.mkdirSync(`${this.path}/in`);
    for (const [name, text] of Object.entries(files)) this.write(name, text);
    this.user = new ToldUser(this.#reactor, `${this.path}/nobody`, () => {});
    this.client = new Client({
      trees: [{
        path: fromText(`${this.path}/in`),
        excludes: excludes.map((path) => fromText(path) as RelativePath),
        others: [],
      }],
      scanner: this.scanner,
      disposal: deleting(() => {}),
      user: this.user,
      reactor: this.#reactor,
      log: logger("test"),
      // 100 ms: the tick of a file's time, and room for `files` to be older.
      newSinceNs: BigInt(Date.now() + 100) * 1_000_000n,
      ...limits,
    });
  }

  static async start(options: BenchOptions = {}): Promise<Bench> {
    const bench = new Bench(options);
    await sleep(200);
    await bench.client.start(() => {});
    return bench;
  }

  write(name: string, text = name): void {
    const path = `${this.path}/in/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(path, text);
  }

  has(name: string): boolean {
    try {
      Deno.lstatSync(`${this.path}/in/${name}`);
      return true;
    } catch {
      return false; // not there
    }
  }

  async scanned(...contents: string[]): Promise<void> {
    const missing = () => contents.filter((one) => !this.scanner.contents.includes(one));
    await waitFor(() => `scans of ${missing()}`, () => missing().length === 0);
  }

  /** How often this content was scanned. */
  count(content: string): number {
    return this.scanner.contents.filter((one) => one === content).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.finish();
    this.client[Symbol.dispose]();
    await this.#reactor.stop();
    this.#reactor[Symbol.dispose]();
  }
}

Deno.test("what is written, moved in or linked is scanned; what was there before is not", async () => {
  await using bench = await Bench.start({ files: { "d/old": "old" } });
  bench.write("d/new");
  bench.write("e/f/deep");
  Deno.mkdirSync(`${bench.path}/tree/x`, { recursive: true });
  Deno.writeTextFileSync(`${bench.path}/tree/x/moved`, "moved");
  Deno.renameSync(`${bench.path}/tree`, `${bench.path}/in/tree`);
  Deno.writeTextFileSync(`${bench.path}/outside`, "linked");
  Deno.linkSync(`${bench.path}/outside`, `${bench.path}/in/link`);
  await bench.scanned("d/new", "e/f/deep", "moved", "linked");
  assertEquals(bench.count("old"), 0);
});

Deno.test("--scan-existing scans it, and knows when it is through", async () => {
  const files = Object.fromEntries(
    Array.from({ length: 3000 }, (_, i) => [`${i % 7}/${i}`, i % 500 === 0 ? `evil${i}` : `${i}`]),
  );
  await using bench = await Bench.start({ files });
  assert(await bench.client.scanExisting());
  assertGreater(bench.client.scanned, 2900);
  await waitFor("the last ones", () => bench.client.scanned === 3000);
  await waitFor(
    "nothing is left to do",
    () => bench.client.status === "watching 8 directories, 3000 scanned, 6 infected",
  );
  for (let i = 0; i < 3000; i += 500) assert(!bench.has(`${i % 7}/${i}`));
  assert(bench.has("1/1"));
});

Deno.test("--scan-existing is through when all is scanned, however small the queue is", async () => {
  const files = Object.fromEntries(
    Array.from({ length: 200 }, (_, i) => [`d${i % 7}/${i}`, `${i}`]),
  );
  await using bench = await Bench.start({ files, queueLimits: { paths: 10, bytes: 30 } });
  assert(await bench.client.scanExisting());
  assertEquals(new Set(bench.scanner.contents).size, 200);
});

Deno.test("--scan-existing that is stopped before the end does not say that it was through", async () => {
  await using bench = await Bench.start({ files: { one: "one", two: "two", three: "three" } });
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.scanner.pause = promise;
  const scanning = bench.client.scanExisting();
  await waitFor("it has begun", () => / to scan/.test(bench.client.status));
  const finished = bench.client.finish();
  resolve();
  assertEquals(await scanning, false);
  await finished;
});

Deno.test("excluded directories and files are not scanned, wherever they come from", async () => {
  await using bench = await Bench.start({ excludes: ["no", "d/file"] });
  bench.write("no/evil", "evil-excluded");
  bench.write("d/file");
  bench.write("d/fil");
  bench.write("nobody");
  Deno.renameSync(`${bench.path}/in/no/evil`, `${bench.path}/in/no/evil2`);
  await bench.scanned("nobody", "d/fil");
  assertEquals([bench.count("evil-excluded"), bench.count("d/file")], [0, 0]);
  Deno.renameSync(`${bench.path}/in/no`, `${bench.path}/in/yes`);
  await waitFor("it left the exclusion", () => !bench.has("yes/evil2"));
});

Deno.test("a renamed directory's clean files are not scanned again", async () => {
  await using bench = await Bench.start();
  bench.write("a/clean");
  await bench.scanned("a/clean");
  Deno.renameSync(`${bench.path}/in/a`, `${bench.path}/in/b`);
  bench.write("b/last");
  await bench.scanned("b/last");
  await sleep(300);
  assertEquals(bench.count("a/clean"), 1);
});

Deno.test("I3: what a full queue drops is found again by reading the tree", async () => {
  await using bench = await Bench.start({ queueLimits: { paths: 10, bytes: 1000 } });
  const gate = Promise.withResolvers<void>();
  bench.scanner.pause = gate.promise;
  const names = Array.from(
    { length: 300 },
    (_, i) => `d${i % 10}/${i % 50 === 0 ? "evil" : "f"}${i}`,
  );
  for (const name of names) bench.write(name, name.slice(3));
  await sleep(500);
  gate.resolve();
  bench.scanner.pause = undefined;
  await bench.scanned(...names.map((name) => name.slice(3)));
  await waitFor(
    "infected ones are gone",
    () => names.every((name) => bench.has(name) !== name.includes("evil")),
  );
  await waitFor(
    "nothing is left to do",
    () => /directories, \d+ scanned/.test(bench.client.status),
  );
  assertLess(bench.client.scanned, 400, "and what was clean is not scanned again");
});

/** What is logged as a warning or an error from now on. */
function warnings(): readonly string[] {
  const lines: string[] = [];
  configureLogging({
    debug: false,
    terminal: false,
    stream: {
      writeSync(bytes) {
        lines.push(
          ...new TextDecoder().decode(bytes).split("\n").filter((line) => /^<[0-4]>/.test(line)),
        );
        return bytes.length;
      },
    },
  });
  return lines;
}

Deno.test("what a stop leaves unscanned is counted once, with what helps; a scan that it ends is no error", async () => {
  const lines = warnings();
  const bench = await Bench.start();
  bench.scanner.isAway = true;
  bench.write("told", "evil-told");
  await waitFor("it is noticed", () => bench.client.status.includes("does not answer"));
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.scanner.pause = promise;
  bench.scanner.comeBack(); // "told" is tried again, and hangs with another one
  for (let i = 0; i < 20; i++) bench.write(`evil${i}`);
  await waitFor("all wait", () => bench.client.status.includes("21 files to scan"));
  const errors = [...bench.user.errors];
  const finished = bench.client.finish();
  bench.scanner.isAway = true;
  resolve();
  await finished;
  await bench[Symbol.asyncDispose]();
  assertEquals(bench.user.errors, errors);
  assertEquals(lines.filter((line) => /stop/.test(line)), [
    "<4>21 files were still to be scanned at the stop: the next start does so with --scan-existing only",
  ]);
});

Deno.test("a stop counts no directories, links or empty files, and nothing that is gone, as files", async () => {
  for (const [unscanned, told] of [[[], []], [["file"], ["<4>1 file was still"]]] as const) {
    const lines = warnings();
    const bench = await Bench.start();
    bench.scanner.isAway = true;
    Deno.mkdirSync(`${bench.path}/in/a/b/c`, { recursive: true });
    Deno.symlinkSync("a", `${bench.path}/in/link`);
    bench.write("empty", "");
    bench.write("gone");
    for (const name of unscanned) bench.write(name);
    await waitFor("it is noticed", () => / to scan/.test(bench.client.status));
    Deno.removeSync(`${bench.path}/in/gone`);
    await bench.client.finish();
    await bench[Symbol.asyncDispose]();
    const found = lines.flatMap((line) =>
      /stop/.test(line) ? [line.slice(0, told[0]?.length)] : []
    );
    assertEquals(found, [...told]);
  }
});

Deno.test("a stop that leaves nothing unscanned says nothing", async () => {
  const lines = warnings();
  const bench = await Bench.start();
  bench.write("clean");
  bench.write("evil");
  await bench.scanned("clean", "evil");
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.scanner.pause = promise;
  bench.write("last");
  await waitFor("it is scanned", () => / to scan/.test(bench.client.status));
  await sleep(100);
  const finished = bench.client.finish();
  resolve();
  await finished;
  await bench[Symbol.asyncDispose]();
  assertEquals(bench.count("last"), 1);
  assertEquals(lines.filter((line) => /stop/.test(line)), []);
});

Deno.test("while the scanner is away files wait, and are scanned when it is back", async () => {
  await using bench = await Bench.start();
  bench.scanner.isAway = true;
  bench.write("first", "evil-first");
  await waitFor("it is noticed", () => bench.client.status.includes("does not answer"));
  const names = Array.from({ length: 100 }, (_, i) => `d/evil${i}`);
  for (const name of names) bench.write(name, name.slice(2));
  Deno.renameSync(`${bench.path}/in/first`, `${bench.path}/in/renamed`);
  await sleep(300);
  assertEquals(bench.scanner.contents, []);
  assert(bench.has("renamed") && bench.has("d/evil99"));
  bench.scanner.comeBack();
  await waitFor(
    "all are dealt with",
    () => !bench.has("renamed") && !names.some((name) => bench.has(name)),
  );
});

Deno.test("a scan that fails alone is tried again soon", async () => {
  await using bench = await Bench.start();
  const { scan } = bench.scanner;
  let failures = 2;
  bench.scanner.scan = (file) =>
    failures-- > 0
      ? Promise.resolve({ kind: "error", reason: "clamd says: no memory" })
      : scan.call(bench.scanner, file);
  bench.write("evil");
  await waitFor("it is dealt with", () => !bench.has("evil"));
});

Deno.test("a watched directory that is replaced is watched again, and read as a whole", async () => {
  await using bench = await Bench.start();
  Deno.mkdirSync(`${bench.path}/next`);
  Deno.writeTextFileSync(`${bench.path}/next/evil`, "evil");
  Deno.renameSync(`${bench.path}/in`, `${bench.path}/gone`);
  Deno.renameSync(`${bench.path}/next`, `${bench.path}/in`);
  await waitFor("what it brought is dealt with", () => !bench.has("evil"));
  bench.write("later");
  await bench.scanned("later");
});

Deno.test("I2: what leaves the tree is not watched any more; a link in the root's place is not followed", async () => {
  await using bench = await Bench.start();
  bench.write("d/file");
  await bench.scanned("d/file");
  Deno.renameSync(`${bench.path}/in/d`, `${bench.path}/outside`);
  bench.write("mark");
  await bench.scanned("mark");
  await sleep(200);
  Deno.writeTextFileSync(`${bench.path}/outside/evil`, "evil-outside");
  Deno.renameSync(`${bench.path}/in`, `${bench.path}/gone`);
  Deno.symlinkSync("outside", `${bench.path}/in`);
  await sleep(1500);
  assertEquals(bench.count("evil-outside"), 0);
  assert(Deno.readTextFileSync(`${bench.path}/outside/evil`));
});

/** A client that watches the topmost directory alone, or not even that. */
const POLLING = { intervals: { missingRootMs: 50, presentRootMs: 50, pollMs: 50 } };
const SOME_POLLS_MS = 800;
/** More than a hundred directories are read together. */
const POLLED: readonly (readonly [string, number, number])[] = [
  ["single directories", 1, 5],
  ["many directories", 1, 110],
  ["a whole tree", 0, 5],
];

for (const [what, mostWatches, directories] of POLLED) {
  const names = Array.from({ length: directories * 4 }, (_, i) => `d${i % directories}/${i}`);
  const files = Object.fromEntries(names.map((name) => [name, name]));

  Deno.test(`${what} that cannot be watched: unchanged files are scanned once, however many`, async () => {
    await using bench = await Bench.start({ ...POLLING, files, mostWatches, mostVersions: 10 });
    await bench.client.scanExisting();
    await sleep(SOME_POLLS_MS);
    assertEquals(bench.client.scanned, names.length);
  });

  Deno.test(`${what} that cannot be watched: what is new is found, what was there is left alone`, async () => {
    const outside = ["old", "link", "tree/x/moved"].map((name) => `../outside/${name}`);
    const evil = ["d0/before", "d0/sub/before", ...outside].map((name) => [name, EVIL] as const);
    await using bench = await Bench.start({
      ...POLLING,
      files: { ...files, ...Object.fromEntries(evil) },
      mostWatches,
    });
    const [from, to] = [`${bench.path}/outside`, `${bench.path}/in/d0`];
    await sleep(SOME_POLLS_MS);
    bench.write("d0/new/deep/written", "evil-written");
    Deno.renameSync(`${from}/old`, `${to}/old`);
    Deno.linkSync(`${from}/link`, `${to}/link`);
    Deno.renameSync(`${from}/tree`, `${to}/tree`);
    // Its times are those of any directory now in which something happened.
    bench.write("d0/tree/later");
    bench.write("d0/sub/later");
    const news = ["d0/new/deep/written", "d0/old", "d0/link", "d0/tree/x/moved"];
    await waitFor("all that is new is dealt with", () => !news.some((name) => bench.has(name)));
    await bench.scanned("d0/tree/later", "d0/sub/later");
    await sleep(SOME_POLLS_MS);
    assert(bench.has("d0/before") && bench.has("d0/sub/before"));
    assertEquals(bench.count("d1/1"), 0);
  });
}

Deno.test("that nothing of a tree can be watched is told in words that name it", async () => {
  const lines = warnings();
  await using bench = await Bench.start({ ...POLLING, mostWatches: 0 });
  await waitFor("it is told", () => lines.length > 0);
  const [line = ""] = lines;
  assertStringIncludes(
    line,
    `${bench.path}/in: 1 directory cannot be watched, the first of them the topmost one (`,
  );
});

Deno.test("I1: where nobody tells that a writer closes a file, it is scanned until that has happened", async () => {
  await using bench = await Bench.start({ ...POLLING, files: { "d/old": "old" }, mostWatches: 1 });
  bench.write("d/open");
  {
    using _writer = Deno.openSync(`${bench.path}/in/d/open`, { write: true });
    await waitFor("it is scanned again and again", () => bench.count("d/open") > 3);
  }
  await sleep(SOME_POLLS_MS);
  const scans = bench.count("d/open");
  await sleep(SOME_POLLS_MS);
  assertEquals(bench.count("d/open"), scans);
});

Deno.test("the scanner has the next files at hand, open, when a scan ends, and not all that wait", async () => {
  await using bench = await Bench.start();
  const { scan } = bench.scanner;
  const gate = Promise.withResolvers<void>();
  bench.scanner.pause = gate.promise;
  let begun = 0;
  bench.scanner.scan = (file) => {
    begun++;
    return scan.call(bench.scanner, file);
  };
  const names = Array.from({ length: 20 }, (_, i) => `file${i}`);
  for (const name of names) bench.write(name);
  await waitFor("scans are asked for", () => begun > bench.scanner.concurrency);
  await sleep(300);
  assertEquals(begun, bench.scanner.concurrency + 2);
  gate.resolve();
  await bench.scanned(...names);
});

Deno.test("of too many files that cannot be read, some are told one by one, and that there are more once", async () => {
  const failureLimits = { paths: 5, repairMs: 50 };
  await using bench = await Bench.start({ failureLimits });
  const { scan } = bench.scanner;
  let attempts = 0;
  bench.scanner.scan = () => {
    attempts++;
    return Promise.reject(new SystemError("openat", ERRNO.EACCES));
  };
  const names = Array.from({ length: 50 }, (_, i) => `d${i % 7}/evil${i}`);
  for (const name of names) bench.write(name, EVIL);
  await waitFor("the others are tried again, too", () => attempts > 2 * names.length);
  await sleep(500);
  const many = bench.user.errors.filter((line) => /\/in: more than 5 files/.test(line));
  assertEquals(many.length, 1);
  const single = bench.user.errors.filter((line) => /\/evil\d+: openat: EACCES/.test(line));
  assertEquals(new Set(single).size, single.length, "each once");
  // Four are looked at at a time, and all of them can be told while there is a place for one.
  assert(single.length >= 5 && single.length <= 8);
  assertEquals(bench.user.errors.length, many.length + single.length);
  bench.scanner.scan = scan;
  await waitFor("all are dealt with", () => !names.some((name) => bench.has(name)));
});

Deno.test("too many files beyond the scanner's limits are told once, and tried more and more seldom", async () => {
  const failureLimits = { paths: 5, repairMs: 50 };
  await using bench = await Bench.start({ failureLimits, mostVersions: 10 });
  const { scan } = bench.scanner;
  let scans = 0;
  bench.scanner.scan = () => {
    scans++;
    return Promise.resolve({ kind: "unscannable", reason: "large" });
  };
  const names = Array.from({ length: 50 }, (_, i) => `d${i % 7}/evil${i}`);
  for (const name of names) bench.write(name, EVIL);
  await waitFor("they are tried again", () => scans > 2 * names.length);
  await sleep(1500);
  const before = scans;
  await sleep(1500);
  assertLess(scans - before, 10 * names.length);
  const single = bench.user.errors.filter((line) => /\/evil\d+: large/.test(line));
  assertEquals(new Set(single).size, single.length, "each once");
  assert(single.length >= 5 && single.length <= 8);
  assertEquals(bench.user.errors.length, single.length + 1);
  bench.scanner.scan = scan;
  const left = () => names.filter((name) => bench.has(name));
  await waitFor(
    "the limits were raised: but for some that are tried later",
    () => left().length < 7,
  );
});
