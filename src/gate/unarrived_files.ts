/**
 * Clean versions of files that were renamed and have not arrived under their new names yet, though others may already give up
 * what they have under the former ones. If such a file becomes malware meanwhile, this is the last that is clean of it.
 */

import type { FileStatus } from "../../ffi/file_status.ts";
import type { Replica } from "./replica.ts";
import { type ReplicaId, sameIdentity } from "./replica_record.ts";
import type { Snapshot } from "./snapshot.ts";

/** Of one author (I7). Each is an open file, and room on the disk (I6). */
const MOST = 64;
/** Since it was judged last: whatever was in its way goes sooner, or stays. */
const LONGEST_MS = 60_000;

interface Unarrived {
  readonly author: ReplicaId;
  readonly snapshot: Snapshot;
  readonly since: number;
}

export class UnarrivedFiles {
  /** What was judged longest ago is first. None is given up for another: nobody else may have it any more. */
  readonly #files = new Map<string, Unarrived>();

  /**
   * `snapshot` is clean, and is disposed of here: at once where there are too many of the author's, which is to be asked for
   * again then. `nowMs`: of a clock that never runs backwards.
   */
  keep({ id }: Pick<Replica, "id">, snapshot: Snapshot, nowMs: number): void {
    const key = keyOf(id, snapshot.source);
    this.#forget(key);
    const others = this.#files.values().filter(({ author }) => author === id);
    if ([...others].length >= MOST) return snapshot[Symbol.dispose]();
    this.#files.set(key, { author: id, snapshot, since: nowMs });
  }

  /** Whether that very version is kept. */
  has({ id }: Pick<Replica, "id">, version: FileStatus): boolean {
    const kept = this.#files.get(keyOf(id, version));
    return kept !== undefined && sameIdentity(kept.snapshot.source, version);
  }

  /** The clean version of what has that inode, which is the caller's from now on. */
  take({ id }: Pick<Replica, "id">, file: Pick<FileStatus, "inode">): Snapshot | undefined {
    const key = keyOf(id, file);
    const kept = this.#files.get(key);
    this.#files.delete(key);
    return kept?.snapshot;
  }

  /** It has arrived. */
  forget({ id }: Pick<Replica, "id">, file: Pick<FileStatus, "inode">): void {
    if (this.#files.size > 0) this.#forget(keyOf(id, file));
  }

  /** Gives up what was judged long ago. */
  sweep(nowMs: number): void {
    for (const [key, { since }] of this.#files) {
      if (nowMs - since < LONGEST_MS) break;
      this.#forget(key);
    }
  }

  /** Gives up all. */
  clear(): void {
    for (const key of this.#files.keys()) this.#forget(key);
  }

  #forget(key: string): void {
    this.#files.get(key)?.snapshot[Symbol.dispose]();
    this.#files.delete(key);
  }
}

function keyOf(replica: ReplicaId, { inode }: Pick<FileStatus, "inode">): string {
  return `${replica}/${inode}`;
}
