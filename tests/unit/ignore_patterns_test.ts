// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type ByteString, fromBytes, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { compileGlob, PatternError } from "../../src/gate/glob.ts";
import {
  compileIgnorePatterns,
  LONGEST_PATH,
  patternFault,
  patternSurprise,
} from "../../src/gate/ignore_patterns.ts";

const path = (text: string) => fromText(text) as RelativePath; // written here, not by a guest

function rules(files: string[], paths: string[] = []) {
  return compileIgnorePatterns({ ignoreFilePatterns: files, ignorePathPatterns: paths });
}

/** Each pattern with what it matches and what it does not. */
type Table = [pattern: string, matched: string[], unmatched: string[]][];

function checkTable(table: Table, isMatched: (pattern: string, text: string) => boolean) {
  for (const [pattern, matched, unmatched] of table) {
    for (const text of matched) assert(isMatched(pattern, text), `${pattern} should match ${text}`);
    for (const text of unmatched) assert(!isMatched(pattern, text), `${pattern} matches ${text}`);
  }
}

Deno.test("plain file patterns match anywhere in the name, never in the directories above", () => {
  checkTable([
    [".crdownload", ["a.crdownload", "d/a.crdownload", ".crdownload"], ["a.txt", "a.crdownload/b"]],
    ["~$", ["~$report.docx", "d/~$x"], ["~report$.docx", "~$d/x"]],
    [".part", ["a.part", "report.part1.rar"], ["a.par", "b.part/c"]],
    ["ä", ["bär"], ["bar"]],
  ], (pattern, text) => rules([pattern]).isIgnored(path(text)));
});

Deno.test("plain path patterns match anywhere in the path", () => {
  checkTable([
    [".Trash-", [".Trash-1000/f", "a/.Trash-0/b/c", "x.Trash-y"], [".trash-1000/f", "Trash-"]],
    [".local/share/Trash", [".local/share/Trash/f", "u/.local/share/Trash"], [".local/share/f"]],
    ["node_modules/", ["node_modules", "a/node_modules", "a/node_modules/b/c"], [
      "node_modules.zip",
      "my_node_modules",
      "a/my.node_modules",
      "a/node_modules_old/b",
    ]],
    ["/", ["a/b"], ["a"]],
  ], (pattern, text) => rules([], [pattern]).isIgnored(path(text)));
});

Deno.test("a file glob matches the whole name", () => {
  checkTable([
    ["*.part", ["a.part", ".part", "d/a.part"], ["report.part1.rar", "a.part/b"]],
    ["~*", ["~", "~x", "d/~x"], ["x~", "~d/x"]],
    ["?.txt", ["a.txt", "ä.txt", "€.txt", "😀.txt"], ["ab.txt", ".txt"]],
    ["[a-c]*", ["a", "b.x", "cc"], ["d", "A"]],
    ["[!a-c]", ["d", "ä", "-"], ["a", "dd", ""]],
    ["[^a]", ["b"], ["a"]],
    ["[]]", ["]"], ["[", "x"]],
    ["[!]]", ["["], ["]"]],
    ["[a-]", ["a", "-"], ["b"]],
    ["[*]", ["*"], ["x"]],
    ["a**b", ["ab", "axb"], ["a"]],
    ["Thumbs.[dD][bB]", ["Thumbs.db", "x/Thumbs.DB"], ["Thumbs.dbx"]],
  ], (pattern, text) => rules([pattern]).isIgnored(path(text)));
});

