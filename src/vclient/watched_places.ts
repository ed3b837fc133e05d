/**
 * Which trees are watched, given what was asked for: each place once, and without what is excluded. Pure; all
 * paths are absolute and canonical.
 */

import { type ByteString, type RelativePath, ROOT } from "../../ffi/byte_string.ts";

export interface PlannedTree {
  readonly path: ByteString;
  /** Below it, and never itself. */
  readonly excludes: readonly RelativePath[];
  /** Other trees that lie in it. What has come in the place of such a directory, and is none, belongs to this one. */
  readonly others: readonly RelativePath[];
}

export interface Plan {
  readonly trees: readonly PlannedTree[];
  /** Asked to be watched and to be left out: nobody knows what was meant. */
  readonly contradictions: readonly ByteString[];
  /** Lie in no tree, so they change nothing. */
  readonly idleExcludes: readonly ByteString[];
}

/** `path` relative to `directory`; `undefined` unless it is that or lies below. */
export function relativeTo(path: ByteString, directory: ByteString): RelativePath | undefined {
  if (path === directory) return ROOT;
  const prefix = directory === "/" ? "/" : `${directory}/`;
  // What follows the prefix of a canonical path is relative and canonical too.
  return path.startsWith(prefix) ? path.slice(prefix.length) as RelativePath : undefined;
}

/**
 * A directory that is named has a tree of its own also below another one, or one that is excluded: something may be mounted
 * there at any time, which a walk from above does not enter.
 */
export function planTrees(watched: readonly ByteString[], excluded: readonly ByteString[]): Plan {
  const outerFirst = [...new Set(watched)].sort((a, b) => a.length - b.length);
  return {
    trees: outerFirst.map((path) => ({
      path,
      excludes: placesIn(path, excluded),
      others: placesIn(path, outerFirst),
    })),
    contradictions: outerFirst.filter((path) => excluded.includes(path)),
    idleExcludes: excluded.filter((one) =>
      !outerFirst.some((path) => relativeTo(one, path) !== undefined)
    ),
  };
}

function placesIn(tree: ByteString, places: readonly ByteString[]): RelativePath[] {
  return places.flatMap((path) => {
    const below = relativeTo(path, tree);
    return below === undefined || below === ROOT ? [] : [below];
  });
}
