/**
 * Which names became which others in one share: a rename is told to the others as a new file and a
 * deletion, and the deletion has to wait until the new name has arrived, or the others would be left
 * without any copy.
 */

import { isWithin, type RelativePath, renamedIn } from "../../ffi/byte_string.ts";
import type { MoveTime } from "../watching/watcher.ts";
import { PathTable } from "./path_table.ts";

/** While the scanner is away, what is forgotten is deleted elsewhere before it has arrived under its new name. */
const MOST_MOVES = 50_000;
/** Of both names together: each may be as long as a guest likes. */
const MOST_BYTES = 16 * 1024 * 1024;

/** Those that are rewritten in one go. */
const MOST_FOLLOWED = 1_000;
const MOST_BYTES_FOLLOWED = 1024 * 1024;

/** The last names that what is renamed for everybody has had one after the other: what had a name before is sought so often. */
const MOST_PERIODS = 8;

/** From one name to another, of a path; of more in a moment, the first name is lost. */
const MOST_STEPS = 64;
/** Of one name, which has been given to something else each time. */
const MOST_OF_A_NAME = 4;

interface Move {
  readonly from: RelativePath;
  readonly to: RelativePath;
  /** When the one name was given up, and when it is known that it was the other: later is greater. Mostly the same. */
  readonly left: number;
  readonly arrived: number;
}

/** A name at a moment. */
export interface Former {
  readonly path: RelativePath;
  readonly mark: number;
}

/** A directory that has been renamed for everybody, as one producer had done at the moment `until`. */
export interface EverybodysRename {
  readonly from: RelativePath;
  readonly to: RelativePath;
  /** What had the name `to` has the other one. */
  readonly isExchange: boolean;
}

/**
 * What was in a directory, and when, once that has always had its new name for everybody: after whatever else had that name
 * until the moment of the rename, and before anything later. Nothing if it was not in it.
 */
export type RenamedFormer = (former: Former) => Former | undefined;

/** What has been renamed for everybody got this name at the one moment, and gave it up at the other. */
interface Period {
  readonly name: RelativePath;
  readonly since: number;
  readonly until: number;
  readonly renamed: RelativePath;
}

/** `undefined` if it has no other name. */
export function renamedForEverybody(
  path: RelativePath,
  { from, to, isExchange }: EverybodysRename,
): RelativePath | undefined {
  if (isWithin(path, from)) return renamedIn(path, from, to);
  return isExchange && isWithin(path, to) ? renamedIn(path, to, from) : undefined;
}

export class MoveMemory {
  /** By the name that was given up, and by the one that was taken; in order. */
  readonly #targets = new PathTable<readonly Move[]>();
  readonly #sources = new PathTable<readonly Move[]>();
  #count = 0;
  #bytes = 0;
  #number = 0;
  /** The last one that was told, unless it was the second of an exchange. */
  #last: Move | undefined;

  /** See `WatchSink`. */
  mark(): number {
    return ++this.#number;
  }

  /** As it was told. Returns the number of this rename. `when`: if it was not just now. */
  moved(from: RelativePath, to: RelativePath, when?: MoveTime): number {
    // What is exchanged is told as two renames in a row. One there and back looks the same, but leaves nothing there.
    const first = this.#last?.from === to && this.#last.to === from ? this.#last : undefined;
    const told = this.#timed(from, to, when ?? first);
    const move = first === undefined ? told : exchanged(told, first);
    this.#last = first === undefined ? move : undefined;
    this.#add(move);
    return move.arrived;
  }

  /** The same of one that nobody has told: it may be found between the halves of an exchange. */
  found(from: RelativePath, to: RelativePath, when?: MoveTime): number {
    const move = this.#timed(from, to, when);
    this.#add(move);
    return move.arrived;
  }

