/**
 * Which names became which others in one share: a rename is told to the others as a new file and a
 * deletion, and the deletion has to wait until the new name has arrived, or the others would be left
 * without any copy.
 */

import { isWithin, type RelativePath, renamedIn } from "../../ffi/byte_string.ts";
import { PathTable } from "./path_table.ts";

/** While the scanner is away, what is forgotten is deleted elsewhere before it has arrived under its new name. */
const MOST_MOVES = 50_000;
/** Of both names together: each may be as long as a guest likes. */
const MOST_BYTES = 16 * 1024 * 1024;

/** Of one name, one after the other. */
const MOST_STEPS = 64;

interface Move {
  readonly from: RelativePath;
  readonly to: RelativePath;
  /** Later ones have greater numbers; the two of an exchange have the same. */
  readonly number: number;
}

export class MoveMemory {
  /** By the name that was given up, and by the one that was taken. */
  readonly #targets = new PathTable<Move>();
  readonly #sources = new PathTable<Move>();
  #bytes = 0;
  #number = 0;
  /** The last one, unless it was the second of an exchange. */
  #last: Move | undefined;

  /** The number of the latest. */
  get latest(): number {
    return this.#number;
  }

  moved(from: RelativePath, to: RelativePath): void {
    // What is exchanged is told as two renames in a row. One there and back looks the same, but leaves nothing there.
    const isExchange = this.#last?.from === to && this.#last.to === from;
    const move = { from, to, number: isExchange ? this.#number : ++this.#number };
    this.#last = isExchange ? undefined : move;
    this.#remember(move);
    for (const oldest of this.#targets.keys()) {
      if (this.#targets.size <= MOST_MOVES && this.#bytes <= MOST_BYTES) break;
      this.forget(oldest);
    }
  }

  /**
   * The directory `from` has become `to` for everybody: what was renamed in it, out of it or into it was so there. Not what
   * came later than the one that is numbered `until`: another directory may have the name by then.
   */
  followed(from: RelativePath, to: RelativePath, until = Infinity): void {
    const renamed = (path: RelativePath) => isWithin(path, from) ? renamedIn(path, from, to) : path;
    for (const move of [...this.#targets.values()]) {
      if (move.number > until) continue;
      if (!isWithin(move.from, from) && !isWithin(move.to, from)) continue;
      this.forget(move.from);
      if (move.from === from) continue;
      const now = { ...move, from: renamed(move.from), to: renamed(move.to) };
      if ((this.#targets.get(now.from)?.number ?? 0) <= now.number) this.#remember(now);
    }
  }

  /** What `path`, or a directory above it, was renamed to, as often as it was. */
  targetOf(path: RelativePath): RelativePath | undefined {
    let here = path;
    let last = -1;
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      const at = here;
      const move = this.#targets.nearest(at, ({ number }) => number > last);
      if (move === undefined) break;
      here = renamedIn(at, move.from, move.to);
      last = move.number;
    }
    return here === path ? undefined : here;
  }

  /** What `path`, or a directory above it, was called before, the last name first. */
  sourcesOf(path: RelativePath): RelativePath[] {
    const names: RelativePath[] = [];
    let here = path;
    let next = Infinity;
    while (names.length < MOST_STEPS) {
      const at = here;
      const move = this.#sources.nearest(at, ({ number }) => number < next);
      if (move === undefined) break;
      here = renamedIn(at, move.to, move.from);
      next = move.number;
      names.push(here);
    }
    return names;
  }

  forget(from: RelativePath): void {
    const move = this.#targets.get(from);
    if (move === undefined) return;
    this.#targets.delete(from);
    this.#bytes -= from.length + move.to.length;
    if (this.#sources.get(move.to) === move) this.#sources.delete(move.to);
  }

  #remember(move: Move): void {
    this.forget(move.from);
    this.#targets.set(move.from, move);
    this.#sources.set(move.to, move);
    this.#bytes += move.from.length + move.to.length;
  }
}
