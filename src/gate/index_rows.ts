/**
 * The rows of the index as SQLite returns them. Its check at a start is not of what is in its pages, nor of their order:
 * a disk may have changed that, and what nobody can have written throws a BrokenEntry here.
 */

import {
  asFileName,
  asRelativePath,
  type ByteString,
  type FileName,
  type RelativePath,
  ROOT,
} from "../../ffi/byte_string.ts";
import { KnownPage, NOTHING_KNOWN } from "./known_directory.ts";
import { BrokenEntry, unpackEntry, wordsOf } from "./packed_entry.ts";
import type { IndexEntry } from "./replica_record.ts";

type Row = Record<string, unknown>;

/** A name holds one byte a character; of bytes that are no text SQLite's reader makes other characters. */
const NO_BYTES = /[\u0100-\uffff]/;

/** The entry of a row with `packed`. */
export function entryOf({ packed }: Row): IndexEntry {
  return unpackEntry(packedWords(packed), 0);
}

/**
 * Many entries of a directory out of one row: `names` in their order, with slashes between, all behind `after`, and all
 * that is `packed`.
 */
export function pageOf(row: Row | undefined, after: string): KnownPage {
  if (typeof row?.names !== "string") return NOTHING_KNOWN;
  return new KnownPage(namesOf(row.names, after), packedWords(row.packed));
}

/** The path of a row with `directory` and `name`. */
export function pathOf({ directory, name }: Row): RelativePath {
  const text = directory === "" ? String(name) : `${directory}/${name}`;
  const path = NO_BYTES.test(text) ? undefined : asRelativePath(text as ByteString);
  if (path === undefined || path === ROOT) throw new BrokenEntry("a path that is none");
  return path;
}

/** The replica's name of a row with `name`. */
export function replicaNameOf({ name }: Row): ByteString {
  return pathOf({ directory: "", name });
}

function namesOf(joined: string, after: string): FileName[] {
  if (NO_BYTES.test(joined)) throw new BrokenEntry("a name that is none");
  const names: FileName[] = [];
  let before = after;
  for (const text of joined.split("/")) {
    const name = asFileName(text as ByteString); // as every character is a byte
    if (name === undefined) throw new BrokenEntry("a name that is none");
    if (name <= before) throw new BrokenEntry("names out of order");
    names.push(name);
    before = name;
  }
  return names;
}

function packedWords(packed: unknown): Uint32Array {
  if (packed instanceof Uint8Array) return wordsOf(packed);
  throw new BrokenEntry("not packed");
}
