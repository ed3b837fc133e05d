/** Verdicts that are asked for ahead of their use, on a stand-in for the scanner. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { ERRNO, SystemError } from "../../ffi/errno.ts";
import { effectiveUser } from "../../ffi/process.ts";
import type { InfectedAction } from "../../src/gate/config/channel_config.ts";
import { Judge, type Judgement } from "../../src/gate/judge.ts";
import { Replica } from "../../src/gate/replica.ts";
import { type Snapshot, Stager } from "../../src/gate/snapshot.ts";
import type { Scanner, Verdict } from "../../src/scanning/scanner.ts";
import { openBelow } from "../support/open_files.ts";

const PATH = fromText("file") as RelativePath;
const ANN = new Replica("producer", fileName("ann"));

/** Scans end when the test says how. */
class HeldScanner implements Scanner {
  readonly concurrency = 10;
  readonly isDown = false;
  readonly scans: PromiseWithResolvers<Verdict>[] = [];

  scan(): Promise<Verdict> {
    const scan = Promise.withResolvers<Verdict>();
    this.scans.push(scan);
    return scan.promise;
  }

  check() {
    return Promise.resolve({ available: true, version: "test" } as const);
  }

  onRecovery(): void {}
  close(): void {}
}

interface Bench {
  readonly scanner: HeldScanner;
  readonly judge: Judge;
  readonly told: string[];
  snapshot(content: string): Promise<Snapshot>;
  /** Another one of the same version. */
  again(): Promise<Snapshot>;
  verdict(snapshot: Snapshot): Promise<Judgement>;
  /** Of what is in quarantine. */
  descriptions(): string[];
}

interface BenchOptions {
  readonly enable?: boolean;
  readonly infectedAction?: InfectedAction;
  /** Called before it is opened. */
  readonly onQuarantine?: () => void;
}

