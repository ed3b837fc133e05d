/** Whether a channel's directories can be used. */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertMatch } from "@std/assert";
import { fileName, fromText } from "../../ffi/byte_string.ts";
import { checkReplaced, checkUnopened } from "../../src/gate/layout_check.ts";

/** Fails as nobody foresaw, as on a disk that fails. */
const UNFORESEEN = fromText(`/tmp/${"x".repeat(300)}`);

for (const check of [checkReplaced, checkUnopened]) {
  Deno.test(`I7: ${check.name} puts whatever fails into words: other channels go on`, () => {
    const faults = check(UNFORESEEN, [fileName("ann")]);
    assertEquals(faults.map(({ severity }) => severity), ["fault"]);
    assertMatch(faults[0]?.message ?? "", /ENAMETOOLONG/);
  });
}
