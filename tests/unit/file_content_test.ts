/** Content and attributes of open files: on any filesystem, and reflinks on a real btrfs. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type FileName, fileName, fromText } from "../../ffi/byte_string.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { Directory } from "../../ffi/directory.ts";
import { SystemError } from "../../ffi/errno.ts";
import {
  clone,
  cloneNow,
  cloneOrCopy,
  copy,
  hasWriters,
  readSmall,
  sameVersion,
  setModificationTime,
  setOwnerAndMode,
  truncate,
  writeAll,
  writeAt,
} from "../../ffi/file_content.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { sameContent } from "../../ffi/same_content.ts";
import { marked, must } from "../support/command.ts";
import { LoopFilesystem } from "../support/loop_filesystem.ts";
import { MappedFile } from "../support/mapped_file.ts";
import { obstacle } from "../support/prerequisites.ts";
import { scratchDirectory } from "../support/scratch.ts";

const MIB = 2 ** 20;

const moduleOf = (name: string) => new URL(`../../ffi/${name}.ts`, import.meta.url).href;

/** A directory and its path, on a filesystem without reflinks. */
class Place implements Disposable {
  readonly path: string;
  readonly directory: Directory;
  #files = 0;

  constructor(path = scratchDirectory("content", "memory")) {
    this.path = path;
    this.directory = Directory.openTrusted(fromText(path));
  }

  file(content: Uint8Array<ArrayBuffer> = new Uint8Array(0)): Descriptor {
    const file = this.directory.createFile(this.nextName(), 0o600);
    writeAll(file, content);
    return file;
  }

  nextName(): FileName {
    return fileName(`file ${this.#files++}`);
  }

  [Symbol.dispose](): void {
    this.directory.close();
  }
}

/** Bytes that repeat nowhere near a page or a buffer. */
function pattern(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0, value = seed; i < length; i++) {
    value = (value * 1_103_515_245 + 12_345) & 0x7fffffff;
    bytes[i] = value >> 16;
  }
  return bytes;
}

function content(file: Descriptor): Uint8Array<ArrayBuffer> {
  return readSmall(file, 64 * MIB);
}

Deno.test("a copy is byte-equal, whatever the size", async () => {
  using place = new Place();
  for (const size of [0, 1, 4095, 4096, 4097, 256 * 1024 + 1, 8 * MIB + 1, 17 * MIB]) {
    using source = place.file(pattern(size));
    using target = place.file(pattern(100, 9)); // what it held is gone
    await copy(source, target);
    assertEquals(statusOf(target).size, size);
    assert(await sameContent(source, target), `${size} bytes`);
  }
});

Deno.test("I4: a copy between two filesystems is whole", async () => {
  using memory = new Place();
  using disk = new Place(scratchDirectory("content", "disk"));
  using source = memory.file(pattern(9 * MIB + 7));
  using target = disk.file();
  await cloneOrCopy(source, target);
  assert(await sameContent(source, target));
});

Deno.test("a copy of a sparse file is equal", async () => {
  using place = new Place();
  using source = place.file();
  truncate(source, 30 * MIB);
  writeAt(source, pattern(1000), 20 * MIB);
  using target = place.file();
  await copy(source, target);
  assert(await sameContent(source, target));
});

Deno.test("I6: a copy of a sparse file takes no more room than the file", async () => {
  using disk = new Place(scratchDirectory("content", "disk"));
  using source = disk.file();
  truncate(source, 2 ** 40);
  writeAt(source, pattern(1000), 2 ** 39);
  using target = disk.file();
  await copy(source, target);
  assertEquals(statusOf(target).size, 2 ** 40);
  const { blocks } = await Deno.stat(`${disk.path}/file 1`);
  assert((blocks ?? 0) * 512 < MIB, `${blocks} blocks`);
  assert(await sameContent(source, target));
});

Deno.test("I7: files that are nearly nothing but holes are compared in no time, wherever they differ", async () => {
  using disk = new Place(scratchDirectory("content", "disk"));
  const size = 2 ** 43;
  const sparse = (...places: number[]) => {
    const file = disk.file();
    truncate(file, size);
    for (const place of places) writeAt(file, pattern(100), place);
    return file;
  };
  using one = sparse(2 ** 30, 2 ** 41);
  using same = sparse(2 ** 41, 2 ** 30);
  assert(await sameContent(one, same));
  using zeros = sparse(2 ** 30, 2 ** 41);
  writeAt(zeros, new Uint8Array(5000), 2 ** 35);
  assert(await sameContent(one, zeros), "zeros are like a hole");
  for (const places of [[], [2 ** 30], [2 ** 41], [2 ** 30, 2 ** 41, size - 100]]) {
    using other = sparse(...places);
    assertEquals(await sameContent(one, other), false, `${places}`);
    assertEquals(await sameContent(other, one), false, `${places}`);
  }
});

