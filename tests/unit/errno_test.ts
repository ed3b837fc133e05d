/** Failed system calls, as the code and as people read them. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type ByteString, fromText, toBytes } from "../../ffi/byte_string.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { check, ERRNO, errnoName, isErrno, SystemError } from "../../ffi/errno.ts";
import { libc } from "../../ffi/libc.ts";
import { AT, O } from "../../ffi/platform.ts";
import { scratchDirectory } from "../support/scratch.ts";

function open(path: string, flags: number): Descriptor {
  const name = fromText(path);
  const number = libc.openat(AT.FDCWD, toBytes(`${name}\0` as ByteString), flags, 0o600);
  return new Descriptor(check(number, "open", name));
}

Deno.test("the kernel's own errors have the names that we give them", () => {
  const folder = scratchDirectory("errno");
  Deno.writeTextFileSync(`${folder}/file`, "");
  Deno.symlinkSync("loop", `${folder}/loop`);
  const table: [keyof typeof ERRNO, string, number][] = [
    ["ENOENT", `${folder}/missing`, O.RDONLY],
    ["EEXIST", `${folder}/file`, O.CREAT | O.EXCL | O.RDWR],
    ["ENOTDIR", `${folder}/file/x`, O.RDONLY],
    ["EISDIR", folder, O.WRONLY],
    ["ELOOP", `${folder}/loop`, O.RDONLY],
    ["ENAMETOOLONG", `${folder}/${"x".repeat(256)}`, O.RDONLY],
    ["EINVAL", folder, O.TMPFILE],
  ];
  for (const [name, path, flags] of table) {
    const error = assertThrows(() => open(path, flags), SystemError);
    assertEquals([error.code, error.errno], [name, ERRNO[name]], path);
    assert(error.is(name) && isErrno(error, "EPERM", name) && !isErrno(error, "EPERM"));
  }
});

Deno.test("a message names the call, what it was about, and what the error means", () => {
  const error = new SystemError("open", ERRNO.EMFILE, fromText("a/b"));
  assertEquals(error.message, "open a/b: EMFILE (too many open files (raise LimitNOFILE))");
  assertStringIncludes(new SystemError("pwrite", ERRNO.ENOSPC).message, "(no space left)");
  for (
    const [call, code, limit] of [
      ["inotify_add_watch", "ENOSPC", "max_user_watches"],
      ["inotify_init1", "EMFILE", "max_user_instances"],
    ] as const
  ) {
    assertStringIncludes(new SystemError(call, ERRNO[code]).message, `fs.inotify.${limit}`);
  }
  assertEquals(new SystemError("sendmsg", 109).message, "sendmsg: errno 109");
  assertEquals([errnoName(2), errnoName(9999)], ["ENOENT", "errno 9999"]);
});

Deno.test("I9: a guest's name in a message is escaped", () => {
  const { message } = new SystemError("open", ERRNO.ENOENT, "a\n<0>\x1b[2J\xff" as ByteString);
  assertStringIncludes(message, "a\\x0a<0>\\x1b[2J\\xff");
});

Deno.test("other errors have no errno", () => {
  assert(!isErrno(new Error("ENOENT"), "ENOENT"));
  assert(!isErrno(undefined, "ENOENT"));
});

Deno.test("a result of 0 or more passes", () => {
  assertEquals([check(0, "read"), check(7, "read")], [0, 7]);
});
