/**
 * Which files a channel leaves alone.
 *
 * - Plain text matches anywhere: in the file's name (file patterns), in its path relative to the
 *   share (path patterns).
 * - A pattern with `*`, `?` or `[` is a glob over the whole name or the whole path; see `glob.ts`.
 *   A path glob that matches a directory also covers what lies below it.
 * - A slash at the end of a path pattern says "a directory": that itself is covered as well.
 * - File patterns look at the names of files only, so they never hide a directory.
 * - The file that tells file browsers in guests to refresh is ignored in every share, and so are paths that are too long.
 */

import {
  type ByteString,
  fileName,
  fromText,
  nameOf,
  type RelativePath,
} from "../../ffi/byte_string.ts";
import { compileGlob, isGlob, PatternError } from "./glob.ts";

/** Toggled in guests by `virtiofs-notify`; made and removed all the time, and never worth a scan. */
export const REFRESH_FILE = fileName(".virtiofs-refresh");

/**
 * Longer paths are ignored: what a path costs grows with its length, in time and memory, and a guest's may be of any
 * length (I6, I7). Programs that name things by their paths get as far as half of it (PATH_MAX).
 */
export const LONGEST_PATH = 8192;

export interface IgnorePatterns {
  readonly ignoreFilePatterns: readonly string[];
  readonly ignorePathPatterns: readonly string[];
}

/** Answers are functions of the path alone and take time linear in its length. */
export interface IgnoreRules {
  /** Whether the file at `path` stays where it is, unscanned. */
  isIgnored(path: RelativePath): boolean;
  /** Whether everything below the directory at `path` is ignored, so that nobody need look there. */
  isIgnoredDirectory(path: RelativePath): boolean;
}

type Matcher = (text: ByteString) => boolean;

/** Compiles the patterns of a channel. Throws `PatternError` for one that makes no sense. */
export function compileIgnorePatterns(patterns: IgnorePatterns): IgnoreRules {
  const fileMatchers = patterns.ignoreFilePatterns.map((pattern) => compile(pattern, "name"));
  const pathMatchers = patterns.ignorePathPatterns.map((pattern) => compile(pattern, "path"));
  const isIgnoredDirectory = (path: RelativePath) =>
    path.length > LONGEST_PATH || pathMatchers.some((matches) => matches(path));
  return {
    isIgnoredDirectory,
    isIgnored(path) {
      const name = nameOf(path);
      return name === REFRESH_FILE || fileMatchers.some((matches) => matches(name)) ||
        isIgnoredDirectory(path);
    },
  };
}

function compile(pattern: string, over: "name" | "path"): Matcher {
  // What lies below is covered without the slash.
  if (isGlob(pattern)) {
    return compileGlob(over === "path" ? pattern.replace(/\/$/, "") : pattern, over);
  }
  const text = fromText(pattern);
  if (over === "name" || !/[^/]\/$/.test(pattern)) return (tested) => tested.includes(text);
  const itself = fromText(pattern.slice(0, -1));
  return (tested) => tested.includes(text) || tested === itself || tested.endsWith(`/${itself}`);
}

/** Why `pattern` cannot be used; `undefined` if it can. */
export function patternFault(pattern: string, over: "name" | "path"): string | undefined {
  try {
    // What matches nothing at all, an empty text, matches everything.
    if (!compile(pattern, over)(fromText(""))) return undefined;
    return "would ignore every file; remove it";
  } catch (error) {
    if (error instanceof PatternError) return error.message;
    throw error;
  }
}

/** What about a usable pattern will probably surprise; `undefined` for most. */
export function patternSurprise(pattern: string, over: "name" | "path"): string | undefined {
  if (over === "name" && pattern.includes("/")) {
    return `never matches, since file names hold no "/"; ignorePathPatterns look at paths`;
  }
  if (over === "path" && pattern.startsWith("/")) {
    const where = isGlob(pattern) ? "never matches" : "matches nothing at the top of a share";
    return `${where}, since paths are relative to the share; remove the leading "/"`;
  }
  if (!isGlob(pattern)) return substringSurprise(pattern, over);
  if (over === "name") return undefined;
  if (!pattern.includes("/") && !pattern.includes("**")) {
    return `matches at the top of a share only; "**/${pattern}" matches in every directory`;
  }
  return undefined;
}

/** Short words and extensions turn up inside longer ones. */
function substringSurprise(pattern: string, over: "name" | "path"): string | undefined {
  if (!/^\.?[A-Za-z0-9]{1,4}$/.test(pattern)) return undefined;
  let advice = "";
  if (over === "path") advice = `; "**/${pattern}" matches whole names only`;
  else if (pattern.startsWith(".")) advice = `; "*${pattern}" matches at the end of names only`;
  return `matches anywhere, also in "report${pattern}1.rar"${advice}`;
}
