/** `deno task soak`: what it is told wrongly is no success. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { optionsOf } from "../soak/soak.ts";

Deno.test("a soak that would do nothing is refused", () => {
  const wrong = {
    "--minutes": ["x", "0", "-1", ""],
    "--seed": ["x", "1.5"],
    "--filesystem": ["ext4", ""],
  };
  for (const [option, values] of Object.entries(wrong)) {
    for (const value of values) {
      const said = optionsOf([`${option}=${value}`]);
      assert(typeof said === "string", `${option}=${value}`);
      assertStringIncludes(said, option);
    }
  }
  assertEquals(optionsOf(["--minutes", "0.5", "--seed", "7", "--filesystem", "xfs"]), {
    minutes: 0.5,
    seed: 7,
    filesystems: ["xfs"],
  });
});
