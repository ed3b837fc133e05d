/**
 * Confined access to a tree that somebody else controls, on the real kernel: by openat2, and, in a process where a
 * filter refuses that, by walking.
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  asRelativePath,
  type ByteString,
  type FileName,
  fileName,
  fromBytes,
  fromText,
  type RelativePath,
  ROOT,
  toBytes,
} from "../../ffi/byte_string.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { Directory } from "../../ffi/directory.ts";
import { type DirectoryEntry, parseDirents } from "../../ffi/dirent.ts";
import { ERRNO, isErrno, SystemError } from "../../ffi/errno.ts";
import { truncate, writeAll } from "../../ffi/file_content.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { RENAME_EXCHANGE, SYS_OPENAT2 } from "../../ffi/platform.ts";
import { must, run } from "../support/command.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { LoopFilesystem } from "../support/loop_filesystem.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { refuseSystemCall } from "../support/system_call_filter.ts";

const WITHOUT_OPENAT2 = "TEST_WITHOUT_OPENAT2";
const FILTER_IN_PLACE = "the filter is in place, or the other tests of this process prove nothing";
const walking = Deno.env.get(WITHOUT_OPENAT2) === "1";
if (walking) refuseSystemCall(Number(SYS_OPENAT2), ERRNO.ENOSYS);

const isRoot = Deno.uid() === 0;

/** A share with somebody else's directory beside it. */
class Place implements Disposable {
  readonly base = scratchDirectory("directory");
  readonly share: Directory;

  constructor() {
    Deno.mkdirSync(this.inside());
    Deno.mkdirSync(this.outside("deep"), { recursive: true });
    Deno.writeTextFileSync(this.outside("secret"), "secret");
    this.share = Directory.openTrusted(fromText(this.inside()));
  }

  inside(path = ""): string {
    return `${this.base}/share${path && `/${path}`}`;
  }

  outside(path = ""): string {
    return `${this.base}/outside${path && `/${path}`}`;
  }

  [Symbol.dispose](): void {
    this.share.close();
    Deno.removeSync(this.base, { recursive: true });
  }
}

function path(text: string): RelativePath {
  const checked = asRelativePath(fromText(text));
  assert(checked !== undefined);
  return checked;
}

function names(directory: Directory): string[] {
  return [...directory.entries()].map(({ name }) => name).sort();
}

/** Whether this process could open `path` beneath the share. */
function reaches(share: Directory, text: string): boolean {
  const opened = share.openBeneath(path(text));
  opened?.close();
  return opened !== undefined;
}

/** Whether something that is mounted keeps this process from `path` beneath the share. */
function meetsMount(share: Directory, text: string): boolean {
  let meets = false;
  share.openBeneath(path(text), () => meets = true)?.close();
  return meets;
}

Deno.test("a directory is opened at any depth beneath another one", () => {
  using place = new Place();
  Deno.mkdirSync(place.inside("a/b/c"), { recursive: true });
  assert(reaches(place.share, "a"));
  assert(reaches(place.share, "a/b/c"));
  assert(!reaches(place.share, "a/x/c"));
  using same = place.share.openBeneath(ROOT);
  assert(same !== undefined);
  assertEquals(statusOf(same).inode, statusOf(place.share).inode);
});

Deno.test("I2: no symbolic link is followed, in any component, wherever it leads", () => {
  using place = new Place();
  Deno.mkdirSync(place.inside("real/below"), { recursive: true });
  const targets = [place.outside(), "../outside", "real", ".", "..", "/proc/self/root", "/"];
  for (const [i, target] of targets.entries()) {
    Deno.symlinkSync(target, place.inside(`link${i}`));
    Deno.symlinkSync(target, place.inside(`real/link${i}`));
    for (const link of [`link${i}`, `real/link${i}`]) {
      assert(!reaches(place.share, link), `${link} -> ${target}`);
      assert(!reaches(place.share, `${link}/deep`), `${link}/deep -> ${target}`);
      assert(!reaches(place.share, `${link}/below`), `${link}/below -> ${target}`);
    }
  }
  for (const target of ["../outside/secret", place.outside("secret")]) {
    const name = fileName(`file link to ${target.replaceAll("/", "_")}`.slice(0, 200));
    Deno.symlinkSync(target, place.inside(name));
    assertEquals(place.share.openRegular(name), undefined);
    assertEquals(place.share.openSubdirectory(name), undefined);
    assertEquals(place.share.status(name)?.kind, "link");
  }
});

