/** What publishing leaves behind where it fails, and how much it does at a time. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import { fileName, fromText, join, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { SystemError } from "../../ffi/errno.ts";
import { nextTurn } from "../../ffi/reactor.ts";
import { Publisher } from "../../src/gate/publisher.ts";
import { Recovery } from "../../src/gate/recovery.ts";
import { Replica } from "../../src/gate/replica.ts";
import { Stager } from "../../src/gate/snapshot.ts";

const attributesOf = ({ uid, gid, mode }: Deno.FileInfo) => ({
  uid: uid ?? 0,
  gid: gid ?? 0,
  mode: mode ?? 0,
  mtimeNs: 0n,
});

function descriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

interface Bench {
  readonly path: string;
  readonly ann: Replica;
  readonly bob: Replica;
  readonly publisher: Publisher;
}

/** Two replicas on a real file system, and what publishes there. */
async function withBench(use: (bench: Bench) => void | Promise<void>): Promise<void> {
  const path = Deno.makeTempDirSync({ prefix: "publisher-" });
  try {
    for (const name of ["ann", "bob", "staging", "recovery"]) Deno.mkdirSync(`${path}/${name}`);
    using staging = Directory.openTrusted(fromText(`${path}/staging`));
    using directory = Directory.openTrusted(fromText(`${path}/recovery`));
    const recovery = new Recovery(directory, () => undefined, () => {});
    recovery.recover();
    const publisher = new Publisher(staging, new Stager(staging), recovery, () => {});
    const replica = (name: string) => {
      const made = new Replica("producer", fileName(name));
      made.attach(Directory.openTrusted(fromText(`${path}/${name}`)), 1);
      return made;
    };
    const [ann, bob] = [replica("ann"), replica("bob")];
    await use({ path, ann, bob, publisher });
    ann.detach();
    bob.detach();
    recovery.close();
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

Deno.test("I6: parent directories that cannot be made cost no descriptors", async () => {
  await withBench(({ path, ann, bob, publisher }) => {
    Deno.mkdirSync(`${path}/ann/above/below`, { recursive: true });
    const like = Deno.statSync(path);
    Deno.removeSync(`${path}/staging`); // nothing can be made there any more
    const before = descriptors();
    for (let attempt = 0; attempt < 10; attempt++) {
      const at = fromText("above/below") as RelativePath;
      using target = bob.view(at);
      assertThrows(
        () => publisher.makeDirectory(target, at, ann, attributesOf(like)),
        SystemError,
        "ENOENT",
      );
    }
    assertEquals(descriptors(), before);
  });
});

Deno.test("I7: of many parents that are missing some are made at a time, and in the end all", async () => {
  await withBench(({ path, ann, bob, publisher }) => {
    const names = Array(300).fill("d").join("/");
    Deno.mkdirSync(`${path}/ann/${names}`, { recursive: true, mode: 0o750 });
    const like = attributesOf(Deno.statSync(`${path}/ann/${names}`));
    const at = fromText(names) as RelativePath;
    const before = descriptors();
    const outcomes: string[] = [];
    while (outcomes.at(-1) !== "done" && outcomes.length < 20) {
      using target = bob.view(at);
      outcomes.push(publisher.makeDirectory(target, at, ann, like).kind);
    }
    assertEquals(outcomes, [...Array(4).fill("unfinished"), "done"]);
    assertEquals((Deno.statSync(`${path}/bob/${names}`).mode ?? 0) & 0o777, 0o750);
    assertEquals(descriptors(), before);
  });
});

Deno.test("I7: others have their turn while a loser of a conflict is kept beside 20,000 other files", async () => {
  await withBench(async ({ path, bob, publisher }) => {
    for (let i = 0; i < 20_000; i++) Deno.writeTextFileSync(`${path}/bob/file-${i}`, "");
    const at = fromText("file-0") as RelativePath;
    using loser = bob.view(at);
    let outcome: string | undefined;
    publisher.setAside(loser, at, () => {}).then((is) => outcome = is);
    let turns = 0;
    for (; outcome === undefined; turns++) await nextTurn();
    assertEquals(outcome, "kept");
    assert(turns > 3, `${turns} turns`);
  });
});

Deno.test("I7: the parents that are missing are made without a look at each of thousands above them", async () => {
  await withBench(({ path, ann, bob, publisher }) => {
    const LEVELS = 3000;
    const MISSING = 3;
    const attributes = attributesOf(Deno.statSync(path));
    for (const { root } of [ann, bob]) {
      let here = root?.duplicate();
      for (let level = root === ann.root ? 0 : MISSING; level < LEVELS && here; level++) {
        using above = here;
        above.makeDirectory(fileName("d"), 0o755);
        here = above.openSubdirectory(fileName("d"));
      }
      here?.close();
    }
    const below = (levels: number) => Array(levels).fill("d").join("/") as RelativePath;
    const timesMs = (what: () => void, times: number): number => {
      const startedAt = performance.now();
      for (let time = 0; time < times; time++) what();
      return performance.now() - startedAt;
    };
    const openMs = timesMs(() => bob.root?.openBeneath(below(LEVELS - MISSING))?.close(), 100) /
      100;
    const at = join(below(LEVELS), fileName("new"));
    const outcomes: string[] = [];
    const tookMs = timesMs(() => {
      using target = bob.view(at);
      outcomes.push(publisher.makeDirectory(target, at, ann, attributes).kind);
    }, 1);
    assertEquals(outcomes, ["done"]);
    assertLess(tookMs, 5 + 30 * openMs, `it takes ${openMs} ms to open one`);
  });
});