Deno.test("a path glob matches the whole path, or that of a directory above", () => {
  checkTable([
    ["*.tmp", ["a.tmp", "d.tmp/x/y"], ["d/a.tmp"]],
    ["**/*.tmp", ["a.tmp", "d/a.tmp", "d/e/a.tmp", "d/e.tmp/x"], ["a.tmpx", "d/atmp"]],
    ["cache/*/x", ["cache/a/x", "cache/a/x/y"], ["cache/x", "cache/a/b/x", "u/cache/a/x"]],
    ["a/**/b", ["a/b", "a/x/b", "a/x/y/b", "a/b/c"], ["ab", "a/xb", "xa/b"]],
    ["a/**", ["a/b", "a/b/c"], ["a", "b/a/c", "ab"]],
    ["**/node_modules/", ["node_modules", "node_modules/x", "a/node_modules/b/c"], [
      "a/node_module",
    ]],
    ["a?c", ["aäc", "abc/d"], ["a/c"]],
    ["a[!x]c", ["abc"], ["a/c", "axc"]],
    ["a/b*", ["a/b", "a/bc", "a/b/c"], ["a/xb"]],
    ["**x", ["x", "a/x", "ax", "a/bx/c"], ["a/y"]],
  ], (pattern, text) => rules([], [pattern]).isIgnored(path(text)));
});

Deno.test("names that are not UTF-8 are matched byte by byte", () => {
  const raw = fromBytes(Uint8Array.of(0xff, 0x2e, 0x70)) as RelativePath; // "\xff.p", no guest's
  assert(rules(["*.p"]).isIgnored(raw));
  assert(rules(["?.p"]).isIgnored(raw));
  assert(!rules(["ÿ.p"]).isIgnored(raw));
});

Deno.test("I5: the refresh file of virtiofs-notify is ignored in every share, by its exact name", () => {
  checkTable([
    ["x", [".virtiofs-refresh", "a/b/.virtiofs-refresh"], [
      ".virtiofs-refresh2",
      "a.virtiofs-refresh",
      ".virtiofs-refresh/a",
    ]],
  ], (_, text) => rules([]).isIgnored(path(text)));
});

Deno.test("file patterns never hide a directory", () => {
  const { isIgnored, isIgnoredDirectory } = rules(["*.part"], ["b/"]);
  assert(!isIgnoredDirectory(path("a.part")));
  assert(isIgnored(path("a.part")));
  assert(!isIgnored(path("a.part/x")));
  assert(!isIgnoredDirectory(path("")));
});

/** Components, separators and wildcards in the small, so that they meet. */
const pathText = fc.array(
  fc.string({ unit: fc.constantFrom("a", "b", "ä", "."), minLength: 1, maxLength: 3 }),
  {
    minLength: 1,
    maxLength: 4,
  },
).map((parts) => parts.join("/"));
const globText = fc.array(
  fc.constantFrom("a", "b", "ä", "/", "*", "**", "**/", "?", "[ab]", "[!a]", ".", "/**", "/**/"),
  { minLength: 1, maxLength: 6 },
).map((parts) => parts.join("")).filter((text) => /[*?[]/.test(text));

/** The documented meaning, said once more with a regular expression over characters. */
function reference(glob: string, over: "name" | "path"): RegExp {
  const source = glob.replaceAll(/(^|(?<=\/))\*{2,}\/|\*{2,}|\*|\?|\[!?[^\]]+\]|\./g, (part) => {
    if (/^\*+\/$/.test(part)) return "(?:.*/)?";
    if (/^\*\*/.test(part)) return ".*";
    if (part === "*") return "[^/]*";
    if (part === "?") return "[^/]";
    if (part === ".") return "\\.";
    return part.replace("[!", "[^/");
  });
  return new RegExp(`^(?:${source})${over === "path" ? "(?:/.*)?" : ""}$`, "su");
}

Deno.test("a glob means what its table says", () => {
  fc.assert(
    fc.property(globText, pathText, (glob, text) => {
      const expected = reference(glob, "path").test(text);
      assertEquals(compileGlob(glob, "path")(fromText(text)), expected, `${glob} on ${text}`);
    }),
    { numRuns: 5000 },
  );
  fc.assert(
    fc.property(globText, pathText.map((text) => text.replaceAll("/", "")), (glob, text) => {
      const expected = reference(glob, "name").test(text);
      assertEquals(compileGlob(glob, "name")(fromText(text)), expected, `${glob} on ${text}`);
    }),
    { numRuns: 5000 },
  );
});