Deno.test("I2: magic links are not followed", () => {
  using file = Deno.openSync("/proc/self/status");
  using self = Directory.openTrusted(fromText("/proc/self"));
  assert(reaches(self, "fd"));
  for (const link of ["cwd", "root", "cwd/x", "root/etc"]) assert(!reaches(self, link), link);
  using fds = self.openBeneath(path("fd"));
  using anything = fds?.entries().next().value && fds.openHandle(fileName("0")) ||
    new Descriptor(-1);
  if (anything.isOpen) assertEquals(statusOf(anything).kind, "link");
  assert(file !== undefined);
});

Deno.test("I2: names that lead elsewhere cannot be made", () => {
  for (const bad of ["", ".", "..", "a/b", "/", "a\0b", "x".repeat(256)]) {
    assertThrows(() => fileName(bad), RangeError);
  }
  for (const bad of ["/", "/a", "a//b", "a/", "a/../b", "./a", "a/.", "..", "a/\0/b"]) {
    assertEquals(asRelativePath(fromText(bad)), undefined, bad);
  }
});

Deno.test("a path of the host's own that leads to no directory is named, escaped", () => {
  using place = new Place();
  const path = fromText(place.inside("no\nsuch"));
  const error = assertThrows(() => Directory.openTrusted(path), SystemError);
  assertMatch(error.message, /^open \/.*\/no\\x0asuch: ENOENT/);
});

Deno.test("a path of the host's own with a NUL in it is refused, not cut off", () => {
  using place = new Place();
  const error = assertThrows(
    () => Directory.openTrusted(`${place.inside()}\0/../outside` as ByteString),
    SystemError,
  );
  assert(isErrno(error, "EINVAL"));
});

Deno.test({
  name: `I2: mount points are not entered, nor files mounted over others opened${
    isRoot ? "" : " [needs root]"
  }`,
  ignore: !isRoot,
  fn: async () => {
    using place = new Place();
    for (const name of ["mount", "parent/mount"]) {
      Deno.mkdirSync(place.inside(name), { recursive: true });
    }
    Deno.writeTextFileSync(place.inside("file"), "mine");
    const mounts: string[] = [];
    const mount = async (source: string, target: string) => {
      await must("mount", ["--bind", source, target]);
      mounts.unshift(target);
    };
    try {
      await mount(place.outside(), place.inside("mount"));
      await mount(place.outside(), place.inside("parent/mount"));
      await mount(place.outside("secret"), place.inside("file"));
      for (const name of ["mount", "mount/deep", "parent/mount", "parent/mount/deep"]) {
        assert(!reaches(place.share, name), name);
        assert(meetsMount(place.share, name), name);
      }
      for (const name of ["parent", "none", "parent/none"]) {
        assert(!meetsMount(place.share, name), name);
      }
      assertEquals(place.share.openSubdirectory(fileName("mount")), undefined);
      assertEquals(place.share.openRegular(fileName("file")), undefined);
      assert(reaches(place.share, "parent"));
    } finally {
      for (const target of mounts) await must("umount", ["-l", target]); // also after a failure
    }
  },
});

Deno.test("I2: FIFOs, sockets and devices are not opened", async () => {
  using place = new Place();
  await must("mkfifo", [place.inside("fifo")]);
  using _socket = Deno.listen({ transport: "unix", path: place.inside("socket") });
  Deno.mkdirSync(place.inside("directory"));
  const special = ["fifo", "socket", "directory"];
  if (isRoot) {
    await must("mknod", [place.inside("device"), "c", "1", "3"]);
    special.push("device");
  }
  for (const name of special) {
    assertEquals(place.share.openRegular(fileName(name)), undefined, name);
    const kind = name === "directory" ? "directory" : "other";
    assertEquals(place.share.status(fileName(name))?.kind, kind);
    using handle = place.share.openHandle(fileName(name));
    assertEquals(handle && statusOf(handle).kind, kind);
  }
});

