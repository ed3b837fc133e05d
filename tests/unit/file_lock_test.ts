/** Locks of open files: one holder at a time, also within a process, until it closes. */

// @ts-types="../support/assert.d.ts"
import { assert } from "@std/assert";
import { fileName, fromText } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { lockFile } from "../../ffi/file_lock.ts";
import { scratchDirectory } from "../support/scratch.ts";

Deno.test("a file is locked by one opening at a time, and free again when that is closed", () => {
  using directory = Directory.openTrusted(fromText(scratchDirectory("lock")));
  const open = () => directory.openOrCreateFile(fileName("lock"), 0o600);
  const first = open();
  using second = open();
  assert(lockFile(first));
  assert(lockFile(first), "its own lock is in nobody's way");
  assert(!lockFile(second));
  first.close();
  assert(lockFile(second));
});
