/**
 * A directory that a producer has renamed is renamed in the other replicas as well, with all that is in it, instead of
 * being made anew file by file: at once (I4), without a scan, since no file in it has become another (I1), and with what
 * others have open in it.
 *
 * Only where nothing is lost by that: everything in it is, in all the others, exactly what the index knows, and nothing
 * has the new name, or the file that has got its former one in exchange: that could not come in its place before it is empty,
 * nor what is in it arrive before that file is gone. Otherwise a rename is what it is for files: new names, and deletions.
 */

import { isWithin, nameOf, type RelativePath, renamedIn } from "../../ffi/byte_string.ts";
import { SystemError } from "../../ffi/errno.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from "../../ffi/platform.ts";
import type { FileIndex } from "./file_index.ts";
import type { Publisher } from "./publisher.ts";
import type { Replica } from "./replica.ts";
import {
  type IndexEntry,
  matches,
  recordIn,
  recordOf,
  type ReplicaRecord,
  sameAttributes,
  sameContentIdentity,
  UNKNOWN_ENTRY,
  withRecord,
} from "./replica_record.ts";
import { readTree, type TreeReaderParts } from "./tree_reader.ts";

/** Of one producer's at a time. */
const MOST_WAITING = 8;

export interface DirectoryMove {
  readonly author: Replica;
  readonly from: RelativePath;
  readonly to: RelativePath;
  /** Of the author's renames, of which more are told while it is followed. */
  readonly number: number;
}

/** It has been renamed everywhere; what had its new name has got the former one, if it was exchanged. */
export interface FollowedMove extends DirectoryMove {
  readonly isExchange: boolean;
}

/** What is known of a directory, and of the file with which it was exchanged. */
interface Known {
  readonly directory: IndexEntry;
  readonly file: IndexEntry | undefined;
}

export interface DirectoryMovesParts {
  readonly replicas: readonly Replica[];
  readonly index: FileIndex;
  readonly publisher: Pick<Publisher, "parentFor">;
  /** What a reading on behalf of a producer works with. */
  tree(author: Replica): TreeReaderParts;
  /** Whether all trees are known, and everybody who is to have the same takes part. */
  isPossible(): boolean;
  /** Whether something at or below `directory` is worked on. */
  isWorkedOn(directory: RelativePath): boolean;
  /** Whether what is remembered of renames can be told the new name in a moment. */
  canFollow(move: FollowedMove): boolean;
  /** The daemon itself has changed what `replica` has at `path`. */
  onChanged(replica: Replica, path: RelativePath): void;
  /** It is renamed everywhere, this very moment. */
  onRenamed(move: FollowedMove): void;
  /** What is known of it has the new name as well. */
  onMoved(move: DirectoryMove): void;
  onTrouble(error: unknown): void;
}

export class DirectoryMoves {
  readonly #parts: DirectoryMovesParts;
  /** Those of each author one after the other, with the end of each. */
  readonly #waiting = new Map<
    Replica,
    { readonly moves: Map<DirectoryMove, Promise<void>>; end: Promise<void> }
  >();
  /** Since when an author's moves may be followed again: half the time is the others' (I7). */
  readonly #restUntil = new Map<Replica, number>();
  /** The same of what was followed, whoever renames it next: two guests must not take turns. */
  #rests: readonly { readonly move: DirectoryMove; readonly until: number }[] = [];

  constructor(parts: DirectoryMovesParts) {
    this.#parts = parts;
  }

