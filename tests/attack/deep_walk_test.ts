/**
 * clamd-vclient reads a tree of a thousand directories in each other, with others beside each: to reach one costs about the
 * same wherever it lies, or somebody could keep it busy for hours with a few directories more.
 */

import { intercept, ownDescriptors } from "./support/libc_hook.ts"; // before everything that opens the C library
// @ts-types="../support/assert.d.ts"
import { assertEquals, assertLess } from "@std/assert";
import { fileName, fromText, ROOT } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { walkFiles } from "../../src/vclient/file_walk.ts";
import { scratchDirectory } from "../support/scratch.ts";

const LEVELS = 1000;
const FILE = fileName("file");
const BELOW = fileName("b".repeat(200));
const SIDES = [fileName("a"), fileName("c")];

/** The bottom, to be closed by whoever asked. */
function nest(root: Directory): Directory {
  let here = root.duplicate();
  for (let level = 0; level < LEVELS; level++) {
    using above = here;
    for (const name of [...SIDES, BELOW]) {
      above.makeDirectory(name, 0o755);
      using directory = above.openBeneath(name);
      directory?.createFile(FILE, 0o644).close();
    }
    here = above.openBeneath(BELOW) ?? above.duplicate();
  }
  return here;
}

/** Walks, and counts files and calls; `before` sees each file. */
async function walk(root: Directory, before: (files: number) => void = () => {}) {
  let files = 0;
  let opened = 0;
  const descriptors = new Set(ownDescriptors());
  let mostDescriptors = 0;
  intercept({
    before(name) {
      if (name === "openat2") opened++;
      mostDescriptors = Math.max(mostDescriptors, ownDescriptors().size - descriptors.size);
    },
  });
  try {
    await walkFiles(root, ROOT, {
      covered: () => {},
      isExcluded: () => false,
      file: () => before(++files),
      onTrouble: (_, reason) => {
        throw new Error(reason);
      },
      isStopped: () => false,
    });
  } finally {
    intercept(undefined);
  }
  assertEquals(ownDescriptors().difference(descriptors).size, 0);
  return { files, opened, mostDescriptors };
}

Deno.test("I6, I7: each directory is reached from near by, with few of them open", async () => {
  using root = Directory.openTrusted(fromText(scratchDirectory("deep")));
  nest(root).close();
  const { files, opened, mostDescriptors } = await walk(root);
  assertEquals(files, LEVELS * (SIDES.length + 1));
  assertLess(opened, 2 * files);
  assertLess(mostDescriptors, 100);
});

Deno.test("what is moved meanwhile ends neither the reading nor what is read of others", async () => {
  const path = scratchDirectory("moved");
  using root = Directory.openTrusted(fromText(path));
  for (const name of ["a", "z"]) Deno.mkdirSync(`${path}/in/${name}`, { recursive: true });
  Deno.writeTextFileSync(`${path}/in/z/file`, "");
  using deep = root.openBeneath(fileName("in"));
  if (deep === undefined) throw new Error("it is not there");
  nest(deep).close();
  const { files } = await walk(root, (seen) => {
    if (seen === LEVELS) Deno.renameSync(`${path}/in`, `${path}/elsewhere`);
  });
  assertLess(LEVELS, files);
});
