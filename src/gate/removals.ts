/** Which directories are to be removed as soon as they can be, and when each is to be tried again. */

import type { RelativePath } from "../../ffi/byte_string.ts";
import { BoundedMap } from "../collections/bounded_map.ts";
import type { PathLimits } from "../collections/path_tally.ts";

/** Attempts to remove a directory in which nothing seems to be going to change, before it is kept. */
const MOST_ATTEMPTS = 6;
const FIRST_DELAY_MS = 100;
/** Between two looks at a directory that waits for what is inside, unless very many wait (`RetrySchedule`). */
const LONGEST_DELAY_MS = 2_000;
/** Beyond them the one that was tried longest ago is forgotten, and begins anew (I6). */
const MOST_REMOVALS: PathLimits = { paths: 10_000, bytes: 4 * 1024 * 1024 };

interface Removal {
  /** How often something inside was still to be looked at. */
  readonly waits: number;
  /** How often nothing inside was. */
  readonly attempts: number;
}

const NEVER_TRIED: Removal = { waits: 0, attempts: 0 };

export class Removals {
  readonly #removals: BoundedMap<RelativePath, Removal>;

  constructor({ paths, bytes } = MOST_REMOVALS) {
    this.#removals = new BoundedMap(paths, bytes, (path) => path.length);
  }

  has(path: RelativePath): boolean {
    return this.#removals.has(path);
  }

  /** The directory waits for what is still to be looked at inside, however long that takes: for so many ms. */
  wait(path: RelativePath): number {
    const { waits, attempts } = this.#removals.get(path) ?? NEVER_TRIED;
    this.#removals.set(path, { waits: waits + 1, attempts });
    return Math.min(FIRST_DELAY_MS * 2 ** waits, LONGEST_DELAY_MS);
  }

  /** Nobody knows what it waits for: it is tried again after so many ms, or (`undefined`) is to be kept. */
  attempt(path: RelativePath): number | undefined {
    const { waits, attempts } = this.#removals.get(path) ?? NEVER_TRIED;
    if (attempts >= MOST_ATTEMPTS) return undefined;
    this.#removals.set(path, { waits, attempts: attempts + 1 });
    return FIRST_DELAY_MS * 2 ** attempts;
  }

  /** It could not even be tried; it waits for something else. */
  failed(path: RelativePath): void {
    this.#removals.set(path, NEVER_TRIED);
  }

  /** Whether it was still to be removed. */
  end(path: RelativePath): boolean {
    return this.#removals.delete(path);
  }
}
