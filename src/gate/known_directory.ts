/** What the index holds of the entries of one directory, packed as it came: most of it is only compared. */

import type { FileName, RelativePath } from "../../ffi/byte_string.ts";
import { kindAt, sameAccessAt, sameInodeAt, sameVersionAt } from "../../ffi/status_words.ts";
import type { Pace } from "./pace.ts";
import { BrokenEntry, currentStatusAt, endOf, ownStatusAt, unpackEntry } from "./packed_entry.ts";
import { type IndexEntry, type ReplicaId, TRAVELLING_MODE } from "./replica_record.ts";

/** The most names of a page: some milliseconds of work. */
export const PAGE_NAMES = 4096;
/** Of a directory that are known at a time, which are some 40 MiB (I6): one with more is gone through part by part. */
export const MOST_PAGES = 32;

/** A run of names in order, with what is known of them. */
export class KnownPage {
  /** Where each entry begins. */
  readonly #starts: Uint32Array;

  /** `words`: the entries of all `names` in their order. Throws BrokenEntry if they are not. */
  constructor(readonly names: readonly FileName[], readonly words: Uint32Array) {
    this.#starts = new Uint32Array(names.length);
    let at = 0;
    for (const position of names.keys()) {
      this.#starts[position] = at;
      at = endOf(words, at);
    }
    if (at !== words.length) throw new BrokenEntry("names and entries do not match");
  }

  startOf(position: number): number {
    const start = this.#starts[position];
    if (start === undefined) throw new RangeError("no such position");
    return start;
  }
}

export const NOTHING_KNOWN = new KnownPage([], new Uint32Array(0));

/** Where the pages come from. */
export interface KnownPages {
  /** The next names of `directory` in order behind `after` (all names are behind ""), with what is known of them. */
  page(directory: RelativePath, after: string): KnownPage;
}

/** A directory, or that part of it in which names lie between two. */
export class KnownDirectory {
  /** In order. */
  readonly names: FileName[] = [];
  /** Where the next part begins: behind the last name of this one. `undefined` if this is the last part. */
  next: FileName | undefined;
  /** All but the last are full. */
  readonly #pages: KnownPage[] = [];

  /**
   * Reads what is known of `directory`, with a rest after each page: it may have as many names as a guest likes. `onLarge`
   * is waited for where there are several pages. `after`: where this part begins.
   */
  static async read(
    index: KnownPages,
    directory: RelativePath,
    pace: Pace,
    onLarge?: () => Promise<void>,
    after = "",
  ): Promise<KnownDirectory> {
    const known = new KnownDirectory(after);
    for (let pages = 0; pages < MOST_PAGES; pages++) {
      const page = index.page(directory, known.names.at(-1) ?? after);
      known.#add(page);
      if (page.names.length < PAGE_NAMES) return known;
      await onLarge?.();
      await pace.rest();
    }
    known.next = known.names.at(-1);
    return known;
  }

  /** All of `directory`, part by part, as `read` reads them. */
  static async *parts(
    index: KnownPages,
    directory: RelativePath,
    pace: Pace,
    onLarge?: () => Promise<void>,
  ): AsyncGenerator<KnownDirectory> {
    for (let after: string | undefined = ""; after !== undefined;) {
      const known: KnownDirectory = await KnownDirectory.read(
        index,
        directory,
        pace,
        onLarge,
        after,
      );
      yield known;
      after = known.next;
    }
  }

  private constructor(private readonly after: string) {}

  /** Whether `name`, known or not, lies in this part. */
  covers(name: FileName): boolean {
    return name > this.after && (this.next === undefined || name <= this.next);
  }

  #add(page: KnownPage): void {
    this.#pages.push(page);
    for (const name of page.names) this.names.push(name);
  }

  /** Where `name` stands in `names`, if not where it is `expected`; `undefined` if it is not known. */
  positionOf(name: FileName, expected = 0): number | undefined {
    const { names } = this;
    // To compare costs a tenth of what V8 takes to find a string that it has not seen before in a Map.
    if (names[expected] === name) return expected;
    let low = 0;
    let high = names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const there = names[middle];
      if (there !== undefined && there < name) low = middle + 1;
      else high = middle;
    }
    return names[low] === name ? low : undefined;
  }

  entryAt(position: number): IndexEntry {
    const { words, start } = this.#place(position);
    return unpackEntry(words, start);
  }

  /** Whether a replica has the channel's version there, if these are the words of what it has. */
  isCurrent(position: number, replica: ReplicaId, status: Uint32Array): boolean {
    const { words, start } = this.#place(position);
    return matches(words, currentStatusAt(words, start, replica), status);
  }

  /** Whether a replica has what is noted as its own there, of whatever version. */
  isOwn(position: number, replica: ReplicaId, status: Uint32Array): boolean {
    const { words, start } = this.#place(position);
    return matches(words, ownStatusAt(words, start, replica), status);
  }

  #place(position: number): { readonly words: Uint32Array; readonly start: number } {
    const page = this.#pages[Math.floor(position / PAGE_NAMES)];
    if (page === undefined) throw new RangeError("no such position");
    return { words: page.words, start: page.startOf(position % PAGE_NAMES) };
  }
}

function matches(words: Uint32Array, at: number, status: Uint32Array): boolean {
  if (at < 0) return false;
  const kind = kindAt(words, at);
  if (kind !== kindAt(status, 0)) return false;
  // A directory's own times say nothing; another one may have taken its name.
  return kind === "directory"
    ? sameInodeAt(words, at, status, 0) && sameAccessAt(words, at, status, 0, TRAVELLING_MODE)
    : sameVersionAt(words, at, status, 0);
}
