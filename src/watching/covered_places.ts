/**
 * Places in a tree at which something else is mounted. What is below is not looked at until that is gone, of which
 * nobody tells.
 */

import { isWithin, nameOf, parentOf, type RelativePath } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { SystemError } from "../../ffi/errno.ts";
import { BoundedMap } from "../collections/bounded_map.ts";

/** Mounting is for the few who may; beyond so many the first are forgotten until they are met again (I6). */
const MOST = 1_000;
/** Of their paths together. */
const MOST_BYTES = 4 * 1024 * 1024;

export class CoveredPlaces {
  readonly #paths = new BoundedMap<RelativePath, true>(MOST, MOST_BYTES, (path) => path.length);

  get size(): number {
    return this.#paths.size;
  }

  /**
   * A mount point lies at `path`, or above it. The place at which it is, for the log; `undefined` if it is known, or gone by
   * now, which `takeUncovered` finds out.
   */
  add(root: Directory | undefined, path: RelativePath): RelativePath | undefined {
    for (const known of this.#paths.keys()) if (isWithin(path, known)) return undefined;
    const covered = root === undefined ? path : mountAbove(root, path);
    this.#paths.set(covered ?? path, true);
    return covered;
  }

  /** Those that are not covered any more, each once. */
  takeUncovered(root: Directory): RelativePath[] {
    const uncovered: RelativePath[] = [];
    for (const path of [...this.#paths.keys()]) {
      if (isCovered(root, path)) continue;
      this.#paths.delete(path);
      uncovered.push(path);
    }
    return uncovered;
  }

  clear(): void {
    this.#paths.clear();
  }
}

/** Also where that cannot be told for now. What is mounted is not asked for anything. */
function isCovered(root: Directory, path: RelativePath): boolean {
  try {
    let isBelow = false;
    using parent = root.openBeneath(parentOf(path), () => isBelow = true);
    return parent === undefined ? isBelow : parent.isMountPoint(nameOf(path));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return true;
  }
}

/** The mount point at or above `path`. */
function mountAbove(root: Directory, path: RelativePath): RelativePath | undefined {
  for (let at = path;; at = parentOf(at)) {
    try {
      let isBelow = false;
      using parent = root.openBeneath(parentOf(at), () => isBelow = true);
      if (parent !== undefined) return parent.isMountPoint(nameOf(at)) ? at : undefined;
      if (!isBelow) return undefined;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return undefined;
    }
  }
}