Deno.test("wherever data and holes are, a comparison is that of the bytes, and a copy has them all", async () => {
  using disk = new Place(scratchDirectory("content", "disk"));
  const size = 400 * 1024;
  // Of few places and values, so that files are often alike.
  const write = fc.record({
    offset: fc.nat(24).map((n) => n * 16 * 1024),
    length: fc.constantFrom(1, 4096, 16 * 1024),
    value: fc.constantFrom(0, 1),
  });
  const layout = fc.array(write, { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(layout, layout, async (ofOne, ofOther) => {
      const make = (writes: typeof ofOne) => {
        const file = disk.file();
        truncate(file, size);
        const bytes = new Uint8Array(size);
        for (const { offset, length, value } of writes) {
          writeAt(file, new Uint8Array(length).fill(value), offset);
          bytes.fill(value, offset, offset + length);
        }
        return { file, bytes };
      };
      const [one, other] = [make(ofOne), make(ofOther)];
      using a = one.file;
      using b = other.file;
      assertEquals(await sameContent(a, b), one.bytes.every((byte, i) => byte === other.bytes[i]));
      using copied = disk.file();
      await copy(a, copied);
      assertEquals(readSmall(copied, size), one.bytes);
    }),
    { numRuns: 60 },
  );
});

Deno.test("files of the same size that differ in one byte are not the same, wherever it is", async () => {
  using place = new Place();
  const size = 2 * MIB + 77;
  using one = place.file(pattern(size));
  for (const offset of [0, 1, MIB - 1, MIB, 2 * MIB, size - 1]) {
    const bytes = pattern(size);
    bytes[offset] = (bytes[offset] ?? 0) ^ 0x80;
    using other = place.file(bytes);
    assertEquals(await sameContent(one, other), false, `differs at ${offset}`);
  }
  using shorter = place.file(pattern(size - 1));
  assertEquals(await sameContent(one, shorter), false);
  using equal = place.file(pattern(size));
  assert(await sameContent(one, equal));
});

Deno.test("a filesystem without reflinks says so, in words", async () => {
  using place = new Place(scratchDirectory("content", "disk"));
  using source = place.file(pattern(10));
  using target = place.file();
  let failure: unknown;
  try {
    cloneNow(source, target);
  } catch (error) {
    failure = error;
  }
  if (failure === undefined) return; // it has reflinks
  assert(
    failure instanceof SystemError && failure.is("EOPNOTSUPP", "ENOTTY", "EINVAL"),
    `${failure}`,
  );
  await assertRejects(() => clone(source, target), SystemError, failure.message);
});

Deno.test("writing goes to the position or the place that was asked for", () => {
  using place = new Place();
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: 200 }), fc.uint8Array({ maxLength: 100 }))),
      (writes) => {
        using file = place.file();
        const model = new Uint8Array(300);
        let size = 0;
        for (const [offset, bytes] of writes) {
          writeAt(file, new Uint8Array(bytes), offset);
          model.set(bytes, offset);
          if (bytes.length > 0) size = Math.max(size, offset + bytes.length);
        }
        assertEquals(content(file), model.slice(0, size));
      },
    ),
  );
});

Deno.test("I6: a file that is larger than it may be is not read", () => {
  using place = new Place();
  using file = place.file(pattern(100));
  assertEquals(readSmall(file, 100), pattern(100));
  assertThrows(() => readSmall(file, 99), SystemError, "EFBIG");
});

Deno.test("truncating cuts, or adds zeros that take no room", () => {
  using place = new Place();
  using file = place.file(pattern(10));
  truncate(file, 4);
  assertEquals(content(file), pattern(10).slice(0, 4));
  truncate(file, 10 * MIB);
  assertEquals(statusOf(file).size, 10 * MIB);
  assert(statusOf(file).blocks < 100);
});

Deno.test("the owner is set before the mode, so that the mode stays", () => {
  using place = new Place();
  using file = place.file();
  const [uid, gid] = Deno.uid() === 0 ? [4321, 8765] : [Deno.uid() ?? 0, Deno.gid() ?? 0];
  setOwnerAndMode(file, uid, gid, 0o6755);
  const status = statusOf(file);
  assertEquals([status.uid, status.gid, status.mode], [uid, gid, 0o6755]);
});

Deno.test("setting the time of modification leaves everything else", () => {
  using place = new Place();
  using file = place.file(pattern(10));
  const before = statusOf(file);
  fc.assert(fc.property(fc.bigInt({ min: -(10n ** 18n), max: 4n * 10n ** 18n }), (ns) => {
    setModificationTime(file, ns);
    const { mtimeNs, size, mode, uid } = statusOf(file);
    assertEquals({ mtimeNs, size, mode, uid }, {
      mtimeNs: ns,
      size: 10,
      mode: before.mode,
      uid: before.uid,
    });
  }));
});

Deno.test("two looks at an untouched file are of the same version; any change ends that", () => {
  using place = new Place();
  using file = place.file(pattern(10));
  const before = statusOf(file);
  assert(sameVersion(before, statusOf(file)));
  setModificationTime(file, 0n);
  assert(!sameVersion(before, statusOf(file)));
  using other = place.file(pattern(10));
  assert(!sameVersion(statusOf(file), statusOf(other)));
});