  #timed(from: RelativePath, to: RelativePath, when?: MoveTime): Move {
    const arrived = when?.arrived ?? ++this.#number;
    return { from, to, left: when?.left ?? arrived, arrived };
  }

  #add(move: Move): void {
    this.#remember(move);
    for (const oldest of this.#targets.keys()) {
      if (this.#count <= MOST_MOVES && this.#bytes <= MOST_BYTES) break;
      for (const one of this.#targets.get(oldest) ?? []) this.#forget(one);
    }
  }

  /** Whether `followed` takes but a moment, and hardly any room (I6, I7). `until`: Infinity if it is still to be renamed. */
  canFollow(rename: EverybodysRename, until: number): boolean {
    const longest = Math.max(rename.from.length, rename.to.length);
    const count = this.#concernedBy(this.#periods(rename, until)).length;
    return count <= MOST_FOLLOWED && count * longest <= MOST_BYTES_FOLLOWED;
  }

  /**
   * What was renamed in the directory, out of it or into it was so under its new name, whatever it was called then. Not what
   * was renamed while another directory had the name, nor what came later than the one that is numbered `until`.
   */
  followed(rename: EverybodysRename, until: number): RenamedFormer {
    const { from, to, isExchange } = rename;
    const periods = this.#periods(rename, until);
    const renamedIf = ({ path, mark }: Former, isDuring: (period: Period) => boolean) => {
      const period = periods.find((period) => isDuring(period) && isWithin(path, period.name));
      return period && {
        path: renamedIn(path, period.name, period.renamed),
        mark: until + mark / (until + 1),
      };
    };
    // In an exchange the one gives up a name when the other gets it.
    const renamedSource: RenamedFormer = (former) =>
      renamedIf(former, ({ since, until }) => since < former.mark && former.mark < until);
    const renamedTarget: RenamedFormer = (former) =>
      renamedIf(former, ({ since, until }) => since <= former.mark && former.mark < until);
    for (const move of this.#concernedBy(periods)) {
      const source = renamedSource({ path: move.from, mark: move.left });
      const target = renamedTarget({ path: move.to, mark: move.arrived });
      const isOver = move.left === until &&
        (move.from === from || (isExchange && move.from === to && move.to === from));
      if (!isOver && source === undefined && target === undefined) continue;
      this.#forget(move);
      if (isOver) continue;
      this.#remember({
        from: source?.path ?? move.from,
        to: target?.path ?? move.to,
        left: source?.mark ?? move.left,
        arrived: target?.mark ?? move.arrived,
      });
    }
    return renamedSource;
  }

  /** The names of what has been renamed, the last first. */
  #periods({ from, to, isExchange }: EverybodysRename, until: number): Period[] {
    const periods = this.#periodsOf(from, until, to);
    return isExchange ? [...periods, ...this.#periodsOf(to, until, from)] : periods;
  }

  #periodsOf(last: RelativePath, end: number, renamed: RelativePath): Period[] {
    const periods: Period[] = [];
    let [name, until] = [last, end];
    while (periods.length < MOST_PERIODS) {
      const arrival = this.#sources.get(name)?.findLast(({ arrived }) => arrived < until);
      // If nobody knows how it came there, it did so after whatever had the name before.
      const departure = this.#targets.get(name)?.findLast(({ left }) => left < until);
      const since = Math.max(arrival?.arrived ?? -Infinity, departure?.left ?? -Infinity);
      periods.push({ name, since, until, renamed });
      if (arrival === undefined || arrival.arrived < since) break;
      [name, until] = [arrival.from, arrival.left];
    }
    return periods;
  }

  #concernedBy(periods: readonly Period[]): Move[] {
    const concerns = (path: RelativePath) => periods.some(({ name }) => isWithin(path, name));
    const concerned: Move[] = [];
    for (const moves of this.#targets.values()) {
      for (const move of moves) {
        if (concerns(move.from) || concerns(move.to)) concerned.push(move);
      }
    }
    return concerned;
  }

  /** The first of `targetsOf`. */
  targetOf(path: RelativePath): RelativePath | undefined {
    return this.targetsOf(path)[0];
  }

  /**
   * What `path` is called, since it or a directory above it was renamed, as often as that was done. Several where the name was
   * given to something else meanwhile, which was renamed as well.
   */
  targetsOf(path: RelativePath): RelativePath[] {
    const found = new Set(this.#chainsFrom(path).flatMap((names) => names.at(-1) ?? []));
    found.delete(path);
    return [...found];
  }

  /** All that `path` was called since it had this name, the names of `targetsOf` among them. */
  namesSince(path: RelativePath): RelativePath[] {
    return [...new Set(this.#chainsFrom(path).flat())];
  }

  #chainsFrom(path: RelativePath): RelativePath[][] {
    // When what had the name came there, nobody says: each of these may be its first. The lowest directory's are likeliest.
    const first = this.#targets.covering(path).reverse().flatMap((moves) => moves.toReversed());
    return chainsFrom(
      path,
      first,
      (here, { from, to }) => renamedIn(here, from, to),
      (here, { arrived }) => this.#earliestAfter(arrived, here),
    );
  }

  #earliestAfter(mark: number, path: RelativePath): Move | undefined {
    const later = this.#targets.covering(path).flatMap((moves) =>
      moves.find(({ left }) => left > mark) ?? []
    );
    return later.sort((one, other) => one.left - other.left)[0];
  }

  #latestBefore(mark: number, path: RelativePath): Move | undefined {
    const earlier = this.#sources.covering(path).flatMap((moves) =>
      moves.findLast(({ arrived }) => arrived < mark) ?? []
    );
    return earlier.sort((one, other) => other.arrived - one.arrived)[0];
  }

  /**
   * What `path`, or a directory above it, was called before, the last name first; and of what had the name before, and was
   * replaced.
   */
  sourcesOf(path: RelativePath): RelativePath[] {
    const last = this.#sources.covering(path).flat().sort((one, other) =>
      other.arrived - one.arrived
    );
    const chains = chainsFrom(
      path,
      last,
      (here, { from, to }) => renamedIn(here, to, from),
      (here, { left }) => this.#latestBefore(left, here),
    );
    const found = new Set(chains.flat());
    found.delete(path);
    return [...found];
  }

  #forget(move: Move): void {
    if (!this.#targets.get(move.from)?.includes(move)) return; // by another's being remembered
    remove(this.#targets, move.from, move);
    remove(this.#sources, move.to, move);
    this.#count--;
    this.#bytes -= move.from.length + move.to.length;
  }

  #remember(move: Move): void {
    this.#count++;
    this.#bytes += move.from.length + move.to.length;
    add(this.#targets, move.from, move, ({ left }) => left);
    add(this.#sources, move.to, move, ({ arrived }) => arrived);
    this.#limit(this.#targets.get(move.from));
    this.#limit(this.#sources.get(move.to));
  }

  #limit(moves: readonly Move[] = []): void {
    const [oldest] = moves;
    if (moves.length > MOST_OF_A_NAME && oldest !== undefined) this.#forget(oldest);
  }
}

/** The second half of an exchange: it has left when the first one arrives, and arrives when that has left. */
function exchanged(second: Move, first: Move): Move {
  return {
    ...second,
    left: Math.min(second.left, first.arrived),
    arrived: Math.max(second.arrived, first.left),
  };
}

function add(
  table: PathTable<readonly Move[]>,
  path: RelativePath,
  move: Move,
  number: (move: Move) => number,
): void {
  const moves = [...table.get(path) ?? [], move];
  table.delete(path); // to the end
  table.set(path, moves.sort((one, other) => number(one) - number(other)));
}

function remove(table: PathTable<readonly Move[]>, path: RelativePath, move: Move): void {
  const left = (table.get(path) ?? []).filter((other) => other !== move);
  if (left.length === 0) table.delete(path);
  else table.set(path, left);
}

/**
 * What `path` is called after each of the moves, and what it is called then, one after the other. Each chain is as long as
 * is left for it: a guest may make many that are long, of enormous paths (I7).
 */
function chainsFrom(
  path: RelativePath,
  moves: readonly Move[],
  renamed: (path: RelativePath, move: Move) => RelativePath,
  next: (path: RelativePath, move: Move) => Move | undefined,
): RelativePath[][] {
  let left = MOST_STEPS;
  return moves.map((first) => {
    const names: RelativePath[] = [];
    let here = path;
    for (let move: Move | undefined = first; move && left > 0; move = next(here, move)) {
      here = renamed(here, move);
      names.push(here);
      left--;
    }
    return names;
  });
}
