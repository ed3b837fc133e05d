/**
 * What files that were renamed wait for: whoever has the former name keeps what has it until it has arrived under the new one,
 * or is the last clean copy of what has become malware there.
 */

import type { RelativePath } from "../../ffi/byte_string.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import { BoundedMap } from "../collections/bounded_map.ts";
import {
  type Job,
  type Look,
  type ReconcilerParts,
  type Rest,
  SOON,
  UNREAD,
  WHILE_UNMET,
} from "./job.ts";
import type { Seen } from "./planning/situation.ts";
import type { Barrier, Replica, View } from "./replica.ts";
import {
  type IndexEntry,
  matches,
  recordIn,
  type ReplicaRecord,
  withoutRecord,
} from "./replica_record.ts";
import type { Snapshot } from "./snapshot.ts";

/** The new name may wait for the scanner. When it arrives, that is told. */
const WHILE_NEW: Rest = { kind: "later", delayMs: 5000, isStuck: true };
/** For what a new file's name belonged to before: it may be one of which there will never be a verdict. */
const LONGEST_WAIT_MS = 30_000;
/** Names of which it is known since when they wait so (I6). */
const MOST_WAITING = 1_000;
/** Files that wait for each other. */
const MOST_OF_A_CIRCLE = 64;
/** Files, each in the way of what another one's new name is. */
const MOST_BARRIERS = 8;
const AT_ONCE: Rest = { kind: "later", delayMs: 0 };

/** A file of the author's. */
interface Named {
  readonly path: RelativePath;
  readonly status: FileStatus;
}

export class RenamedNames {
  readonly #parts: ReconcilerParts;
  readonly #isClean: (version: FileStatus) => boolean;
  /** Names that are not given to a new file yet, since when. */
  readonly #since = new BoundedMap<RelativePath, number>(MOST_WAITING);

  /** `isClean`: whether that version was found to be clean, or is not to be scanned. */
  constructor(parts: ReconcilerParts, isClean: (version: FileStatus) => boolean) {
    this.#parts = parts;
    this.#isClean = isClean;
  }

  /**
   * While the author had another file of that name, which has a new one and is not there yet: it may become malware, and
   * what others have under this name would be the last that is clean of it.
   */
  waitForReplaced(author: View, entry: IndexEntry, job: Job): Rest | undefined {
    const waits = this.#waitsForReplaced(author, entry, job);
    if (waits !== WHILE_NEW) this.#since.delete(job.path);
    else if (this.#isOverdue(job.path)) {
      this.#since.delete(job.path);
      // As if the name had never been the author's: what others have is kept beside the new file.
      this.#parts.index.put(job.path, withoutRecord(entry, author.replica.id));
      return AT_ONCE;
    }
    return waits;
  }