Deno.test("what is not there is undefined, for every way to look at it", () => {
  using place = new Place();
  const none = fileName("none");
  assertEquals(place.share.openBeneath(none), undefined);
  assertEquals(place.share.openRegular(none), undefined);
  assertEquals(place.share.openSubdirectory(none), undefined);
  assertEquals(place.share.openHandle(none), undefined);
  assertEquals(place.share.status(none), undefined);
  assertEquals(place.share.removeFile(none), false);
  assertEquals(place.share.removeDirectory(none), false);
  Deno.writeTextFileSync(place.inside("file"), "");
  assertEquals(place.share.openBeneath(path("file/below")), undefined);
});

Deno.test("a regular file is opened for reading only, with its status", () => {
  using place = new Place();
  Deno.writeTextFileSync(place.inside("file"), "content", { mode: 0o640 });
  const opened = place.share.openRegular(fileName("file"));
  assert(opened !== undefined);
  using file = opened.file;
  assertEquals(opened.status.size, 7);
  assertEquals(opened.status.inode, Deno.statSync(place.inside("file")).ino);
  assertThrows(() => writeAll(file, new Uint8Array(1)), SystemError, "EBADF");
});

Deno.test("names are bytes: what is not UTF-8, is as long as can be or has controls is kept apart", () => {
  using place = new Place();
  const odd: FileName[] = [
    "\xff",
    "\xfe",
    "\xc3\x28",
    "\n",
    "\x1b[2J",
    "\xe4",
    "x".repeat(255),
    "...",
  ]
    .map((name) => name as FileName); // as getdents64 tells them
  for (const name of odd) {
    place.share.createFile(name, 0o600).close();
    assert(place.share.makeDirectory(`d${name}`.slice(0, 255) as FileName, 0o700));
  }
  const seen = new Set<string>(names(place.share));
  for (const name of odd) {
    assert(seen.has(name));
    assertEquals(place.share.status(name)?.kind, "file");
    assert(reaches(place.share, "dummy") === false);
    using directory = place.share.openBeneath(`d${name}`.slice(0, 255) as FileName);
    assert(directory !== undefined);
  }
  assertEquals(seen.size, 2 * odd.length);
});

Deno.test("a tree deeper than PATH_MAX is made, opened in one call and removed", async () => {
  using place = new Place();
  for (const name of [fileName("d".repeat(255)), fileName("e")]) {
    const depth = name.length === 1 ? 3000 : 50;
    let deepest = place.share.duplicate();
    for (let i = 0; i < depth; i++) {
      using parent = deepest;
      parent.makeDirectory(name, 0o755);
      deepest = parent.openBeneath(name) ?? deepest;
    }
    deepest.createFile(fileName("file"), 0o600).close();
    const whole = Array(depth).fill(name).join("/") as RelativePath;
    assert(whole.length > 4096);
    using opened = place.share.openBeneath(whole);
    assertEquals(opened && statusOf(opened).inode, statusOf(deepest).inode);
    assertEquals(place.share.openBeneath(`${whole}/x` as RelativePath), undefined);
    deepest.close();
    await must("rm", ["-r", place.inside(name)]);
  }
});

Deno.test("a long path is cut between its components, wherever these end", () => {
  using place = new Place();
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 255 }), { minLength: 30, maxLength: 40 }),
      (lengths) => {
        let deepest = place.share.duplicate();
        const parts = lengths.map((length) => "p".repeat(length) as FileName);
        for (const part of parts) {
          using parent = deepest;
          parent.makeDirectory(part, 0o755);
          deepest = parent.openBeneath(part) ?? deepest;
        }
        using last = deepest;
        using opened = place.share.openBeneath(parts.join("/") as RelativePath);
        assertEquals(opened && statusOf(opened).inode, statusOf(last).inode);
      },
    ),
    { numRuns: 30 },
  );
});

testOnEachFilesystem(
  "what is made after a directory was opened, and before it is listed, is listed",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind);
    const folder = await filesystem.directory("share");
    Deno.mkdirSync(`${folder}/d`);
    using share = Directory.openTrusted(fromText(folder));
    using opened = share.openBeneath(path("d"));
    Deno.writeTextFileSync(`${folder}/d/file`, "");
    assertEquals(opened && names(opened), ["file"]);
  },
);

