/** A snapshot that is taken before its file's quiet time is over, and what becomes of it, on a real file system. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { readSmall } from "../../ffi/file_content.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import { EarlySnapshot } from "../../src/gate/early_snapshot.ts";
import { Replica } from "../../src/gate/replica.ts";
import { sameIdentity } from "../../src/gate/replica_record.ts";
import { type Snapshot, Stager } from "../../src/gate/snapshot.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { type FilesystemKind, LoopFilesystem } from "../support/loop_filesystem.ts";
import { openBelow } from "../support/open_files.ts";

const FILE = fromText("file") as RelativePath;
const OTHER = fromText("other") as RelativePath;

class Bench {
  private constructor(
    readonly share: string,
    readonly replica: Replica,
    readonly early: EarlySnapshot,
  ) {}

  /** Fails if a descriptor stays open. */
  static async run(kind: FilesystemKind, body: (bench: Bench) => Promise<void>): Promise<void> {
    await using filesystem = await LoopFilesystem.create(kind);
    const share = await filesystem.directory("share");
    using staging = Directory.openTrusted(fromText(await filesystem.directory("staging")));
    const replica = new Replica("producer", fileName("ann"));
    replica.attach(Directory.openTrusted(fromText(share)), 1);
    const before = openBelow(filesystem.path);
    const early = new EarlySnapshot(new Stager(staging), () => {});
    await body(new Bench(share, replica, early));
    early.drop();
    assertEquals(openBelow(filesystem.path), before);
    replica.detach();
  }

  write(path: string, content: string): void {
    Deno.writeTextFileSync(`${this.share}/${path}`, content);
  }

  status(path: RelativePath): FileStatus {
    using view = this.replica.view(path);
    assert(view.seen.kind === "file");
    return view.seen.status;
  }

  /** What a job would get that sees now what there is. */
  claim(path = FILE): Snapshot | undefined {
    return this.early.claim(this.replica, path, this.status(path));
  }
}

testOnEachFilesystem(
  "a file that stays as it is has its snapshot already, once",
  (kind) =>
    Bench.run(kind, async (bench) => {
      bench.write("file", "content");
      await bench.early.take(bench.replica, FILE);
      using snapshot = bench.claim();
      assert(snapshot?.stable);
      assert(sameIdentity(snapshot.source, bench.status(FILE)));
      assertEquals(new TextDecoder().decode(readSmall(snapshot.staged, 100)), "content");
      assertEquals(bench.claim(), undefined);
    }),
);

const CHANGES: Readonly<Record<string, (bench: Bench) => void>> = {
  "written to": (bench) => bench.write("file", "malware"),
  "given another mode": ({ share }) => Deno.chmodSync(`${share}/file`, 0o600),
  "replaced": (bench) => {
    bench.write("other", "malware");
    Deno.renameSync(`${bench.share}/other`, `${bench.share}/file`);
  },
  "given another time": ({ share }) => Deno.utimeSync(`${share}/file`, 1, 1),
};

for (const [change, make] of Object.entries(CHANGES)) {
  testOnEachFilesystem(
    `I1: of a file that was ${change} since, an early snapshot is none`,
    (kind) =>
      Bench.run(kind, async (bench) => {
        bench.write("file", "content");
        await bench.early.take(bench.replica, FILE);
        make(bench);
        assertEquals(bench.claim(), undefined);
      }),
  );
}

testOnEachFilesystem(
  "I1: an early snapshot is for one path of one share",
  (kind) =>
    Bench.run(kind, async (bench) => {
      bench.write("file", "content");
      Deno.linkSync(`${bench.share}/file`, `${bench.share}/other`);
      await bench.early.take(bench.replica, FILE);
      assertEquals(bench.claim(OTHER), undefined);
      const another = new Replica("producer", fileName("bob"));
      another.id = 2;
      assertEquals(bench.early.claim(another, FILE, bench.status(FILE)), undefined);
    }),
);

testOnEachFilesystem(
  "I6: there is one at a time, and none of what is dropped meanwhile",
  (kind) =>
    Bench.run(kind, async (bench) => {
      bench.write("file", "content");
      bench.write("other", "content");
      const first = bench.early.take(bench.replica, FILE);
      const second = bench.early.take(bench.replica, OTHER);
      await Promise.all([first, second]);
      assertEquals(bench.claim(FILE), undefined);
      bench.claim(OTHER)?.[Symbol.dispose]();
      const dropped = bench.early.take(bench.replica, FILE);
      bench.early.drop();
      await dropped;
      assertEquals(bench.claim(FILE), undefined);
    }),
);

testOnEachFilesystem(
  "I6: what nobody claims is given up, but not before its job had time to",
  (kind) =>
    Bench.run(kind, async (bench) => {
      bench.write("file", "content");
      await bench.early.take(bench.replica, FILE);
      bench.early.sweep();
      using claimed = bench.claim();
      assert(claimed !== undefined);
      await bench.early.take(bench.replica, FILE);
      bench.early.sweep();
      bench.early.sweep();
      assertEquals(bench.claim(), undefined);
    }),
);

testOnEachFilesystem(
  "only small files are worth it; whatever else stands there is left alone",
  (kind) =>
    Bench.run(kind, async (bench) => {
      Deno.mkdirSync(`${bench.share}/other`);
      Deno.symlinkSync("other", `${bench.share}/link`);
      bench.write("file", "");
      Deno.truncateSync(`${bench.share}/file`, 2 * 1024 * 1024);
      for (const path of ["other", "link", "file", "nothing", "no/where", "file/below"]) {
        await bench.early.take(bench.replica, fromText(path) as RelativePath);
      }
      assertEquals(bench.claim(), undefined);
    }),
);
