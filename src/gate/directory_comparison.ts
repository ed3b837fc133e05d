/** What one directory holds in several replicas, beside what the index knows of it. */

import { type FileName, join, type RelativePath } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import type { DirectoryEntry } from "../../ffi/dirent.ts";
import { kindAt, STATUS_WORDS } from "../../ffi/status_words.ts";
import type { KnownDirectory } from "./known_directory.ts";
import type { Replica } from "./replica.ts";
import { type IndexEntry, recordIn, UNKNOWN_ENTRY } from "./replica_record.ts";

export interface Finding {
  readonly name: FileName;
  readonly path: RelativePath;
  /** What is known of it. */
  readonly entry: IndexEntry;
  /** As the index knows it, in every replica that receives it. */
  readonly settled: boolean;
  /** Some replica has a directory of this name, or is known to have had one. */
  readonly isDirectory: boolean;
  readonly wasDirectory: boolean;
}

/** Bits of a known name. */
const PRESENT = 1;
const DIFFERS = 2;
const DIRECTORY = 4;
const RULED = 8;
const IGNORED = 16;

/** Of the entry that is looked at. */
const status = new Uint32Array(STATUS_WORDS);

export class DirectoryComparison {
  readonly #path: RelativePath;
  readonly #known: KnownDirectory;
  readonly #isIgnored: (path: RelativePath) => boolean;
  /** Of each known name: receivers that have it as known, and bits. */
  readonly #asKnown: Uint16Array;
  readonly #bits: Uint8Array;
  /** Behind each known name, where the last replica had the next one: the others mostly have the same order. */
  readonly #next: Uint32Array;
  #position = 0;
  /** Names that are not known, and whether they are directories. */
  #unknown = new Map<FileName, boolean>();
  /** How many more of them were told of. */
  #told = 0;

  constructor(
    path: RelativePath,
    known: KnownDirectory,
    isIgnored: (path: RelativePath) => boolean,
  ) {
    this.#path = path;
    this.#known = known;
    this.#isIgnored = isIgnored;
    this.#asKnown = new Uint16Array(known.names.length);
    this.#bits = new Uint8Array(known.names.length);
    this.#next = Uint32Array.from(known.names, (_, position) => position + 1);
  }

  /** Takes in one entry of the directory as `replica` has it. */
  see(replica: Replica, directory: Directory, { name, kind }: DirectoryEntry): void {
    const position = this.#positionOf(name);
    // Links and special files are nobody's business unless something else stood there.
    if ((kind === "link" || kind === "other") && !this.#isRecorded(position, replica)) return;
    if (kind !== "directory" && this.#ignores(position, name)) return;
    if (!directory.statusWords(name, status)) return;
    const isDirectory = kindAt(status, 0) === "directory";
    if (position === undefined) {
      this.#unknown.set(name, isDirectory || this.#unknown.get(name) === true);
      return;
    }
    const matches = this.#known.isCurrent(position, replica.id, status);
    if (matches && replica.role !== "diode") {
      this.#asKnown[position] = (this.#asKnown[position] ?? 0) + 1;
    }
    // What a diode has of its own never gets a number of the channel's versions. What got no clean verdict is looked at.
    const differs = !matches &&
      !(replica.role === "diode" && this.#known.isOwn(position, replica.id, status));
    this.#set(position, PRESENT | (isDirectory ? DIRECTORY : 0) | (differs ? DIFFERS : 0));
  }

  /** What is to be said of the known names, but for files that are settled. */
  *known(receivers: number): Generator<Finding> {
    for (const [position, name] of this.#known.names.entries()) {
      const bits = this.#bits[position] ?? 0;
      const settled = (bits & (PRESENT | DIFFERS)) === PRESENT &&
        this.#asKnown[position] === receivers;
      if (settled && (bits & DIRECTORY) === 0) continue;
      yield this.#finding(name, this.#known.entryAt(position), bits, settled);
    }
  }

  /** How many names that are not known were seen, and not told of. */
  get unknownNames(): number {
    return this.#unknown.size;
  }

  /** Tells of them, once: another replica may have some of them as well, and they are told of again then. */
  *unknown(): Generator<Finding> {
    const names = this.#unknown;
    this.#unknown = new Map();
    this.#told += names.size;
    for (const [name, isDirectory] of names) {
      yield this.#finding(name, UNKNOWN_ENTRY, PRESENT | (isDirectory ? DIRECTORY : 0), false);
    }
  }

  /** How many names there are, known or not. */
  get size(): number {
    return this.#known.names.length + this.#unknown.size + this.#told;
  }

  #finding(name: FileName, entry: IndexEntry, bits: number, settled: boolean): Finding {
    return {
      name,
      path: join(this.#path, name),
      entry,
      settled,
      isDirectory: (bits & DIRECTORY) !== 0,
      wasDirectory: entry.records.some(({ kind }) => kind === "directory"),
    };
  }

  #positionOf(name: FileName): number | undefined {
    const position = this.#known.positionOf(name, this.#next[this.#position]);
    if (position === undefined) return undefined;
    this.#next[this.#position] = position;
    this.#position = position;
    return position;
  }

  #isRecorded(position: number | undefined, { id }: Replica): boolean {
    return position !== undefined && recordIn(this.#known.entryAt(position), id) !== undefined;
  }

  /** Asked of each known name once, not for each replica. */
  #ignores(position: number | undefined, name: FileName): boolean {
    if (position === undefined) return this.#isIgnored(join(this.#path, name));
    if (((this.#bits[position] ?? 0) & RULED) === 0) {
      this.#set(position, RULED | (this.#isIgnored(join(this.#path, name)) ? IGNORED : 0));
    }
    return ((this.#bits[position] ?? 0) & IGNORED) !== 0;
  }

  #set(position: number, bits: number): void {
    this.#bits[position] = (this.#bits[position] ?? 0) | bits;
  }
}