  #waitsForReplaced({ replica, seen }: View, entry: IndexEntry, job: Job): Rest | undefined {
    const { areTreesRead, index, judge } = this.#parts;
    const before = recordIn(entry, replica.id);
    // A diode replaces nobody's.
    if (!judge.isScanning || replica.root === undefined || replica.role === "diode") return;
    if (seen.kind !== "file" || before?.kind !== "file") return;
    // The new name may still be found.
    if (seen.status.inode !== before.inode && !areTreesRead()) return UNREAD;
    const moved = this.#presentName(replica, job.path, before);
    if (moved === undefined) return;
    const known = recordIn(index.get(moved.path), replica.id);
    const isKnown = known !== undefined && known.inode === moved.status.inode;
    // What others have of it is clean, and perhaps older: one that is written without end, such as a log, is never at rest.
    if (isKnown && known.status === "current") return;
    return this.#isCircle(replica, moved, job) ? undefined : WHILE_NEW;
  }

  #isOverdue(path: RelativePath): boolean {
    const now = performance.now();
    const since = this.#since.get(path);
    if (since === undefined) this.#since.set(path, now);
    return now - (since ?? now) >= LONGEST_WAIT_MS;
  }

  /** What the index knows at `path` as `before`, where the author has it now. */
  #presentName(replica: Replica, path: RelativePath, before: ReplicaRecord): Named | undefined {
    const { isIgnored, moves } = this.#parts;
    for (const to of moves(replica)?.targetsOf(path) ?? []) {
      const seen = isIgnored(to) ? undefined : replica.glance(to);
      if (seen?.kind === "file" && seen.status.inode === before.inode) {
        return { path: to, status: seen.status };
      }
    }
    return undefined;
  }

  /** Whether each waits for another's name, and this one for the last of them. Where all are clean, one has to begin. */
  #isCircle(replica: Replica, first: Named, job: Job): boolean {
    let here: Named | undefined = first;
    for (let left = MOST_OF_A_CIRCLE; here !== undefined && left > 0; left--) {
      if (!this.#isClean(here.status)) return false;
      if (here.path === job.path) return true;
      const before = recordIn(this.#parts.index.get(here.path), replica.id);
      // It waits until the others' directory is empty, which may wait for this.
      if (before?.kind === "directory") return true;
      here = before && this.#presentName(replica, here.path, before);
    }
    return false;
  }

  /** Its deletion waits for the new name, which has arrived. */
  wakeFormer(replica: Replica, job: Job): void {
    const { index, lookAt, moves } = this.#parts;
    for (const from of moves(replica)?.sourcesOf(job.path) ?? []) {
      if (recordIn(index.get(from), replica.id) !== undefined) lookAt(from, job.path);
    }
  }

  /** A rename is told as a new file first, and as a deletion when that has arrived. */
  waitForNew(
    losers: readonly Replica[],
    look: Look,
    entry: IndexEntry,
    job: Job,
  ): Rest | undefined {
    for (const { replica, seen } of look.views) {
      if (seen.kind === "file" || recordIn(entry, replica.id) === undefined) continue;
      const waits = this.#waitForNewIn(replica, losers, entry, job);
      if (waits !== undefined) return waits;
    }
    return undefined;
  }

  #waitForNewIn(
    replica: Replica,
    losers: readonly Replica[],
    entry: IndexEntry,
    job: Job,
  ): Rest | undefined {
    const { catchUp, index, lookAt, moves, mayBeMet, isIgnored } = this.#parts;
    const targets = moves(replica)?.targetsOf(job.path) ?? [];
    for (const to of targets) {
      if (isIgnored(to)) continue;
      using target = replica.view(to);
      if (target.seen.kind !== "file") continue;
      const known = recordIn(index.get(to), replica.id);
      const isNews = known === undefined || !matches(known, target.seen.status);
      if (isNews) {
        // It may be this that keeps the directory in its place from being empty: it arrives later, if it is clean.
        const isLast = losers.some((loser) => standsAt(loser, to) === "directory");
        if (!isLast || !this.#isClean(target.seen.status)) return WHILE_NEW;
        if (this.#isSafe(replica, target.seen.status)) continue;
        lookAt(to, job.path);
        return WHILE_NEW;
      }
      if (known.status === "held") return WHILE_NEW;
      // Of two that were renamed in opposite ways each would wait for the other's name, or both would be removed.
      const isRenamedBack = losers.some((loser) => this.#hasRenamedBack(loser, to, job));
      if (known.status === "infected" || isRenamedBack) {
        // The author gets this one back.
        index.put(job.path, withoutRecord(entry, replica.id));
        return AT_ONCE;
      }
      if (losers.some((loser) => this.#isStillToCome(loser, replica, to, job))) return WHILE_NEW;
    }
    // What was looked at may be newer than what was told: it has moved on, and that is told by now.
    if (!catchUp(replica)) return SOON;
    const names = [job.path, ...moves(replica)?.namesSince(job.path) ?? []];
    if (names.some((path) => mayBeMet(replica, path))) return WHILE_UNMET;
    const isNewer = moves(replica)?.targetsOf(job.path).some((to) => !targets.includes(to));
    return isNewer ? SOON : undefined;
  }

  /** Of a file that was renamed and has not arrived, a snapshot that is clean is kept until it has. */
  keepClean(snapshot: Snapshot, author: Replica, job: Job): void {
    const { judge, moves, unarrived } = this.#parts;
    if (!judge.isScanning || !this.#isClean(snapshot.source)) return;
    const formerNames = moves(author)?.sourcesOf(job.path) ?? [];
    if (formerNames.length === 0) return;
    job.release(author.id);
    unarrived.keep(author, snapshot, performance.now());
  }

  /** Whether what was found to be clean can be had again, should it become malware before it arrives. */
  #isSafe(replica: Replica, version: FileStatus): boolean {
    const { judge, unarrived } = this.#parts;
    return !judge.isScanning || unarrived.has(replica, version);
  }

  /** Whether what the author renamed to `to` was renamed the other way round by another one. */
  #hasRenamedBack(loser: Replica, to: RelativePath, { path }: Job): boolean {
    const { index, moves } = this.#parts;
    if (standsAt(loser, to) !== "absent") return false;
    return recordIn(index.get(to), loser.id) !== undefined &&
      moves(loser)?.targetsOf(to).includes(path) === true;
  }

  /**
   * Whether a replica that is to lose the former name has still to get the new one: it could not be written there, or has a
   * file above it that is to go first, other than this.
   */
  #isStillToCome(loser: Replica, author: Replica, to: RelativePath, job: Job): boolean {
    // It had it, and has removed it since: that is told by another deletion.
    const had = recordIn(this.#parts.index.get(to), loser.id) !== undefined;
    if (loser.root === undefined || loser.role === "diode" || had) return false;
    const inTheWay = new Set<RelativePath>();
    let path: RelativePath | undefined = to;
    while (path !== undefined && inTheWay.size < MOST_BARRIERS) {
      using view = loser.view(path);
      if (view.seen.kind !== "absent") return path !== to;
      const barrier: Barrier | undefined = loser.barrierAbove(view, path);
      if (barrier === undefined) return true;
      // Or it is a mount point, or ignored, and stays.
      const stays = this.#parts.isIgnored(barrier.path) || loser.isForeign(barrier.status);
      if (barrier.path === job.path || stays) return false;
      // Its own new name is below it, or below what waits for it: it goes without waiting for that.
      if (inTheWay.has(barrier.path)) return true;
      inTheWay.add(barrier.path);
      path = this.#parts.moves(author)?.targetOf(barrier.path);
    }
    return path === undefined;
  }
}

/** What a replica has at `path`; nothing if it is not there. */
function standsAt(replica: Replica, path: RelativePath): Seen["kind"] | undefined {
  return replica.root === undefined ? undefined : replica.glance(path).kind;
}
