/** Before Linux 6.10 an unnamed file gets its name by AT_EMPTY_PATH only from whoever has CAP_DAC_READ_SEARCH. */

import { intercept } from "./support/libc_hook.ts"; // before everything that opens the C library
// @ts-types="../support/assert.d.ts"
import { assertEquals, assertThrows } from "@std/assert";
import { fileName, fromText } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { ERRNO, SystemError } from "../../ffi/errno.ts";
import { AT } from "../../ffi/platform.ts";
import { scratchDirectory } from "../support/scratch.ts";

/** The calls of linkat while `run` runs, which AT_EMPTY_PATH does not work for if it `isRefused`. */
function callsDuring(run: () => void, isRefused: boolean): number {
  let calls = 0;
  intercept({
    before(name, args) {
      if (name !== "linkat") return;
      calls++;
      return isRefused && args[4] === AT.EMPTY_PATH ? ERRNO.ENOENT : undefined;
    },
  });
  try {
    run();
  } finally {
    intercept(undefined);
  }
  return calls;
}

Deno.test("I4: an unnamed file gets its name also where that needs a detour, which is found out once", () => {
  const path = scratchDirectory("naming");
  using directory = Directory.openTrusted(fromText(path));
  const give = (to: string, place = directory) => {
    using file = place.createUnnamed();
    place.linkUnnamed(file, fileName(to));
  };
  Deno.mkdirSync(`${path}/gone`);
  using gone = Directory.openTrusted(fromText(`${path}/gone`));
  using file = gone.createUnnamed();
  Deno.removeSync(`${path}/gone`);
  // This is no reason to do without from now on.
  assertThrows(() => gone.linkUnnamed(file, fileName("file")), SystemError, "ENOENT");
  assertEquals(callsDuring(() => give("one"), false), 1);
  assertEquals(callsDuring(() => give("two"), true), 2);
  assertEquals(callsDuring(() => give("three"), true), 1);
  assertEquals([...Deno.readDirSync(path)].map(({ name }) => name).sort(), ["one", "three", "two"]);
});
