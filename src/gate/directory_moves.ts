/**
 * A directory that a producer has renamed is renamed in the other replicas as well, with all that is in it, instead of
 * being made anew file by file: at once (I4), without a scan, since no file in it has become another (I1), and with what
 * others have open in it.
 *
 * Only where nothing is lost by that: everything in it is, in all the others, exactly what the index knows, and nothing
 * has the new name. Otherwise a rename is what it is for files: new names, and deletions.
 */

import { isWithin, nameOf, type RelativePath, renamedIn } from "../../ffi/byte_string.ts";
import { SystemError } from "../../ffi/errno.ts";
import type { FileIndex } from "./file_index.ts";
import type { Publisher } from "./publisher.ts";
import type { Replica } from "./replica.ts";
import { type IndexEntry, recordIn, type ReplicaRecord, UNKNOWN_ENTRY } from "./replica_record.ts";
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
  /** The daemon itself has changed what `replica` has at `path`. */
  onChanged(replica: Replica, path: RelativePath): void;
  /** It is renamed everywhere, this very moment. */
  onRenamed(move: DirectoryMove): void;
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
    const entry = this.#entryOf(move);
    if (entry === undefined || !this.#rename(move, entry)) return;
    const { index, onMoved, onRenamed } = this.#parts;
    onRenamed(move);
    index.put(move.from, UNKNOWN_ENTRY);
    index.put(move.to, entry);
    await index.moveBelow(move.from, move.to);
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
      onRenamed: () => {},
      onFailure: () => isUntouched = false,
      isStopped: () => !isUntouched || parts.isStopped(),
      room: () => undefined,
    }, from);
    return isUntouched && !parts.isStopped();
  }

  /** What is known of it, if it is that in all replicas still, and has only been renamed in the author's share. */
  #entryOf({ author, from, to }: DirectoryMove): IndexEntry | undefined {
    const { index, isPossible, isWorkedOn } = this.#parts;
    if (!isPossible() || isWorkedOn(from) || isWorkedOn(to)) return undefined;
    const entry = index.get(from);
    if (entry.deleted || index.get(to).records.length > 0 || index.knowsBelow(to)) return undefined;
    const isAtItsPlace = this.#parts.replicas.every((replica) => {
      const record = recordIn(entry, replica.id);
      if (record === undefined || !isDirectory(record) || record.version !== entry.version) {
        return false;
      }
      if (replica === author) return inodeAt(replica, to) === record.inode;
      return inodeAt(replica, from) === record.inode && inodeAt(replica, to) === undefined;
    });
    return isAtItsPlace ? entry : undefined;
  }

  /** Renames it in all the others, or in none. */
  #rename(move: DirectoryMove, entry: IndexEntry): boolean {
    using undo = new DisposableStack();
    try {
      for (const replica of this.#others(move.author)) {
        if (!this.#renameIn(replica, move, recordIn(entry, replica.id)?.inode, undo)) return false;
      }
    } catch (error) {
      if (error instanceof SystemError) return false;
      throw error;
    }
    undo.move();
    return true;
  }

  #renameIn(
    replica: Replica,
    { author, from, to }: DirectoryMove,
    inode: number | undefined,
    undo: DisposableStack,
  ): boolean {
    const { publisher, onChanged } = this.#parts;
    using view = replica.view(from);
    using target = publisher.parentFor(replica, to, author);
    if (view.parent === undefined || target === undefined) return false;
    view.parent.rename(nameOf(from), target, nameOf(to));
    undo.defer(() => this.#renameBack(replica, from, to));
    onChanged(replica, from);
    onChanged(replica, to);
    // It may have been exchanged for another one at the last moment.
    return target.status(nameOf(to))?.inode === inode;
  }

  #renameBack(replica: Replica, from: RelativePath, to: RelativePath): void {
    using source = replica.view(from);
    using target = replica.view(to);
    try {
      target.parent?.rename(nameOf(to), source.parent ?? target.parent, nameOf(from));
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

/** Of the directory at `path`. `undefined`: nothing is there; NaN: something else. */
function inodeAt(replica: Replica, path: RelativePath): number | undefined {
  using view = replica.view(path);
  const { seen } = view;
  if (seen.kind === "absent") return undefined;
  return seen.kind === "directory" ? seen.status.inode : NaN;
}
