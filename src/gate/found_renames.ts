/**
 * Renames of which no event tells. Those made while the daemon was down are known before anything is deleted or replaced;
 * one whose events were lost, only if its new name is found before that travels. Whoever reads a tree tells which inodes
 * names have lost, and which ones others have that are news; one that is both was renamed. So was what took a file's place
 * before the directory around them was renamed: the file's former name, and the new one, are of one name in one directory.
 *
 * A file system may give a removed file's inode to a new one. That is taken for a rename too: what became of its former name
 * is told later, and of a deletion nothing if the new file is malware.
 */

import { nameOf, parentOf, type RelativePath } from "../../ffi/byte_string.ts";
import { BoundedMap } from "../collections/bounded_map.ts";
import type { Replica } from "./replica.ts";
import { type IndexEntry, matches, recordIn } from "./replica_record.ts";
import type { Sight } from "./sight.ts";

/** As with renames that are told: beyond them a deletion may travel before the new name has arrived (I6). */
const MOST_NAMES = 50_000;
const MOST_BYTES = 16 * 1024 * 1024;

export interface FoundRenamesParts {
  /** A number of this moment: see `WatchSink`. */
  mark(replica: Replica): number;
  /** A file has another name than the index knows. All that one reading finds were renamed at the same moment. */
  onRenamed(replica: Replica, from: RelativePath, to: RelativePath, moment: number): void;
}

/** An inode, or a place in a directory that was renamed: that one's inode, and a name. */
type Key = number | string;

/** The oldest are forgotten when there are too many. */
type Names<Name extends Key, Value extends Key> = BoundedMap<Name, Value>;

/** Of one share. Who reads a tree tells of a directory before it tells of what is in it. */
interface Found {
  readonly moment: number;
  readonly lost: Names<Key, RelativePath>;
  readonly news: Names<Key, RelativePath>;
  readonly lostDirectories: Names<RelativePath, number>;
  readonly newDirectories: Names<RelativePath, number>;
}

/** What one reading finds. */
export class FoundRenames {
  readonly #shares = new Map<Replica, Found>();

  constructor(private readonly parts: FoundRenamesParts, private readonly most = MOST_NAMES) {}

  /** A path that is not as known, in replicas that are there. */
  see(path: RelativePath, entry: IndexEntry, sights: readonly Sight[]): void {
    for (const { replica, seen } of sights) {
      if (replica.role !== "producer") continue;
      const record = recordIn(entry, replica.id);
      const status = seen.kind === "file" || seen.kind === "directory" ? seen.status : undefined;
      if (record !== undefined && (record.kind !== seen.kind || record.inode !== status?.inode)) {
        if (record.kind === "file") this.#lost(replica, record.inode, path);
        else this.#of(replica).lostDirectories.set(path, record.inode);
      }
      if (status === undefined) continue;
      if (seen.kind === "directory") {
        if (record?.inode !== status.inode) {
          this.#of(replica).newDirectories.set(path, status.inode);
        }
      } else if (record?.status !== "current" || !matches(record, status)) {
        this.#news(replica, status.inode, path);
      }
    }
  }

  #lost(replica: Replica, inode: number, path: RelativePath): void {
    const { moment, lost, news, lostDirectories } = this.#of(replica);
    for (const to of counterparts(keysOf(inode, path, lostDirectories), path, lost, news)) {
      this.parts.onRenamed(replica, path, to, moment);
    }
  }

  #news(replica: Replica, inode: number, path: RelativePath): void {
    const { moment, lost, news, newDirectories } = this.#of(replica);
    for (const from of counterparts(keysOf(inode, path, newDirectories), path, news, lost)) {
      this.parts.onRenamed(replica, from, path, moment);
    }
  }

  #of(replica: Replica): Found {
    return this.#shares.getOrInsertComputed(replica, () => ({
      moment: this.parts.mark(replica),
      lost: names(this.most),
      news: names(this.most),
      lostDirectories: names(this.most),
      newDirectories: names(this.most),
    }));
  }
}

/** Each may lead to another name: to a new file's that got the inode, and to what stands in the same place. */
function keysOf(
  inode: number,
  path: RelativePath,
  directories: Names<RelativePath, number>,
): readonly Key[] {
  const directory = directories.get(parentOf(path));
  return directory === undefined ? [inode] : [inode, `${directory}/${nameOf(path)}`];
}

/** What `others` have of these keys. For the rest, `path` is kept in `own` until its counterpart is found. */
function counterparts(
  keys: readonly Key[],
  path: RelativePath,
  own: Names<Key, RelativePath>,
  others: Names<Key, RelativePath>,
): ReadonlySet<RelativePath> {
  const found = new Set<RelativePath>();
  for (const key of keys) {
    const other = others.get(key);
    if (other === undefined) own.set(key, path);
    else found.add(other);
  }
  return found;
}

function names<Name extends Key, Value extends Key>(most: number): Names<Name, Value> {
  return new BoundedMap<Name, Value>(most, MOST_BYTES, bytesOf);
}

function bytesOf(...parts: readonly Key[]): number {
  return parts.reduce<number>((sum, part) => sum + (typeof part === "string" ? part.length : 0), 0);
}