  /** `from` became `to` in the author's share. To be told before anything else is done about that. */
  moved(move: DirectoryMove): void {
    const { author } = move;
    if (!this.#mayBeFollowed(move)) return;
    const waiting = this.#waiting.getOrInsertComputed(author, () => ({
      moves: new Map(),
      end: Promise.resolve(),
    }));
    if (waiting.moves.size >= MOST_WAITING) return;
    waiting.end = waiting.end.then(async () => {
      const startedAt = performance.now();
      try {
        await this.#follow(move);
      } catch (error) {
        this.#parts.onTrouble(error);
      } finally {
        waiting.moves.delete(move);
        const now = performance.now();
        // After the last of many as long as all of them took.
        const restUntil = Math.max(this.#restUntil.get(author) ?? 0, now);
        this.#restUntil.set(author, restUntil + (now - startedAt));
        this.#rests = [...this.#resting(now), { move, until: now + (now - startedAt) }];
      }
    });
    waiting.moves.set(move, waiting.end);
  }

  /** Whether `path` is, or was, in a directory that is just being followed: it has to wait. */
  covers(path: RelativePath): boolean {
    return this.ready(path) !== undefined;
  }

  /** Settles when it has to wait no more, at least for that; nothing if it has not to. */
  ready(path: RelativePath): Promise<void> | undefined {
    for (const { moves } of this.#waiting.values()) {
      for (const [{ from, to }, end] of moves) {
        if (isWithin(path, from) || isWithin(path, to)) return end;
      }
    }
    return undefined;
  }

  /** Settles when none waits any more. */
  async ended(): Promise<void> {
    await Promise.all([...this.#waiting.values()].map(({ end }) => end));
  }

  #mayBeFollowed(move: DirectoryMove): boolean {
    const { author, from, to } = move;
    const now = performance.now();
    if ((this.#restUntil.get(author) ?? 0) > now) return false;
    if (this.#resting(now).some((rest) => overlap(rest.move, move))) return false;
    if (this.covers(from) || this.covers(to)) return false;
    return this.#parts.isPossible() && this.#parts.index.get(from).records.some(isDirectory);
  }

  #resting(now: number) {
    return this.#rests.filter(({ until }) => until > now);
  }

  async #follow(move: DirectoryMove): Promise<void> {
    if (!await this.#isUntouched(move)) return;
    // From here on to the index nobody else has a turn.
    const known = this.#knownOf(move);
    const followed = { ...move, isExchange: known?.file !== undefined };
    const { canFollow, index, onMoved, onRenamed } = this.#parts;
    const renamed = known && canFollow(followed) ? this.#rename(move, known) : undefined;
    if (renamed === undefined) return;
    onRenamed(followed);
    index.put(move.from, renamed.file ?? UNKNOWN_ENTRY);
    index.put(move.to, renamed.directory);
    await index.moveBelow(move.from, move.to);
    // After a crash, what has moved everywhere would look like news, and nobody would know what its files were.
    index.commit();
    onMoved(move);
  }

  /** Whether what is in it is, in all the others, what the index knows, and none of it is ignored under either name. */
  async #isUntouched({ author, from, to }: DirectoryMove): Promise<boolean> {
    const parts = this.#parts.tree(author);
    let isUntouched = true;
    const isIgnored = (isIgnoredAt: (path: RelativePath) => boolean) => (path: RelativePath) => {
      if (isIgnoredAt(path) || isIgnoredAt(renamedIn(path, from, to))) isUntouched = false;
      return false;
    };
    await readTree({
      ...parts,
      replicas: this.#others(author),
      isIgnored: isIgnored(parts.isIgnored),
      isIgnoredDirectory: isIgnored(parts.isIgnoredDirectory),
      lookAt: () => isUntouched = false,
      mark: () => 0,
      onRenamed: () => {},
      onFailure: () => isUntouched = false,
      isStopped: () => !isUntouched || parts.isStopped(),
      room: () => undefined,
    }, from);
    return isUntouched && !parts.isStopped();
  }

  /** What is known of it, if it is that in all replicas still, and has only been renamed in the author's share. */
  #knownOf(move: DirectoryMove): Known | undefined {
    const { index, isPossible, isWorkedOn, replicas } = this.#parts;
    const { author, from, to } = move;
    if (!isPossible() || isWorkedOn(from) || isWorkedOn(to)) return undefined;
    const directory = index.get(from);
    const there = index.get(to);
    const file = there.records.length > 0 ? there : undefined;
    if (directory.deleted || index.knowsBelow(to)) return undefined;
    if (file !== undefined && !this.#isExchanged(move, file)) return undefined;
    const isAtItsPlace = replicas.every((replica) => {
      const record = recordIn(directory, replica.id);
      if (record === undefined || !isDirectory(record) || !isLatest(record, directory)) {
        return false;
      }
      if (replica === author) return inodeAt(replica, to) === record.inode;
      if (inodeAt(replica, from) !== record.inode) return false;
      return file !== undefined || inodeAt(replica, to) === undefined;
    });
    return isAtItsPlace ? { directory, file } : undefined;
  }

  /** Whether all the others have a file at `to` as it is known, which the author has at `from` by now, whatever is in it. */
  #isExchanged({ author, from, to }: DirectoryMove, file: IndexEntry): boolean {
    if (file.deleted || this.#parts.tree(author).isIgnored(from)) return false;
    return this.#parts.replicas.every((replica) => {
      const record = recordIn(file, replica.id);
      if (record === undefined || isDirectory(record) || !isLatest(record, file)) return false;
      const seen = replica.glance(replica === author ? from : to);
      if (seen.kind !== "file") return false;
      return replica === author ? seen.status.inode === record.inode : matches(record, seen.status);
    });
  }

  /** Renames it in all the others, or in none; what is known then. */
  #rename(move: DirectoryMove, known: Known): Known | undefined {
    using undo = new DisposableStack();
    let renamed: Known | undefined = known;
    try {
      for (const replica of this.#others(move.author)) {
        renamed = renamed && this.#renameIn(replica, move, renamed, undo);
      }
    } catch (error) {
      if (error instanceof SystemError) return undefined;
      throw error;
    }
    if (renamed !== undefined) undo.move();
    return renamed;
  }

  #renameIn(
    replica: Replica,
    { author, from, to }: DirectoryMove,
    { directory, file }: Known,
    undo: DisposableStack,
  ): Known | undefined {
    const { publisher, onChanged } = this.#parts;
    using source = replica.view(from);
    using target = publisher.parentFor(replica, to, author);
    if (source.parent === undefined || target === undefined) return undefined;
    const flags = file === undefined ? RENAME_NOREPLACE : RENAME_EXCHANGE;
    source.parent.rename(nameOf(from), target, nameOf(to), flags);
    undo.defer(() => this.#renameBack(replica, from, to, flags));
    onChanged(replica, from);
    onChanged(replica, to);
    // They may have been exchanged for others at the last moment.
    if (target.status(nameOf(to))?.inode !== recordIn(directory, replica.id)?.inode) {
      return undefined;
    }
    if (file === undefined) return { directory, file };
    const record = renamedFile(recordIn(file, replica.id), source.parent.status(nameOf(from)));
    return record && { directory, file: withRecord(file, record) };
  }

  #renameBack(replica: Replica, from: RelativePath, to: RelativePath, flags: number): void {
    using source = replica.view(from);
    using target = replica.view(to);
    try {
      if (source.parent !== undefined) {
        target.parent?.rename(nameOf(to), source.parent, nameOf(from), flags);
      }
    } catch (error) {
      if (!(error instanceof SystemError)) throw error; // it stays, and is told by its watcher
    }
  }

  #others(author: Replica): Replica[] {
    return this.#parts.replicas.filter((replica) => replica !== author);
  }
}

