/** Two guests' files with holes are compared: what one of them has makes nobody search the other again and again. */

import { intercept } from "./support/libc_hook.ts";
// @ts-types="../support/assert.d.ts"
import { assert } from "@std/assert";
import { fromText } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { truncate, writeAt } from "../../ffi/file_content.ts";
import { sameContent } from "../../ffi/same_content.ts";
import { scratchDirectory } from "../support/scratch.ts";

const MIB = 2 ** 20;
const PLACES = 50;

Deno.test("I7: the end of a guest's data is looked for once, however many pieces the other's has before", async () => {
  using disk = Directory.openTrusted(fromText(scratchDirectory("holes", "disk")));
  const sparse = (...places: number[]) => {
    const file = disk.createUnnamed();
    truncate(file, 2 ** 40);
    for (const place of places) writeAt(file, new Uint8Array(4096), place);
    return file;
  };
  using one = sparse(...Array.from({ length: PLACES }, (_, number) => number * MIB), 2 ** 39);
  using other = sparse(2 ** 39);
  for (const [a, b] of [[one, other], [other, one]] as const) {
    let searches = 0;
    intercept({
      before(name, [fd]) {
        if (name === "lseek" && fd === other.fd) searches++;
      },
    });
    assert(await sameContent(a, b));
    intercept(undefined);
    assert(searches <= 4, `${searches} searches`);
  }
});
