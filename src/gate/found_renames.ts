/**
 * Renames of which no event tells. Those made while the daemon was down are known before anything is deleted; one whose
 * events were lost, only if its new name is found before the deletion travels. Whoever reads a tree tells which inodes
 * names have lost, and which ones others have that are news; one that is both was renamed.
 *
 * A file system may give a removed file's inode to a new one. That is taken for a rename too: the deletion is later told,
 * and not at all if the new file is malware.
 */

import type { RelativePath } from "../../ffi/byte_string.ts";
import type { Replica } from "./replica.ts";
import { type IndexEntry, matches, recordIn } from "./replica_record.ts";
import type { Sight } from "./sight.ts";

/** As with renames that are told: beyond them a deletion may travel before the new name has arrived (I6). */
const MOST_NAMES = 50_000;
const MOST_BYTES = 16 * 1024 * 1024;

export type Renamed = (replica: Replica, from: RelativePath, to: RelativePath) => void;

/** What one reading finds. */
export class FoundRenames {
  readonly #onRenamed: Renamed;
  readonly #shares = new Map<Replica, { readonly lost: Names; readonly news: Names }>();

  constructor(onRenamed: Renamed, private readonly most = MOST_NAMES) {
    this.#onRenamed = onRenamed;
  }

  /** A path that is not as known, in replicas that are there. */
  see(path: RelativePath, entry: IndexEntry, sights: readonly Sight[]): void {
    for (const { replica, seen } of sights) {
      if (replica.role !== "producer") continue;
      const record = recordIn(entry, replica.id);
      if (seen.kind !== "file") {
        if (record?.kind === "file") this.#lost(replica, record.inode, path);
        continue;
      }
      const isNews = record?.status !== "current" || !matches(record, seen.status);
      if (isNews) this.#news(replica, seen.status.inode, path);
    }
  }

  #lost(replica: Replica, inode: number, path: RelativePath): void {
    const { lost, news } = this.#of(replica);
    const to = news.get(inode);
    if (to === undefined) lost.set(inode, path);
    else this.#onRenamed(replica, path, to);
  }

  #news(replica: Replica, inode: number, path: RelativePath): void {
    const { lost, news } = this.#of(replica);
    const from = lost.get(inode);
    if (from === undefined) news.set(inode, path);
    else this.#onRenamed(replica, from, path);
  }

  #of(replica: Replica): { readonly lost: Names; readonly news: Names } {
    let share = this.#shares.get(replica);
    if (share === undefined) {
      this.#shares.set(replica, share = { lost: new Names(this.most), news: new Names(this.most) });
    }
    return share;
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