async function withBench(
  body: (bench: Bench) => Promise<void>,
  { enable = true, infectedAction = "delete", onQuarantine }: BenchOptions = {},
): Promise<void> {
  const path = Deno.makeTempDirSync({ prefix: "judge-" });
  try {
    using directory = Directory.openTrusted(fromText(path));
    const stager = new Stager(directory);
    const scanner = new HeldScanner();
    const told: string[] = [];
    const judge = new Judge({
      channel: "docs",
      config: {
        enable,
        infectedAction,
        permissive: true,
        ignoreFilePatterns: [],
        ignorePathPatterns: [],
        oversize: "hold",
        maxFileSize: undefined,
      },
      scanner,
      stager,
      openQuarantine: () => {
        onQuarantine?.();
        return directory.duplicate();
      },
      onMalware: (_, __, signature) => told.push(signature),
      onScanError: (_, __, reason) => told.push(reason),
      onTrouble: (message) => told.push(message),
    });
    const before = openBelow(path);
    const again = async () => {
      const snapshot = await stager.take(directory, fileName("file"));
      assert(snapshot !== undefined);
      return snapshot;
    };
    await body({
      scanner,
      judge,
      told,
      again,
      snapshot: (content) => {
        Deno.writeTextFileSync(`${path}/file`, content);
        return again();
      },
      verdict: async (snapshot) => {
        const judgement = await judge.judge(snapshot, ANN, PATH, { told: false });
        if (judgement.kind === "infected") judge.tell(snapshot, ANN, PATH, judgement.signature);
        return judgement;
      },
      descriptions: () =>
        [...Deno.readDirSync(path)].map(({ name }) => name).filter((name) =>
          name.endsWith(".json")
        ),
    });
    assertEquals(openBelow(path), before);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

Deno.test("what was scanned ahead is not scanned again, and told when somebody asks", () =>
  withBench(async ({ scanner, judge, told, snapshot, verdict }) => {
    using taken = await snapshot("content");
    assert(judge.scanAhead(taken));
    const asked = verdict(taken);
    scanner.scans[0]?.resolve({ kind: "infected", signature: "Test" });
    assertEquals(await asked, { kind: "infected", signature: "Test" });
    assertEquals([scanner.scans.length, told.length], [1, 1]);
  }));

Deno.test("a version that was found clean ahead is not scanned again for another snapshot", () =>
  withBench(async ({ scanner, judge, snapshot, verdict, again }) => {
    using taken = await snapshot("content");
    judge.scanAhead(taken);
    scanner.scans[0]?.resolve({ kind: "clean" });
    await scanner.scans[0]?.promise;
    using another = await again();
    assertEquals((await verdict(another)).kind, "clean");
    assertEquals(scanner.scans.length, 1);
  }));

Deno.test("a version that is being scanned ahead is not scanned again for another snapshot", () =>
  withBench(async ({ scanner, judge, told, snapshot, verdict, again }) => {
    using taken = await snapshot("content");
    judge.scanAhead(taken);
    using another = await again();
    const asked = verdict(another);
    scanner.scans[0]?.resolve({ kind: "infected", signature: "Test" });
    scanner.scans[1]?.resolve({ kind: "infected", signature: "Test" });
    assertEquals(await asked, { kind: "infected", signature: "Test" });
    assertEquals([scanner.scans.length, told.length], [1, 1]);
  }));

Deno.test("malware that nobody asks for is told to nobody", () =>
  withBench(async ({ scanner, judge, told, snapshot }) => {
    using taken = await snapshot("content");
    judge.scanAhead(taken);
    scanner.scans[0]?.resolve({ kind: "infected", signature: "Test" });
    await scanner.scans[0]?.promise;
    assertEquals(told, []);
  }));

Deno.test("I1: the verdict on one version is none on the next", () =>
  withBench(async ({ scanner, judge, snapshot, verdict }) => {
    using first = await snapshot("content");
    judge.scanAhead(first);
    scanner.scans[0]?.resolve({ kind: "clean" });
    using second = await snapshot("malware");
    const asked = verdict(second);
    scanner.scans[1]?.resolve({ kind: "infected", signature: "Test" });
    assertEquals((await asked).kind, "infected");
  }));

const FAILURES: Readonly<Record<string, (scan?: PromiseWithResolvers<Verdict>) => void>> = {
  "has no answer": (scan) => scan?.resolve({ kind: "error", reason: "gone" }),
  "lacks descriptors": (scan) => scan?.reject(new SystemError("open", ERRNO.EMFILE)),
};

for (const [failure, fail] of Object.entries(FAILURES)) {
  Deno.test(`I1: a scan ahead that ${failure} is made again when somebody asks`, () =>
    withBench(async ({ scanner, judge, told, snapshot, verdict }) => {
      using taken = await snapshot("content");
      judge.scanAhead(taken);
      const asked = verdict(taken);
      fail(scanner.scans[0]);
      while (scanner.scans.length < 2) await Promise.resolve();
      scanner.scans[1]?.resolve({ kind: "infected", signature: "Test" });
      assertEquals((await asked).kind, "infected");
      assertEquals(told, ["Test"]);
    }));
}

Deno.test("I7: one scan at a time is made ahead, however long it takes", () =>
  withBench(async ({ scanner, judge, snapshot }) => {
    using first = await snapshot("one");
    using second = await snapshot("another");
    assert(judge.scanAhead(first));
    assert(!judge.scanAhead(second));
    scanner.scans[0]?.resolve({ kind: "clean" });
    await scanner.scans[0]?.promise;
    while (!judge.scanAhead(second)) await Promise.resolve();
    scanner.scans[1]?.resolve({ kind: "clean" });
    await scanner.scans[1]?.promise;
  }));

Deno.test("nothing is scanned ahead that needs no scan", async () => {
  await withBench(async ({ scanner, judge, snapshot, verdict }) => {
    using empty = await snapshot("");
    assert(!judge.scanAhead(empty));
    using taken = await snapshot("content");
    const asked = verdict(taken);
    scanner.scans[0]?.resolve({ kind: "clean" });
    await asked;
    assert(!judge.scanAhead(taken), "its version is known to be clean");
  });
  await withBench(async ({ judge, snapshot }) => {
    using taken = await snapshot("content");
    assert(!judge.scanAhead(taken));
  }, { enable: false });
});

Deno.test({
  name:
    "malware that evades its removal is kept at the next attempt, if it could not be at the first",
  ignore: effectiveUser() !== 0, // a copy belongs to root
  fn: () => {
    let isBroken = true;
    const onQuarantine = () => {
      if (isBroken) throw new SystemError("open", ERRNO.ENOENT);
    };
    return withBench(async ({ judge, told, snapshot, descriptions }) => {
      using taken = await snapshot("malware");
      const attempt = async () => {
        const isNews = judge.tell(taken, ANN, PATH, "Test");
        const isKept = await judge.keepEvidence(taken, ANN, PATH, "Test", { isNews });
        judge.evaded(taken, PATH, "Test", { isKept });
        return isKept;
      };
      assertEquals([await attempt(), await attempt()], [false, false]);
      assertEquals(told.length, 2, `the malware and its quarantine, once: ${told}`);
      isBroken = false;
      assertEquals([await attempt(), await attempt()], [true, true]);
      assertEquals(descriptions().length, 1);
    }, { infectedAction: "quarantine", onQuarantine });
  },
});
