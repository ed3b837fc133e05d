/**
 * Directories of a tree that is being read, opened from where it was read last: from the root each level takes its time,
 * and somebody may have thousands of them in each other (I7).
 */

import { type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";

/** A directory. It keeps no path: many may wait, and lie as deep as anybody likes (I6). */
export interface Place {
  readonly above: Place | undefined;
  /** The path of the topmost one below the root, the names of the others. */
  readonly name: RelativePath;
}

export function pathOf(place: Place): RelativePath {
  const names: RelativePath[] = [];
  for (let at: Place | undefined = place; at !== undefined; at = at.above) {
    if (at.name !== ROOT) names.push(at.name);
  }
  return names.reverse().join("/") as RelativePath;
}

/** Levels from one that is kept open to the next: one system call. */
const STEP = 15;
/** Beyond them the one that was used longest ago is closed: it is reached again from above. */
const MOST_OPEN = 64;

export class ReachedDirectories implements Disposable {
  readonly #open = new Map<Place, Directory>();

  constructor(private readonly root: Directory) {}

  /**
   * The directory, to be closed by whoever asked; `undefined` if it is not there (see `Directory.openBeneath`). What was
   * moved since is the same directory still: events tell of its new place. Throws SystemError.
   */
  open(place: Place, onMount?: () => void): Directory | undefined {
    const levels: Place[] = [];
    let at: Place | undefined = place;
    for (; at !== undefined && !this.#open.has(at); at = at.above) levels.push(at);
    let current = (at === undefined ? undefined : this.#use(at)) ?? this.root;
    while (levels.length > STEP) {
      const kept = levels.at(-STEP) ?? place;
      const next = current.openBeneath(namesOf(levels.splice(-STEP)), onMount);
      if (next === undefined) return undefined;
      this.#keep(kept, next);
      current = next;
    }
    return levels.length === 0
      ? current.duplicate()
      : current.openBeneath(namesOf(levels), onMount);
  }

  /** Keeps it from being the next that is closed. */
  #use(place: Place): Directory | undefined {
    const directory = this.#open.get(place);
    if (directory === undefined) return undefined;
    this.#open.delete(place);
    this.#open.set(place, directory);
    return directory;
  }

  #keep(place: Place, directory: Directory): void {
    this.#open.set(place, directory);
    const [oldest] = this.#open;
    if (oldest === undefined || this.#open.size <= MOST_OPEN) return;
    this.#open.delete(oldest[0]);
    oldest[1].close();
  }

  /** Others may need the descriptors more. */
  release(): void {
    for (const directory of this.#open.values()) directory.close();
    this.#open.clear();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Of places from the lowest upwards. */
function namesOf(levels: readonly Place[]): RelativePath {
  return levels.toReversed().map(({ name }) => name).filter((name) => name !== ROOT)
    .join("/") as RelativePath;
}
