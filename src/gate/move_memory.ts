/**
 * Which names became which others in one share: a rename is told to the others as a new file and a
 * deletion, and the deletion has to wait until the new name has arrived, or the others would be left
 * without any copy.
 */

import { parentOf, type RelativePath } from "../../ffi/byte_string.ts";

const MOST_MOVES = 10_000;

export class MoveMemory {
  readonly #targets = new Map<RelativePath, RelativePath>();
  readonly #sources = new Map<RelativePath, RelativePath>();

  moved(from: RelativePath, to: RelativePath): void {
    this.forget(from);
    this.#targets.set(from, to);
    this.#sources.set(to, from);
    for (const oldest of this.#targets.keys()) {
      if (this.#targets.size <= MOST_MOVES) break;
      this.forget(oldest);
    }
  }

  /** What `path`, or a directory above it, was last renamed to. */
  targetOf(path: RelativePath): RelativePath | undefined {
    return mapped(this.#targets, path);
  }

  /** What `path`, or a directory above it, was called before. */
  sourceOf(path: RelativePath): RelativePath | undefined {
    return mapped(this.#sources, path);
  }

  forget(from: RelativePath): void {
    const to = this.#targets.get(from);
    if (to === undefined) return;
    this.#targets.delete(from);
    if (this.#sources.get(to) === from) this.#sources.delete(to);
  }
}

function mapped(
  names: ReadonlyMap<RelativePath, RelativePath>,
  path: RelativePath,
): RelativePath | undefined {
  if (names.size === 0) return undefined;
  for (let ancestor = path; ancestor !== ""; ancestor = parentOf(ancestor)) {
    const other = names.get(ancestor);
    if (other !== undefined) return (other + path.slice(ancestor.length)) as RelativePath;
  }
  return undefined;
}
