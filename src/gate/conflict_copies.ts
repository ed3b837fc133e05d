/**
 * How many conflict copies of a name a directory holds. It holds as many names as a guest likes, and thousands of them
 * may be in conflict: one listing serves for a while. It tells a little less than there is then, but for what is kept
 * meanwhile, which is told.
 */

import type { FileName } from "../../ffi/byte_string.ts";
import { type Clock, MACHINE_CLOCK } from "../../ffi/clock.ts";
import type { Directory } from "../../ffi/directory.ts";
import { inodeKey } from "../../ffi/file_content.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { BoundedMap } from "../collections/bounded_map.ts";
import {
  isConflictCopyOf,
  MOST_CONFLICT_COPIES,
  stemOfCopies,
  stemOfCopy,
} from "./conflict_name.ts";
import { Pace } from "./pace.ts";

const VALID_MS = 1000;
/** Of which listings are kept. */
const MOST_DIRECTORIES = 4;
/** With more copies in a directory each conflict there has to list it (I6). */
const MOST_COPIES = 20_000;

/** The conflict copies in a directory, by the beginning that they have in common; `undefined`: too many. */
type Listing = Map<string, FileName[]> | undefined;

export class ConflictCopies {
  readonly #listings = new BoundedMap<string, Promise<Listing>>(MOST_DIRECTORIES);
  readonly #clock: Clock;

  constructor(clock: Clock = MACHINE_CLOCK) {
    this.#clock = clock;
  }

  /** How many are kept. */
  get listings(): number {
    return this.#listings.size;
  }

  /** Whether one more copy of `name` in `directory` would be too many. */
  async areMost(directory: Directory, name: FileName): Promise<boolean> {
    const stem = stemOfCopies(name);
    const listing = stem === undefined ? undefined : await this.#listing(directory);
    if (stem === undefined || listing === undefined) return await holdsMost(directory, name);
    const copies = (listing.get(stem) ?? []).filter((copy) => isConflictCopyOf(copy, name));
    // One that is given up is lost: another directory may have the number of one that was removed.
    return copies.length >= MOST_CONFLICT_COPIES && await holdsMost(directory, name);
  }

  /** `copy` is in `directory` from now on. */
  async kept(directory: Directory, copy: FileName): Promise<void> {
    const listing = await this.#listings.get(inodeKey(statusOf(directory)));
    if (listing !== undefined) add(listing, copy);
  }

  async #listing(directory: Directory): Promise<Listing> {
    const key = inodeKey(statusOf(directory));
    const known = this.#listings.get(key);
    if (known !== undefined) return await known;
    const listing = list(directory);
    this.#listings.set(key, listing);
    const forget = () => {
      if (this.#listings.get(key) === listing) this.#listings.delete(key);
    };
    listing.then(() => this.#clock.after(VALID_MS, forget), forget);
    return await listing;
  }
}

async function list(directory: Directory): Promise<Listing> {
  const pace = new Pace();
  const listing = new Map<string, FileName[]>();
  let copies = 0;
  for (const { name } of directory.entries()) {
    if (add(listing, name) && ++copies > MOST_COPIES) return undefined;
    if (pace.isDue()) await pace.rest();
  }
  return listing;
}

/** `false` if it is no conflict copy. */
function add(listing: Map<string, FileName[]>, name: FileName): boolean {
  const stem = stemOfCopy(name);
  if (stem === undefined) return false;
  const others = listing.get(stem);
  if (others === undefined) listing.set(stem, [name]);
  else others.push(name);
  return true;
}

async function holdsMost(directory: Directory, name: FileName): Promise<boolean> {
  const pace = new Pace();
  let copies = 0;
  for (const entry of directory.entries()) {
    if (isConflictCopyOf(entry.name, name) && ++copies >= MOST_CONFLICT_COPIES) return true;
    if (pace.isDue()) await pace.rest();
  }
  return false;
}
