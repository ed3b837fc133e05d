/** What statx tells, read at the right places of its structure. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { fileName, fromText } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import {
  setModificationTime,
  setOwnerAndMode,
  truncate,
  writeAll,
} from "../../ffi/file_content.ts";
import { type FileStatus, parseStatx, statusOf } from "../../ffi/file_status.ts";
import { scratchDirectory } from "../support/scratch.ts";

function inScratch(test: (directory: Directory, path: string) => void): void {
  const path = scratchDirectory("status");
  using directory = Directory.openTrusted(fromText(path));
  test(directory, path);
}

Deno.test("each field is what Deno.lstat says", () => {
  inScratch((directory, path) => {
    Deno.writeTextFileSync(`${path}/file`, "x".repeat(5000), { mode: 0o640 });
    Deno.linkSync(`${path}/file`, `${path}/second name`);
    Deno.mkdirSync(`${path}/directory`, { mode: 0o751 });
    Deno.symlinkSync("nowhere", `${path}/link`);
    if (Deno.uid() === 0) Deno.chownSync(`${path}/file`, 1234, 70_000);
    for (const [name, kind] of [["file", "file"], ["directory", "directory"], ["link", "link"]]) {
      const status = directory.status(fileName(name ?? ""));
      const expected = Deno.lstatSync(`${path}/${name}`);
      assert(status !== undefined);
      assertEquals(status.kind, kind as FileStatus["kind"]);
      assertEquals(status.size, expected.size);
      assertEquals(status.inode, expected.ino);
      assertEquals(status.mode, (expected.mode ?? 0) & 0o7777);
      assertEquals(status.uid, expected.uid);
      assertEquals(status.gid, expected.gid);
      assertEquals(status.links, expected.nlink);
      assertEquals(status.blocks, expected.blocks);
      assertEquals(Number(status.mtimeNs / 1_000_000n), expected.mtime?.getTime());
      assertEquals(status.device, statusOf(directory).device);
      assertEquals(status.mountId, statusOf(directory).mountId);
    }
  });
});

Deno.test("filesystems and mounts differ", () => {
  using proc = Directory.openTrusted(fromText("/proc"));
  using dev = Directory.openTrusted(fromText("/dev"));
  assertNotEquals(statusOf(proc).device, statusOf(dev).device);
  assertNotEquals(statusOf(proc).mountId, statusOf(dev).mountId);
});

Deno.test("permissions are 12 bits: SUID, SGID and sticky are seen", () => {
  inScratch((directory) => {
    using file = directory.createFile(fileName("file"), 0o600);
    setOwnerAndMode(file, Deno.uid() ?? 0, Deno.gid() ?? 0, 0o7755);
    assertEquals(statusOf(file).mode, 0o7755);
    setOwnerAndMode(file, Deno.uid() ?? 0, Deno.gid() ?? 0, 0);
    assertEquals(statusOf(file).mode, 0);
  });
});

Deno.test("sizes beyond 32 bits are exact", () => {
  inScratch((directory) => {
    using file = directory.createFile(fileName("sparse"), 0o600);
    truncate(file, 2 ** 33 + 12_345);
    const { size, blocks } = statusOf(file);
    assertEquals(size, 2 ** 33 + 12_345);
    assert(blocks < 1000);
  });
});

Deno.test("times are exact to the nanosecond, before 1970 and after 2038", () => {
  inScratch((directory, path) => {
    using file = directory.createFile(fileName("file"), 0o600);
    const second = 1_000_000_000n;
    for (
      const ns of [
        0n,
        1n,
        999_999_999n,
        1_700_000_000n * second + 123_456_789n,
        2n ** 32n * second + 1n,
        -1n,
        -1_500_000_000n,
        7n - (2n ** 31n - 1n) * second,
      ]
    ) {
      setModificationTime(file, ns);
      assertEquals(statusOf(file).mtimeNs, ns);
      const expectedMs = Number(
        (ns - (((ns % 1_000_000n) + 1_000_000n) % 1_000_000n)) / 1_000_000n,
      );
      if (ns >= 0n) assertEquals(Deno.statSync(`${path}/file`).mtime?.getTime(), expectedMs);
    }
  });
});

Deno.test("I5: every change shows in the time of change", () => {
  inScratch((directory) => {
    using file = directory.createFile(fileName("file"), 0o600);
    const start = BigInt(Date.now()) * 1_000_000n;
    const seen = [statusOf(file).ctimeNs];
    const change = (what: () => void) => {
      // Before Linux 6.13 the clock of times ticks in milliseconds.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 12);
      what();
      seen.push(statusOf(file).ctimeNs);
    };
    change(() => writeAll(file, new Uint8Array(1)));
    change(() => setModificationTime(file, 0n));
    change(() => setOwnerAndMode(file, Deno.uid() ?? 0, Deno.gid() ?? 0, 0o640));
    change(() => directory.rename(fileName("file"), directory, fileName("other")));
    assertEquals(seen, [...new Set(seen)].sort((a, b) => (a < b ? -1 : 1)));
    assert(seen.every((ns) => ns > start - 60_000_000_000n && ns < start + 60_000_000_000n));
  });
});

Deno.test("struct statx is laid out as linux/stat.h says", () => {
  const view = new DataView(new ArrayBuffer(256));
  view.setUint32(16, 3, true); // stx_nlink
  view.setUint32(20, 1001, true); // stx_uid
  view.setUint32(24, 1002, true); // stx_gid
  view.setUint16(28, 0o104755, true); // stx_mode
  view.setBigUint64(32, 2n ** 40n + 5n, true); // stx_ino
  view.setBigUint64(40, 2n ** 41n + 6n, true); // stx_size
  view.setBigUint64(48, 77n, true); // stx_blocks
  view.setBigInt64(96, 1_700_000_000n, true); // stx_ctime
  view.setUint32(104, 9, true);
  view.setBigInt64(112, -1n, true); // stx_mtime
  view.setUint32(120, 8, true);
  view.setUint32(136, 8, true); // stx_dev_major
  view.setUint32(140, 17, true); // stx_dev_minor
  view.setBigUint64(144, 2n ** 33n + 1n, true); // stx_mnt_id
  assertEquals(parseStatx(view), {
    kind: "file",
    mode: 0o4755,
    uid: 1001,
    gid: 1002,
    links: 3,
    device: 8 * 2 ** 20 + 17,
    mountId: 2 ** 33 + 1,
    inode: 2 ** 40 + 5,
    size: 2 ** 41 + 6,
    blocks: 77,
    ctimeNs: 1_700_000_000_000_000_009n,
    mtimeNs: -999_999_992n,
  });
});
