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
/** Of one name, which has been given to something else each time. */
const MOST_OF_A_NAME = 4;

interface Move {
  readonly from: RelativePath;
  readonly to: RelativePath;
  /** Later ones have greater numbers; the two of an exchange have the same. */
  readonly number: number;
}

export class MoveMemory {
  /** By the name that was given up, in order, and by the one that was taken. */
  readonly #targets = new PathTable<readonly Move[]>();
  readonly #sources = new PathTable<Move>();
  #count = 0;
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
      if (this.#count <= MOST_MOVES && this.#bytes <= MOST_BYTES) break;
      for (const one of this.#targets.get(oldest) ?? []) this.#forget(one);
    }
  }

  /**
   * The directory `from` has become `to` for everybody: what was renamed in it, out of it or into it was so there. Not what
   * came later than the one that is numbered `until`: another directory may have the name by then.
   */
  followed(from: RelativePath, to: RelativePath, until = Infinity): void {
    const renamed = (path: RelativePath) => isWithin(path, from) ? renamedIn(path, from, to) : path;
    for (const moves of [...this.#targets.values()]) {
      for (const move of moves) {
        if (move.number > until) continue;
        if (!isWithin(move.from, from) && !isWithin(move.to, from)) continue;
        this.#forget(move);
        if (move.from === from) continue;
        this.#remember({ ...move, from: renamed(move.from), to: renamed(move.to) });
      }
    }
  }

  /** The first of `targetsOf`. */
  targetOf(path: RelativePath): RelativePath | undefined {
    return this.targetsOf(path)[0];
  }

  /**
   * What `path`, or a directory above it, was renamed to, as often as it was. Several where the name was given to something
   * else meanwhile, which was renamed as well: the latest first.
   */
  targetsOf(path: RelativePath): RelativePath[] {
    const found = new Set<RelativePath>();
    const open = [{ at: path, last: -1 }];
    for (let steps = 0; steps <= MOST_STEPS; steps++) {
      const next = open.pop();
      if (next === undefined) break;
      const { at, last } = next;
      const isLater = ({ number }: Move) => number > last;
      const moves = this.#targets.nearest(at, (moves) => moves.some(isLater))?.filter(isLater) ??
        [];
      if (moves.length === 0) found.add(at);
      for (const { from, to, number } of moves) {
        open.push({ at: renamedIn(at, from, to), last: number });
      }
    }
    found.delete(path);
    return [...found];
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

  #forget(move: Move): void {
    const left = (this.#targets.get(move.from) ?? []).filter((other) => other !== move);
    if (left.length === 0) this.#targets.delete(move.from);
    else this.#targets.set(move.from, left);
    if (this.#sources.get(move.to) === move) this.#sources.delete(move.to);
    this.#count--;
    this.#bytes -= move.from.length + move.to.length;
  }

  #remember(move: Move): void {
    const others = this.#targets.get(move.from) ?? [];
    this.#targets.delete(move.from); // to the end
    const moves = [...others, move].sort((one, other) => one.number - other.number);
    this.#targets.set(move.from, moves);
    this.#sources.set(move.to, move);
    this.#count++;
    this.#bytes += move.from.length + move.to.length;
    const [oldest] = moves;
    if (moves.length > MOST_OF_A_NAME && oldest !== undefined) this.#forget(oldest);
  }
}
