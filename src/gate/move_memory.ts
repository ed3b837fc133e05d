/**
 * Which names became which others in one share: a rename is told to the others as a new file and a
 * deletion, and the deletion has to wait until the new name has arrived, or the others would be left
 * without any copy.
 */

import { isWithin, parentOf, type RelativePath } from "../../ffi/byte_string.ts";

/** While the scanner is away, what is forgotten is deleted elsewhere before it has arrived under its new name. */
const MOST_MOVES = 50_000;
/** Of both names together: each may be as long as a guest likes. */
const MOST_BYTES = 16 * 1024 * 1024;

export class MoveMemory {
  readonly #targets = new Map<RelativePath, RelativePath>();
  readonly #sources = new Map<RelativePath, RelativePath>();
  #bytes = 0;

  moved(from: RelativePath, to: RelativePath): void {
    this.forget(from);
    this.#targets.set(from, to);
    this.#sources.set(to, from);
    this.#bytes += from.length + to.length;
    for (const oldest of this.#targets.keys()) {
      if (this.#targets.size <= MOST_MOVES && this.#bytes <= MOST_BYTES) break;
      this.forget(oldest);
    }
  }

  /** The directory `from` has become `to` for everybody: what was renamed in it, out of it or into it was so there. */
  followed(from: RelativePath, to: RelativePath): void {
    this.forget(from);
    const renamed = (path: RelativePath) =>
      isWithin(path, from) ? (to + path.slice(from.length)) as RelativePath : path;
    for (const [source, target] of this.#targets) {
      if (!isWithin(source, from) && !isWithin(target, from)) continue;
      this.forget(source);
      this.moved(renamed(source), renamed(target));
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
    this.#bytes -= from.length + to.length;
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