Deno.test("what lies below an ignored directory is ignored", () => {
  const patterns = fc.array(fc.oneof(globText, pathText), { maxLength: 3 });
  fc.assert(
    fc.property(patterns, pathText, pathText, (paths, directory, below) => {
      const { isIgnored, isIgnoredDirectory } = rules([], paths);
      if (!isIgnoredDirectory(path(directory))) return;
      assert(isIgnoredDirectory(path(`${directory}/${below}`)));
      assert(isIgnored(path(`${directory}/${below}`)));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("I6: a hostile name costs time in proportion to its length, not more", () => {
  const glob = compileGlob("*a*a*a*a*a*a*a*a*a*a*b", "path");
  const cost = (text: ByteString) => {
    const times = Array.from({ length: 7 }, () => {
      const start = performance.now();
      assert(!glob(text));
      return performance.now() - start;
    });
    return Math.min(...times); // whatever else the machine does, does not count
  };
  const short = fromText("a".repeat(2_000));
  const long = fromText("a".repeat(20_000));
  cost(short); // warms the code up
  // Ten times the length: linear is 10, quadratic 100.
  assertLess(cost(long), 50 * Math.max(cost(short), 0.1));
});

Deno.test("patterns that make no sense are refused with what to write instead", () => {
  for (
    const [pattern, message] of [
      ["", "would ignore every file; remove it"],
      ["*", "would ignore every file; remove it"],
      ["**", "would ignore every file; remove it"],
      ["a[b", `"[" without "]" (for the character itself write "[[]")`],
      ["[]", `"[" without "]" (for the character itself write "[[]")`],
      ["[b-a]", `the range "b-a" is empty (write the lower end first)`],
      ["[ä]", `"[…]" can hold ASCII characters only (use "?" for any character)`],
    ] as const
  ) {
    assertEquals(patternFault(pattern, "name"), message, pattern);
    assertEquals(patternFault(pattern, "path"), message, pattern);
  }
  assertEquals(patternFault("**/*", "path"), "would ignore every file; remove it");
  for (const usable of [".part", "~$", "*.tmp", "a[[]b", "?"]) {
    assertEquals(patternFault(usable, "name"), undefined, usable);
  }
  assertThrows(() => rules(["[a"]), PatternError);
});

Deno.test("I6: a path that is too long is ignored, and so is what is below it", () => {
  const none = rules([]);
  const longest = fromText("n".repeat(LONGEST_PATH)) as RelativePath;
  const longer = fromText("n".repeat(LONGEST_PATH + 1)) as RelativePath;
  assertEquals([none.isIgnored(longest), none.isIgnoredDirectory(longest)], [false, false]);
  assertEquals([none.isIgnored(longer), none.isIgnoredDirectory(longer)], [true, true]);
});

Deno.test("patterns that will surprise are explained, others are not", () => {
  assertEquals(
    patternSurprise(".part", "name"),
    `matches anywhere, also in "report.part1.rar"; "*.part" matches at the end of names only`,
  );
  assertEquals(
    patternSurprise("tmp", "path"),
    `matches anywhere, also in "reporttmp1.rar"; "**/tmp" matches whole names only`,
  );
  assertEquals(
    patternSurprise("*.tmp", "path"),
    `matches at the top of a share only; "**/*.tmp" matches in every directory`,
  );
  assert(patternSurprise("a/b", "name")?.startsWith("never matches"));
  assert(patternSurprise("/a/*", "path")?.startsWith("never matches"));
  assert(patternSurprise("/.Trash-", "path")?.startsWith("matches nothing at the top"));
  assert(!rules([], ["/.Trash-"]).isIgnored(path(".Trash-1000/f")));
  for (const pattern of [".crdownload", "~$", "*.part", "?"]) {
    assertEquals(patternSurprise(pattern, "name"), undefined, pattern);
  }
  for (const pattern of [".Trash-", ".local/share/Trash", "**/*.tmp", "a/*"]) {
    assertEquals(patternSurprise(pattern, "path"), undefined, pattern);
  }
});
