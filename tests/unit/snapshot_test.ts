/** Snapshots, the copies that are made of them ahead, and what becomes of both, on a real file system. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { Directory } from "../../ffi/directory.ts";
import { readSmall, writeAt } from "../../ffi/file_content.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { Job } from "../../src/gate/job.ts";
import { type Snapshot, Stager } from "../../src/gate/snapshot.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { type FilesystemKind, LoopFilesystem } from "../support/loop_filesystem.ts";
import { openBelow } from "../support/open_files.ts";

const CONTENT = "what the guest wrote\n".repeat(1000);
const MODE = 0o640;
const MTIME_S = 1_000_000_000;
const FILE = fileName("file");

class Bench {
  private constructor(
    readonly path: string,
    readonly share: Directory,
    readonly stager: Stager,
  ) {}

  /** Fails if a descriptor stays open. */
  static async run(kind: FilesystemKind, body: (bench: Bench) => Promise<void>): Promise<void> {
    await using filesystem = await LoopFilesystem.create(kind);
    using share = Directory.openTrusted(fromText(await filesystem.directory("share")));
    using staging = Directory.openTrusted(fromText(await filesystem.directory("staging")));
    const before = openBelow(filesystem.path);
    await body(new Bench(filesystem.path, share, new Stager(staging)));
    assertEquals(openBelow(filesystem.path), before);
  }

  async take(): Promise<Snapshot> {
    this.share.removeFile(FILE);
    using file = this.share.createFile(FILE, MODE);
    writeAt(file, new TextEncoder().encode(CONTENT), 0);
    Deno.chownSync(`/proc/self/fd/${file.fd}`, 1000, 1001);
    Deno.utimeSync(`/proc/self/fd/${file.fd}`, MTIME_S, MTIME_S);
    const snapshot = await this.stager.take(this.share, FILE);
    assert(snapshot !== undefined);
    return snapshot;
  }
}

function assertComplete(copy: Descriptor): void {
  const { uid, gid, mode, mtimeNs } = statusOf(copy);
  assertEquals([uid, gid, mode & 0o7777, mtimeNs], [1000, 1001, MODE, BigInt(MTIME_S) * 10n ** 9n]);
  assertEquals(new TextDecoder().decode(readSmall(copy, 2 ** 20)), CONTENT);
}

testOnEachFilesystem(
  "I1, I4: copies made ahead are complete, each a file of its own, and never what the scanner has",
  (kind) =>
    Bench.run(kind, async (bench) => {
      const { stager } = bench;
      using snapshot = await bench.take();
      using seen = snapshot.share();
      stager.copyAhead(snapshot, 2);
      const inodes = new Set([statusOf(seen).inode]);
      using copies = new DisposableStack(); // open to the end: an inode's number comes again
      for (const isLast of [false, false, true]) {
        const copy = copies.use(await stager.copy(snapshot, isLast));
        assertComplete(copy);
        inodes.add(statusOf(copy).inode);
        writeAt(copy, new TextEncoder().encode("a guest's by now"), 0);
      }
      assertEquals(inodes.size, 4);
      assert(!snapshot.isSpent);
    }),
);

testOnEachFilesystem(
  "I4: what nobody has seen becomes the last copy, and is taken for no snapshot any more",
  (kind) =>
    Bench.run(kind, async (bench) => {
      using snapshot = await bench.take();
      const staged = statusOf(snapshot.staged).inode;
      {
        using first = await bench.stager.copy(snapshot, false);
        assertComplete(first);
        assert(statusOf(first).inode !== staged && !snapshot.isSpent);
        using last = await bench.stager.copy(snapshot, true);
        assertComplete(last);
        assertEquals([statusOf(last).inode, snapshot.isSpent], [staged, true]);
      }
      using job = new Job(fromText("file") as RelativePath, false);
      job.keep(1, snapshot);
      assertEquals(job.snapshot(1, snapshot.source), undefined);
    }),
);

testOnEachFilesystem(
  "I6: however often copies are made ahead, there are no more than targets",
  (kind) =>
    Bench.run(kind, async (bench) => {
      const before = openBelow(bench.path).length;
      using snapshot = await bench.take();
      for (let round = 0; round < 24; round++) bench.stager.copyAhead(snapshot, 3);
      // One is the snapshot's own; on a disk that is slow now, none is made ahead.
      assert(openBelow(bench.path).length - before <= 4);
    }),
);
