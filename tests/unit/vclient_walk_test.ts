/** clamd-vclient reads a tree. */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertLess } from "@std/assert";
import { fromText, ROOT } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { nextTurn } from "../../ffi/reactor.ts";
import { walkFiles } from "../../src/vclient/file_walk.ts";
import { scratchDirectory } from "../support/scratch.ts";

/** In each directory, three levels deep: to read one takes no time that is worth a look at the clock. */
const DIRECTORIES = 17;

Deno.test("I7: others get their turn while a tree of many small directories is read", async () => {
  const path = scratchDirectory("walked");
  const names = Array.from({ length: DIRECTORIES }, (_, i) => `${i}`);
  for (const below of names.flatMap((a) => names.flatMap((b) => names.map((c) => [a, b, c])))) {
    const directory = `${path}/${below.join("/")}`;
    Deno.mkdirSync(directory, { recursive: true });
    Deno.writeTextFileSync(`${directory}/file`, "");
  }
  using root = Directory.openTrusted(fromText(path));
  let files = 0;
  let isWalking = true;
  const walking = walkFiles(root, ROOT, {
    covered: () => {},
    isExcluded: () => false,
    file: () => void files++,
    onTrouble: () => {},
    isStopped: () => false,
  }).finally(() => isWalking = false);
  const begunAt = performance.now();
  let longestMs = 0;
  for (let at = begunAt; isWalking;) {
    await nextTurn();
    longestMs = Math.max(longestMs, performance.now() - at);
    at = performance.now();
  }
  const tookMs = performance.now() - begunAt;
  await walking;
  assertEquals(files, DIRECTORIES ** 3);
  assertLess(longestMs, tookMs / 2);
});
