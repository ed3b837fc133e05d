/** openat2 gives up (EAGAIN) when something is renamed or mounted anywhere during a lookup, as often as a guest likes. */

import { intercept } from "./support/libc_hook.ts"; // before everything that opens the C library
// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { ERRNO } from "../../ffi/errno.ts";
import { statusOf } from "../../ffi/file_status.ts";

function withBusyLookups(run: (share: Directory, path: string) => void): void {
  const path = Deno.makeTempDirSync({ prefix: "busy-" });
  using share = Directory.openTrusted(fromText(path));
  intercept({ before: (name) => name === "openat2" ? ERRNO.EAGAIN : undefined });
  try {
    run(share, path);
  } finally {
    intercept(undefined);
    Deno.removeSync(path, { recursive: true });
  }
}

Deno.test("I7: a directory is found although openat2 always says EAGAIN", () => {
  withBusyLookups((share, path) => {
    Deno.mkdirSync(`${path}/a/b/c`, { recursive: true });
    using found = share.openBeneath(fromText("a/b/c") as RelativePath);
    assert(found !== undefined);
    assertEquals(statusOf(found).inode, Deno.statSync(`${path}/a/b/c`).ino);
    assertEquals(share.openBeneath(fromText("a/x/c") as RelativePath), undefined);
  });
});

Deno.test("I2: then, too, no link is followed", () => {
  withBusyLookups((share, path) => {
    Deno.mkdirSync(`${path}/a`);
    Deno.symlinkSync("/", `${path}/a/root`);
    Deno.symlinkSync("a", `${path}/b`);
    for (const untrusted of ["a/root", "a/root/etc", "b", "b/root"]) {
      assertEquals(share.openBeneath(fromText(untrusted) as RelativePath), undefined, untrusted);
    }
  });
});
