/** What is watched, given what was asked for. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  absolutePath,
  type ByteString,
  fromText,
  isWithin,
  type RelativePath,
} from "../../ffi/byte_string.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { StartFailure } from "../../src/daemon/daemon.ts";
import { existingDirectory, openCanonical, placeOf } from "../../src/daemon/trusted_path.ts";
import { planTrees, relativeTo } from "../../src/vclient/watched_places.ts";
import { scratchDirectory } from "../support/scratch.ts";

function paths(...texts: string[]): ByteString[] {
  return texts.map(fromText);
}

function treesOf(watched: string[], excluded: string[] = []) {
  return planTrees(paths(...watched), paths(...excluded)).trees;
}

Deno.test("nested and repeated directories are watched once, each named one by itself", () => {
  assertEquals(treesOf(["/home/ann/in", "/home/ann", "/home/ann", "/home/bob"]), [
    { path: fromText("/home/ann"), excludes: [], others: paths("in") },
    { path: fromText("/home/bob"), excludes: [], others: [] },
    { path: fromText("/home/ann/in"), excludes: [], others: [] },
  ]);
  assertEquals(treesOf(["/a", "/a/b", "/a/b/c"]).map(({ others }) => others.length), [2, 1, 0]);
  const names = treesOf(["/home/ann", "/home/anna"]).map(({ path }) => path);
  assertEquals(names, paths("/home/ann", "/home/anna"), "a common beginning is no nesting");
  assertEquals(treesOf(["/srv", "/"])[0]?.others, paths("srv"));
});

Deno.test("a directory that is named is watched, even below an excluded one", () => {
  assertEquals(treesOf(["/home/ann", "/home/ann/.cache/in"], ["/home/ann/.cache"]), [
    { path: fromText("/home/ann"), excludes: paths(".cache"), others: paths(".cache/in") },
    { path: fromText("/home/ann/.cache/in"), excludes: [], others: [] },
  ]);
});

Deno.test("what is watched and excluded at once is a contradiction, an exclude elsewhere is idle", () => {
  const plan = planTrees(
    paths("/home/ann"),
    paths("/home/ann", "/home/bob", "/home"),
  );
  assertEquals(plan.contradictions, paths("/home/ann"));
  assertEquals(plan.idleExcludes, paths("/home/bob", "/home"));
});

Deno.test("a property: every file is in exactly one tree if it is to be scanned, and else in none", () => {
  const name = fc.constantFrom("a", "b", "c");
  const path = fc.array(name, { maxLength: 4 }).map((names) => fromText("/" + names.join("/")));
  const file = fc.array(name, { maxLength: 5 }).map((names) =>
    fromText("/" + [...names, "file"].join("/"))
  );
  const list = fc.array(path, { maxLength: 4 });
  fc.assert(fc.property(list, list, file, (watched, excluded, target) => {
    fc.pre(!watched.some((one) => excluded.includes(one)));
    const { trees } = planTrees(watched, excluded);
    const holding = trees.filter((tree) => {
      const below = relativeTo(target, tree.path);
      return below !== undefined &&
        ![...tree.excludes, ...tree.others].some((one) => isWithin(below, one));
    });
    // The nearest of the directories above it decides.
    const above = [...watched, ...excluded].filter((one) => relativeTo(target, one) !== undefined);
    const nearest = above.sort((a, b) => b.length - a.length)[0];
    const expected = nearest !== undefined && watched.includes(nearest) ? 1 : 0;
    assertEquals(holding.length, expected);
  }));
});

Deno.test("paths of the command line: links and dots are resolved, missing ones named", () => {
  const folder = scratchDirectory("places");
  const canonical = fromText(Deno.realPathSync(folder));
  Deno.mkdirSync(`${folder}/real/deep`, { recursive: true });
  Deno.symlinkSync(`${folder}/real`, `${folder}/link`);
  Deno.writeTextFileSync(`${folder}/file`, "");
  const real = absolutePath(canonical, fromText("real/deep") as RelativePath);
  assertEquals(existingDirectory("--watch", `${folder}/link/deep/`), real);
  assertEquals(existingDirectory("--watch", `${folder}/real/../link/./deep`), real);
  assertEquals(existingDirectory("--watch", "/"), fromText("/"));
  assertThrows(
    () => existingDirectory("--watch", `${folder}/none`),
    StartFailure,
    "none: there is",
  );
  assertThrows(() => existingDirectory("--watch", `${folder}/file`), StartFailure, "not a direct");
  assertEquals(
    placeOf("--exclude", `${folder}/link/deep/none/more//`),
    fromText(`${real}/none/more`),
  );
  assertThrows(() => placeOf("--exclude", `${folder}/none/..`), StartFailure, "no such directory");
});

Deno.test("a name whose bytes do not come through the command line is told as such", () => {
  const folder = scratchDirectory("bytes");
  const lost = `${folder}/d\ufffd/x`; // what is left of any byte that is not UTF-8
  for (const find of [existingDirectory, placeOf]) {
    assertThrows(
      () => find("--watch", lost),
      StartFailure,
      'not UTF-8 cannot be given on the command line; go into it, and give "."',
    );
  }
  Deno.mkdirSync(lost, { recursive: true }); // that may be a name, too
  assertEquals(existingDirectory("--watch", lost), placeOf("--watch", lost));
});

Deno.test("I2: a link in the place of a watched directory is not followed later", () => {
  const folder = Deno.realPathSync(scratchDirectory("swapped"));
  Deno.mkdirSync(`${folder}/in`);
  Deno.mkdirSync(`${folder}/others`);
  const path = existingDirectory("--watch", `${folder}/in`);
  using before = openCanonical(path);
  assert(before !== undefined && statusOf(before).kind === "directory");
  Deno.renameSync(`${folder}/in`, `${folder}/moved`);
  assertEquals(openCanonical(path), undefined);
  Deno.symlinkSync(`${folder}/others`, `${folder}/in`);
  assertEquals(openCanonical(path), undefined);
  Deno.removeSync(`${folder}/in`);
  Deno.mkdirSync(`${folder}/in`);
  using after = openCanonical(path);
  assert(after !== undefined);
});
