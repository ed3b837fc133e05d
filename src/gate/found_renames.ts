/**
 * Renames of which no event tells. Those made while the daemon was down are known before anything is deleted or replaced;
 * one whose events were lost, only if its new name is found before that travels. Whoever reads a tree tells which inodes
 * names have lost, and which ones others have that are news; one that is both was renamed.
 *
 * A file system may give a removed file's inode to a new one. That is taken for a rename too: what became of its former name
 * is told later, and of a deletion nothing if the new file is malware.
 */

import type { RelativePath } from "../../ffi/byte_string.ts";
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

/** Of one share. */
interface Found {
  readonly moment: number;
  readonly lost: Names;
  readonly news: Names;
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
      const inode = seen.kind === "file" ? seen.status.inode : undefined;
      if (record?.kind === "file" && record.inode !== inode) {
        this.#lost(replica, record.inode, path);
      }
      if (seen.kind !== "file") continue;
      const isNews = record?.status !== "current" || !matches(record, seen.status);
      if (isNews) this.#news(replica, seen.status.inode, path);
    }
  }

  #lost(replica: Replica, inode: number, path: RelativePath): void {
    const { moment, lost, news } = this.#of(replica);
    const to = news.get(inode);
    if (to === undefined) lost.set(inode, path);
    else this.parts.onRenamed(replica, path, to, moment);
  }

  #news(replica: Replica, inode: number, path: RelativePath): void {
    const { moment, lost, news } = this.#of(replica);
    const from = lost.get(inode);
    if (from === undefined) news.set(inode, path);
    else this.parts.onRenamed(replica, from, path, moment);
  }

  #of(replica: Replica): Found {
    return this.#shares.getOrInsertComputed(replica, () => ({
      moment: this.parts.mark(replica),
      lost: new Names(this.most),
      news: new Names(this.most),
    }));
  }
}

/** The oldest are forgotten when there are too many. */
class Names {
  readonly #names = new Map<number, RelativePath>();
  #bytes = 0;

  constructor(private readonly most: number) {}

  get(inode: number): RelativePath | undefined {
    return this.#names.get(inode);
  }

  set(inode: number, path: RelativePath): void {
    this.#delete(inode);
    this.#names.set(inode, path);
    this.#bytes += path.length;
    for (const oldest of this.#names.keys()) {
      if (this.#names.size <= this.most && this.#bytes <= MOST_BYTES) break;
      this.#delete(oldest);
    }
  }

  #delete(inode: number): void {
    this.#bytes -= this.#names.get(inode)?.length ?? 0;
    this.#names.delete(inode);
  }
}