Deno.test("all of 10,000 entries are read, each once, with their kinds", () => {
  using place = new Place();
  for (let i = 0; i < 10_000; i++) place.share.createFile(fileName(`file ${i}`), 0o600).close();
  Deno.mkdirSync(place.inside("directory"));
  Deno.symlinkSync("nowhere", place.inside("link"));
  const entries = [...place.share.entries()];
  assertEquals(new Set(entries.map(({ name }) => name)).size, 10_002);
  assertEquals(entries.length, 10_002);
  const kinds = Map.groupBy(entries, ({ kind }) => kind);
  assertEquals(kinds.get("file")?.length, 10_000);
  assertEquals(kinds.get("directory")?.map(({ name }) => name), ["directory"]);
  assertEquals(kinds.get("link")?.map(({ name }) => name), ["link"]);
});

Deno.test("directories can be read one within the other, and a reading be given up", () => {
  using place = new Place();
  for (let i = 0; i < 50; i++) {
    Deno.mkdirSync(place.inside(`${i}`));
    for (let j = 0; j < 20; j++) Deno.writeTextFileSync(place.inside(`${i}/${i}-${j}`), "");
  }
  for (const { name } of place.share.entries()) {
    using directory = place.share.openBeneath(name);
    assert(directory !== undefined);
    for (const _entry of directory.entries()) break;
    const inner = [...directory.entries()].map((entry) => entry.name);
    assertEquals(inner.length, 20);
    assert(inner.every((entry) => entry.startsWith(`${name}-`)));
  }
});

Deno.test("a directory that was removed has no entries", () => {
  using place = new Place();
  place.share.makeDirectory(fileName("gone"), 0o755);
  using gone = place.share.openBeneath(path("gone"));
  place.share.removeDirectory(fileName("gone"));
  assert(gone !== undefined);
  let entries: DirectoryEntry[] = [];
  try {
    entries = [...gone.entries()];
  } catch (error) {
    assert(isErrno(error, "ENOENT")); // some filesystems refuse to open it
  }
  assertEquals(entries, []);
});

Deno.test("a rename replaces nothing, an exchange swaps, and both say what failed", () => {
  using place = new Place();
  const [a, b, c] = [fileName("a"), fileName("b"), fileName("c")];
  Deno.writeTextFileSync(place.inside("a"), "A");
  Deno.writeTextFileSync(place.inside("b"), "B");
  Deno.mkdirSync(place.inside("d"));
  assertThrows(() => place.share.rename(a, place.share, b), SystemError, "EEXIST");
  assertEquals(Deno.readTextFileSync(place.inside("b")), "B");
  place.share.rename(a, place.share, c);
  assertEquals(names(place.share), ["b", "c", "d"]);
  place.share.rename(b, place.share, c, RENAME_EXCHANGE);
  assertEquals(Deno.readTextFileSync(place.inside("b")), "A");
  using directory = place.share.openBeneath(path("d"));
  assert(directory !== undefined);
  place.share.rename(b, directory, a);
  assertEquals(Deno.readTextFileSync(place.inside("d/a")), "A");
  assertThrows(() => place.share.rename(b, directory, c), SystemError, "ENOENT");
  assertThrows(() => place.share.rename(c, place.share, b, RENAME_EXCHANGE), SystemError, "ENOENT");
});

Deno.test("removing takes a file or an empty directory, and never the wrong one of both", () => {
  using place = new Place();
  Deno.writeTextFileSync(place.inside("file"), "");
  Deno.mkdirSync(place.inside("empty"));
  Deno.mkdirSync(place.inside("full/x"), { recursive: true });
  Deno.symlinkSync(place.outside("secret"), place.inside("link"));
  assertThrows(() => place.share.removeFile(fileName("empty")), SystemError);
  assertThrows(() => place.share.removeDirectory(fileName("file")), SystemError, "ENOTDIR");
  assertThrows(() => place.share.removeDirectory(fileName("full")), SystemError, "ENOTEMPTY");
  assert(place.share.removeFile(fileName("file")));
  assert(place.share.removeDirectory(fileName("empty")));
  assert(place.share.removeFile(fileName("link")));
  assertEquals(Deno.readTextFileSync(place.outside("secret")), "secret");
  assertEquals(names(place.share), ["full"]);
});

