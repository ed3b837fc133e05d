/** Names and paths are bytes; people are shown one harmless line of them. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import {
  asFileName,
  asRelativePath,
  type ByteString,
  display,
  displayPath,
  displayText,
  type FileName,
  fileName,
  fromBytes,
  fromText,
  isWithin,
  join,
  nameOf,
  parentOf,
  type RelativePath,
  ROOT,
  toBytes,
  writeBytes,
} from "../../ffi/byte_string.ts";

const bytes = fc.uint8Array({ maxLength: 300 });
/** Bytes among which escapes, line ends and beginnings of UTF-8 sequences are frequent. */
const hostileBytes = fc.array(
  fc.oneof(
    fc.constantFrom(0x0a, 0x1b, 0x5c, 0x78, 0x75, 0x7b, 0x7f, 0x80, 0xbf, 0xc2, 0xe2, 0xf0, 0xff),
    fc.nat({ max: 255 }),
  ),
  { maxLength: 40 },
).map((list) => fromBytes(new Uint8Array(list)));
const names = fc.uint8Array({ min: 1, minLength: 1, maxLength: 255 })
  .map((list) => asFileName(fromBytes(list))).filter((name) => name !== undefined);
const paths = fc.array(names, { maxLength: 6 }).map((list) => list.reduce(join, ROOT));

Deno.test("any bytes survive the way to a ByteString and back", () => {
  fc.assert(
    fc.property(
      bytes,
      (list) => assertEquals(toBytes(fromBytes(list)), list as Uint8Array<ArrayBuffer>),
    ),
  );
  const long = new Uint8Array(100_000).map((_, i) => i);
  assertEquals(toBytes(fromBytes(long)), long);
});

Deno.test("a part of a buffer is read, and text is written where it belongs", () => {
  assertEquals(fromBytes(new Uint8Array([1, 65, 66, 2]), 1, 3), "AB");
  const target = new Uint8Array(4);
  assertEquals(writeBytes("AB" as ByteString, target, 1), 3);
  assertEquals(target, new Uint8Array([0, 65, 66, 0]));
});

Deno.test("I2: a file name is one component that the kernel could have told, and nothing else", () => {
  for (const bad of ["", ".", "..", "/", "a/b", "a\0", "\0", "x".repeat(256)]) {
    assertEquals(asFileName(bad as ByteString), undefined, JSON.stringify(bad));
  }
  for (const good of ["...", " ", "-", "\n", "\xff", "x".repeat(255), "a\\b"]) {
    assertEquals(asFileName(good as ByteString), good as FileName);
  }
  fc.assert(fc.property(bytes, (list) => {
    const name = asFileName(fromBytes(list));
    if (name === undefined) return;
    assert(name.length > 0 && name.length <= 255);
    assert(!/[/\0]/.test(name));
    assertNotEquals(name, "..");
  }));
});

Deno.test("I2: a relative path is made of file names only", () => {
  assertEquals(asRelativePath(ROOT), ROOT);
  for (
    const bad of ["/", "/a", "a/", "a//b", ".", "a/..", "a/./b", "a/\0", `${"x".repeat(256)}/a`]
  ) {
    assertEquals(asRelativePath(bad as ByteString), undefined, JSON.stringify(bad));
  }
  fc.assert(fc.property(paths, (path) => assertEquals(asRelativePath(path), path)));
});

Deno.test("a joined path comes apart again", () => {
  fc.assert(fc.property(paths, names, (directory, name) => {
    const path = join(directory, name);
    assertEquals(parentOf(path), directory);
    assertEquals(nameOf(path), name);
    assert(isWithin(path, directory));
    assert(!isWithin(directory, path));
    assert(isWithin(path, ROOT));
    assert(isWithin(path, path));
  }));
  assertEquals(parentOf(ROOT), ROOT);
});

Deno.test("a name that begins like a directory does not lie within it", () => {
  const path = (text: string) => text as RelativePath;
  assert(!isWithin(path("ab"), path("a")));
  assert(!isWithin(path("a"), path("ab")));
  assert(!isWithin(path("ab/c"), path("a")));
  assert(isWithin(path("a/b/c"), path("a/b")));
});

Deno.test("people read their own letters", () => {
  for (const text of ["report.pdf", "Müller & Søn", "日本語", "naïve – café", "🙂 ok", "a b"]) {
    assertEquals(displayText(text), text);
  }
});

Deno.test("I9: line ends, escapes, controls, invisible and misdirecting characters are spelled out", () => {
  assertEquals(display("a\nb\r\t\0\x7f" as ByteString), "a\\x0ab\\x0d\\x09\\x00\\x7f");
  assertEquals(display("\x1b[31m" as ByteString), "\\x1b[31m");
  assertEquals(
    displayText("\u202e\u2066\u200b\u0085\u2028\ufeff"),
    "\\u{202e}\\u{2066}\\u{200b}\\u{85}\\u{2028}\\u{feff}",
  );
  assertEquals(display("\\x0a" as ByteString), "\\\\x0a");
});

Deno.test("I9: bytes that are not UTF-8 are spelled out one by one", () => {
  // Alone, cut off, overlong, a surrogate, and beyond Unicode.
  for (
    const list of [[0x80], [0xc3], [0xe2, 0x82], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [
      0xf4,
      0x90,
      0x80,
      0x80,
    ], [0xff]]
  ) {
    const expected = list.map((byte) => `\\x${byte.toString(16)}`).join("");
    assertEquals(display(fromBytes(new Uint8Array(list))), expected);
  }
});

Deno.test("I9: whatever the bytes, what is shown is one line without controls", () => {
  fc.assert(
    fc.property(hostileBytes, (text) => {
      const shown = display(text);
      assert(!/[\p{C}\p{Zl}\p{Zp}]/u.test(shown), JSON.stringify(shown));
      assertEquals(
        new TextDecoder("utf-8", { fatal: true }).decode(new TextEncoder().encode(shown)),
        shown,
      );
    }),
    { numRuns: 2000 },
  );
});

Deno.test("I9: two names that differ are shown differently", () => {
  fc.assert(
    fc.property(hostileBytes, hostileBytes, (one, other) => {
      if (one !== other) assertNotEquals(display(one), display(other));
    }),
    { numRuns: 2000 },
  );
  // The same for neighbours, which random pairs seldom are.
  fc.assert(
    fc.property(hostileBytes, (text) => {
      assertNotEquals(display(text), display(fromText(display(text) + "x")));
      for (let i = 0; i < text.length; i++) {
        const escaped = `${text.slice(0, i)}\\x${text.charCodeAt(i).toString(16).padStart(2, "0")}${
          text.slice(i + 1)
        }`;
        assertNotEquals(display(text), display(escaped as ByteString));
      }
    }),
    { numRuns: 1000 },
  );
});

Deno.test("a name of our own that could not be a file name is our own mistake", () => {
  assertEquals(fileName("ok"), "ok" as FileName);
  let failure: unknown;
  try {
    fileName("a/b");
  } catch (error) {
    failure = error;
  }
  assert(failure instanceof RangeError);
});

Deno.test("I6: of a path that no program can name begin and end are shown", () => {
  const path = (length: number) => `begin\n${"/x".repeat(length / 2)}/end\n` as ByteString;
  assertEquals(displayPath(path(8192)), display(path(8192)));
  const shown = displayPath(path(10_000_000));
  assert(/^begin\\x0a\/x[/x]+…[/x]+\/end\\x0a$/.test(shown));
  assert(shown.length < 17_000);
});