Deno.test("who holds a file open for writing is noticed", () => {
  using place = new Place();
  const name = place.nextName();
  using writer = place.directory.createFile(name, 0o600);
  const reader = place.directory.openRegular(name);
  assert(reader !== undefined);
  using file = reader.file;
  assertEquals(hasWriters(file), true);
  writer.close();
  assertEquals(hasWriters(file), false);
});

Deno.test("I7: whoever opens a file for writing while that is asked ends nobody", async () => {
  using place = new Place();
  const name = place.nextName();
  place.directory.createFile(name, 0o600).close();
  const program = `${scratchDirectory("asks")}/asks.ts`;
  await Deno.writeTextFile(
    program,
    `import { Directory } from ${JSON.stringify(moduleOf("directory"))};
     import { hasWriters } from ${JSON.stringify(moduleOf("file_content"))};
     const { file } = Directory.openTrusted(${JSON.stringify(place.path)}).openRegular("${name}");
     console.log("asking");
     const end = performance.now() + 1500;
     while (performance.now() < end) hasWriters(file);`,
  );
  const asking = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--no-lock", "--no-check", program],
    env: marked(),
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const ended = asking.output();
  let hasEnded = false;
  ended.then(() => hasEnded = true);
  while (!hasEnded) {
    for (let i = 0; i < 1000; i++) Deno.openSync(`${place.path}/${name}`, { write: true }).close();
    await new Promise((resolve) => setTimeout(resolve));
  }
  const { code, signal, stdout } = await ended;
  assertEquals({ code, signal }, { code: 0, signal: null });
  assertEquals(new TextDecoder().decode(stdout), "asking\n");
});

const reason = obstacle("btrfs");

Deno.test({
  name: `reflinks on btrfs${reason === undefined ? "" : ` [${reason}]`}`,
  ignore: reason !== undefined,
  fn: async (test) => {
    await using btrfs = await LoopFilesystem.create("btrfs", { sizeMiB: 128 });
    using place = new Place(await btrfs.directory());

    await test.step("a clone is equal, and stays as it is when the source is written", async () => {
      using source = place.file(pattern(3 * MIB + 5));
      using now = place.file();
      using later = place.file();
      cloneNow(source, now);
      await clone(source, later);
      writeAt(source, pattern(MIB, 7), 0);
      using original = place.file(pattern(3 * MIB + 5));
      assert(await sameContent(now, original));
      assert(await sameContent(later, original));
      assert(!await sameContent(source, original));
    });

    await test.step("a clone of a longer file is not cut, of a shorter one leaves nothing behind", async () => {
      using target = place.directory.createUnnamed();
      using long = place.file(pattern(100_000));
      cloneNow(long, target);
      assertEquals(statusOf(target).size, 100_000);
      using empty = place.file();
      using second = place.directory.createUnnamed();
      await cloneOrCopy(empty, second);
      assertEquals(statusOf(second).size, 0);
    });

    await test.step("a file that is not copied on write (chattr +C) is copied instead", async () => {
      const name = place.nextName();
      Deno.writeTextFileSync(`${place.path}/${name}`, "");
      await must("chattr", ["+C", `${place.path}/${name}`]);
      Deno.writeFileSync(`${place.path}/${name}`, pattern(MIB));
      const opened = place.directory.openRegular(name);
      assert(opened !== undefined);
      using source = opened.file;
      using target = place.file();
      assertThrows(() => cloneNow(source, target), SystemError, "EINVAL");
      await cloneOrCopy(source, target);
      assert(await sameContent(source, target));
    });

    await test.step("I1: what is written to such a file by mmap(2) after it was copied shows in its times", async () => {
      const path = `${place.path}/mapped`;
      Deno.writeTextFileSync(path, "");
      await must("chattr", ["+C", path]);
      Deno.writeFileSync(path, pattern(10_000));
      using mapped = new MappedFile(path);
      const opened = place.directory.openRegular(fileName("mapped"));
      assert(opened !== undefined);
      using source = opened.file;
      using target = place.file();
      await cloneOrCopy(source, target);
      const copied = statusOf(source);
      mapped.write(new TextEncoder().encode("later"));
      assert(!sameVersion(copied, statusOf(source)));
    });

    await test.step("from another filesystem it is copied", async () => {
      using elsewhere = new Place();
      using source = elsewhere.file(pattern(MIB));
      using target = place.file();
      assertThrows(() => cloneNow(source, target), SystemError, "EXDEV");
      await cloneOrCopy(source, target);
      assert(await sameContent(source, target));
    });

    await test.step("a full disk is an error, not a shorter copy", async () => {
      using elsewhere = new Place();
      using source = elsewhere.file();
      const piece = pattern(8 * MIB);
      for (let i = 0; i < 20; i++) writeAll(source, piece);
      using target = place.directory.createUnnamed();
      await assertRejects(() => cloneOrCopy(source, target), SystemError);
    });
  },
});