Deno.test("I4: an unnamed file is nowhere until it is given a name, which replaces nothing", () => {
  using place = new Place();
  using file = place.share.createUnnamed();
  writeAll(file, toBytes(fromText("whole")));
  assertEquals(names(place.share), []);
  assertEquals(statusOf(file).links, 0);
  assertEquals(statusOf(file).mode, 0o600);
  place.share.linkUnnamed(file, fileName("name"));
  assertEquals(Deno.readTextFileSync(place.inside("name")), "whole");
  using other = place.share.createUnnamed();
  assertThrows(() => place.share.linkUnnamed(other, fileName("name")), SystemError, "EEXIST");
  assertEquals(Deno.readTextFileSync(place.inside("name")), "whole");
});

Deno.test("a new file or directory takes no name that exists, a dangling link's included", () => {
  using place = new Place();
  Deno.symlinkSync(place.outside("created"), place.inside("link"));
  assertThrows(() => place.share.createFile(fileName("link"), 0o600), SystemError, "EEXIST");
  assertEquals(place.share.makeDirectory(fileName("link"), 0o700), false);
  assertThrows(() => Deno.statSync(place.outside("created")), Deno.errors.NotFound);
  using file = place.share.createFile(fileName("file"), 0o600);
  truncate(file, 5);
  assertEquals(place.share.status(fileName("file"))?.size, 5);
  assertEquals(place.share.makeDirectory(fileName("file"), 0o700), false);
  assertEquals(place.share.makeDirectory(fileName("directory"), 0o700), true);
});

Deno.test("a duplicate lives on its own, and a closed directory is never another one", () => {
  using place = new Place();
  const first = place.share.duplicate();
  using second = first.duplicate();
  first.close();
  first.close();
  assertThrows(() => first.status(fileName("x")), Error, "closed before");
  assertEquals(statusOf(second).inode, statusOf(place.share).inode);
});

Deno.test("records of getdents64 are read as the kernel writes them, and impossible names are passed over", () => {
  const record = fc.record({
    name: fc.uint8Array({ min: 1, minLength: 1, maxLength: 255 }),
    type: fc.constantFrom(0, 1, 2, 4, 6, 8, 10, 12),
    padding: fc.nat({ max: 7 }),
  });
  const kinds = new Map([[4, "directory"], [8, "file"], [10, "link"], [0, undefined]]);
  fc.assert(fc.property(fc.array(record, { maxLength: 20 }), (records) => {
    const bytes: number[] = [];
    for (const { name, type, padding } of records) {
      const length = 19 + name.length + 1 + padding;
      bytes.push(...new Array(16).fill(0x5a), length & 0xff, length >> 8, type, ...name);
      bytes.push(...new Array(1 + padding).fill(0));
    }
    const buffer = new Uint8Array([...bytes, 0xff, 0xff]);
    const expected = records.map(({ name, type }) => ({
      name: fromBytes(name) as FileName,
      kind: kinds.has(type) ? kinds.get(type) : "other",
    })).filter(({ name }) => name !== "." && name !== ".." && !name.includes("/"));
    assertEquals([...parseDirents(buffer, bytes.length)], expected as DirectoryEntry[]);
  }));
});

// One of them in each of the two processes: what is not meant to run in this one is no skipped test of it.
if (walking) {
  Deno.test(FILTER_IN_PLACE, () => {
    const libc = Deno.dlopen("libc.so.6", {
      openat2: {
        name: "syscall",
        parameters: ["i64", "i64", "buffer", "buffer", "usize"],
        result: "i64",
      },
    });
    const how = new Uint8Array(24);
    const root = toBytes("/\0" as ByteString);
    assertEquals(libc.symbols.openat2(SYS_OPENAT2, -100n, root, how, 24n), -1n);
    libc.close();
  });
} else {
  Deno.test("I2: all of this holds too where a sandbox refuses openat2", async () => {
    const args = ["test", "-A", "--no-prompt", "--no-check", new URL(import.meta.url).pathname];
    const env = { [WITHOUT_OPENAT2]: "1", NO_COLOR: "1" };
    const result = await run(Deno.execPath(), args, { env });
    const output = new TextDecoder().decode(result.stdout);
    assertEquals(result.code, 0, output);
    assertMatch(output, new RegExp(`${FILTER_IN_PLACE} \\.\\.\\. ok`));
  });
}
