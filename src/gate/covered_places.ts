/**
 * Places in a share, or in the export, at which the host has mounted something else. What is below takes no part until that is
 * gone, of which nobody tells.
 */

import type { RelativePath } from "../../ffi/byte_string.ts";
import type { Place } from "./job.ts";
import type { Replica } from "./replica.ts";

/** Only the host mounts things; beyond so many in a replica the first are forgotten until a path below is looked at again. */
const MOST = 1_000;

export class CoveredPlaces {
  readonly #places = new Map<Replica, Set<RelativePath>>();

  add({ replica, path }: Place): void {
    const paths = this.#places.getOrInsertComputed(replica, () => new Set());
    paths.add(path);
    const [first] = paths;
    if (paths.size > MOST && first !== undefined) paths.delete(first);
  }

  /** Those that are not covered any more, each once. Throws SystemError. */
  *takeUncovered(): Generator<Place> {
    for (const [replica, paths] of this.#places) {
      for (const path of paths) {
        if (isCovered(replica, path)) continue;
        paths.delete(path);
        yield { replica, path };
      }
    }
  }
}

/** A share that is not there is read when it comes back. */
function isCovered(replica: Replica, path: RelativePath): boolean {
  if (replica.root === undefined) return false;
  const seen = replica.glance(path);
  return seen.kind === "obstacle" && replica.isForeign(seen.status);
}