/** Whether a directory of the one lies in a directory of the other. */
function overlap(one: DirectoryMove, other: DirectoryMove): boolean {
  return [one.from, one.to].some((a) =>
    [other.from, other.to].some((b) => isWithin(a, b) || isWithin(b, a))
  );
}

function isDirectory({ kind, status }: ReplicaRecord): boolean {
  return kind === "directory" && status === "current";
}

function isLatest({ status, version }: ReplicaRecord, entry: IndexEntry): boolean {
  return status === "current" && version === entry.version;
}

/**
 * What is known of a file that has just got another name, which is a change to the file system. If it is not what was known
 * before: that still, of a time of change that no look will see again (I5).
 */
function renamedFile(
  known: ReplicaRecord | undefined,
  status: FileStatus | undefined,
): ReplicaRecord | undefined {
  if (known === undefined || status?.kind !== "file" || status.inode !== known.inode) {
    return undefined;
  }
  const isSame = sameContentIdentity(known, status) && sameAttributes(known, status);
  return isSame
    ? recordOf(known.replica, status, known.status, known.version)
    : { ...known, ctimeNs: 0n };
}

/** Of the directory at `path`. `undefined`: nothing is there; NaN: something else. */
function inodeAt(replica: Replica, path: RelativePath): number | undefined {
  using view = replica.view(path);
  const { seen } = view;
  if (seen.kind === "absent") return undefined;
  return seen.kind === "directory" ? seen.status.inode : NaN;
}
