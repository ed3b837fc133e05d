/**
 * Which trees are watched, given what was asked for: each place once, and without what is excluded. Pure; all
 * paths are absolute and canonical.
 */

import { type ByteString, isWithin, type RelativePath, ROOT } from "../../ffi/byte_string.ts";

export interface PlannedTree {
  readonly path: ByteString;
  /** Below it, and never itself. Trees of their own count as excluded. */
  readonly excludes: readonly RelativePath[];
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

/** The entry `path` of the tree at `directory`. */
export function absolutePath(directory: ByteString, path: RelativePath): ByteString {
  if (path === ROOT) return directory;
  return (directory === "/" ? `/${path}` : `${directory}/${path}`) as ByteString;
}

/**
 * `reaches` tells whether a walk from one directory gets to another below it: not where a mount point lies
 * between. A directory that is named is watched also where one above it is excluded.
 */
export function planTrees(
  watched: readonly ByteString[],
  excluded: readonly ByteString[],
  reaches: (directory: ByteString, path: RelativePath) => boolean,
): Plan {
  const outerFirst = [...new Set(watched)].sort((a, b) => a.length - b.length);
  const trees: PlannedTree[] = [];
  for (const path of outerFirst) {
    const isCovered = trees.some((tree) => {
      const below = relativeTo(path, tree.path);
      return below !== undefined && !tree.excludes.some((one) => isWithin(below, one)) &&
        reaches(tree.path, below);
    });
    if (!isCovered) trees.push({ path, excludes: excludesIn(path, excluded) });
  }
  return {
    trees: trees.map((tree) => ({ ...tree, excludes: withoutOthers(tree, trees) })),
    contradictions: outerFirst.filter((path) => excluded.includes(path)),
    idleExcludes: excluded.filter((one) =>
      !trees.some((tree) => relativeTo(one, tree.path) !== undefined)
    ),
  };
}

/** Its excludes, and the other trees that lie in it. */
function withoutOthers(
  { path, excludes }: PlannedTree,
  trees: readonly PlannedTree[],
): readonly RelativePath[] {
  const others = excludesIn(path, trees.map((tree) => tree.path));
  return [...excludes, ...others.filter((one) => !excludes.some((other) => isWithin(one, other)))];
}

function excludesIn(tree: ByteString, excluded: readonly ByteString[]): RelativePath[] {
  return excluded.flatMap((path) => {
    const below = relativeTo(path, tree);
    return below === undefined || below === ROOT ? [] : [below];
  });
}
