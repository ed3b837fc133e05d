/** What the index holds of the entries of one directory, packed as it came: most of it is only compared. */

import type { FileName } from "../../ffi/byte_string.ts";
import { kindAt, sameAccessAt, sameVersionAt } from "../../ffi/status_words.ts";
import { currentStatusAt, endOf, statusAt, unpackEntry } from "./packed_entry.ts";
import { type IndexEntry, type ReplicaId, TRAVELLING_MODE } from "./replica_record.ts";

export class KnownDirectory {
  readonly names: readonly FileName[];
  readonly #words: Uint32Array;
  readonly #starts: Uint32Array;
  readonly #positions = new Map<FileName, number>();

  /** `words`: the entries of all `names` in their order. Throws if they are not. */
  constructor(names: readonly FileName[], words: Uint32Array) {
    this.names = names;
    this.#words = words;
    this.#starts = new Uint32Array(names.length);
    let at = 0;
    for (const [position, name] of names.entries()) {
      this.#starts[position] = at;
      this.#positions.set(name, position);
      at = endOf(words, at);
    }
    if (at !== words.length) throw new RangeError("index: names and entries do not match");
  }

  /** Where `name` stands in `names`; `undefined` if it is not known. */
  positionOf(name: FileName): number | undefined {
    return this.#positions.get(name);
  }

  entryAt(position: number): IndexEntry {
    return unpackEntry(this.#words, this.#startOf(position));
  }

  /** Whether a replica has the channel's version there, if these are the words of what it has. */
  isCurrent(position: number, replica: ReplicaId, status: Uint32Array): boolean {
    return this.#matches(currentStatusAt(this.#words, this.#startOf(position), replica), status);
  }

  /** Whether a replica has what is known of it there, of whatever version. */
  isRecorded(position: number, replica: ReplicaId, status: Uint32Array): boolean {
    return this.#matches(statusAt(this.#words, this.#startOf(position), replica), status);
  }

  #matches(at: number, status: Uint32Array): boolean {
    if (at < 0) return false;
    const kind = kindAt(this.#words, at);
    if (kind !== kindAt(status, 0)) return false;
    // A directory's own times say nothing.
    return kind === "directory"
      ? sameAccessAt(this.#words, at, status, 0, TRAVELLING_MODE)
      : sameVersionAt(this.#words, at, status, 0);
  }

  #startOf(position: number): number {
    const start = this.#starts[position];
    if (start === undefined) throw new RangeError("no such position");
    return start;
  }
}
