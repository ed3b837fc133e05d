/**
 * Files and directories of one share whose names were given up for ones that nobody has told: in directories that were
 * not watched then. They are met again by their inodes, or have left the share; as long as they may still be met, their
 * deletion is not told to the others, who would be left without any copy.
 */

import type { RelativePath } from "../../ffi/byte_string.ts";
import { PathTally } from "../collections/path_tally.ts";
import type { Former, RenamedFormer } from "./move_memory.ts";
import { PathTable } from "./path_table.ts";

/** Beyond them the first are forgotten: their deletion does not wait (I6). */
const MOST = { paths: 1_000, bytes: 1024 * 1024 };
/** A share in which there is always something to be read must not keep what has left it for ever. */
const LONGEST_MS = 30_000;

export interface Departure extends Former {
  /** One of them, as far as is known. */
  readonly inodes: readonly number[];
}

interface Waiting extends Departure {
  /** The mark with which it was told: another name's counts in another order. */
  readonly told: number;
  readonly sinceMs: number;
  /** What was made before it departed is watched, and what was found there is known. */
  hasEnded: boolean;
}

export class Departures {
  readonly #byPath = new PathTable<Waiting>();
  readonly #byInode = new Map<number, Waiting>();
  readonly #byMark = new Map<number, Waiting>();
  readonly #tally = new PathTally(MOST);

  get size(): number {
    return this.#byPath.size;
  }

  /** `nowMs` never runs backwards. */
  add(departure: Departure, nowMs: number): void {
    this.#forgetOld(nowMs);
    this.#remember({ ...departure, told: departure.mark, sinceMs: nowMs, hasEnded: false });
    this.#limit();
  }

  /** What had this inode, and is forgotten here. */
  take(inode: number): Departure | undefined {
    const waiting = this.#byInode.get(inode);
    this.#forget(waiting);
    return waiting;
  }

  /** A directory was renamed for everybody: see `MoveMemory`. */
  followed(renamedFormer: RenamedFormer): void {
    const all = [...this.#byPath.values()];
    for (const waiting of all) {
      const renamed = renamedFormer(waiting);
      if (renamed === undefined || this.#byPath.get(waiting.path) !== waiting) continue;
      this.#forget(waiting);
      this.#remember({ ...waiting, ...renamed });
    }
    this.#limit(); // the new names may be much longer
  }

  /** Where it has arrived is told. */
  arrived(mark: number): void {
    this.#forget(this.#byMark.get(mark));
  }

  /** What departed at that moment will not be found by the watcher any more. */
  ended(mark: number): void {
    const waiting = this.#byMark.get(mark);
    if (waiting !== undefined) waiting.hasEnded = true;
  }

  /** The same of all: everything is going to be read. */
  allEnded(): void {
    for (const waiting of this.#byPath.values()) waiting.hasEnded = true;
  }

  /**
   * Whether what had `path`, or a directory above it, may still be met; `isReading`: in a directory that is being read, or is
   * going to be.
   */
  mayBeMet(path: RelativePath, isReading: boolean, nowMs: number): boolean {
    this.#forgetOld(nowMs);
    return this.#byPath.nearest(path, ({ hasEnded }) => isReading || !hasEnded) !== undefined;
  }

  #forgetOld(nowMs: number): void {
    // In no order: some have other names since.
    for (const waiting of this.#byPath.values()) {
      if (nowMs - waiting.sinceMs >= LONGEST_MS) this.#forget(waiting);
    }
  }

  #limit(): void {
    for (const oldest of this.#byPath.values()) {
      if (!this.#tally.isFull) break;
      this.#forget(oldest);
    }
  }

  #remember(waiting: Waiting): void {
    this.#forget(this.#byPath.get(waiting.path));
    this.#byPath.set(waiting.path, waiting);
    this.#byMark.set(waiting.told, waiting);
    this.#tally.add(waiting.path);
    for (const inode of waiting.inodes) this.#byInode.set(inode, waiting);
  }

  #forget(waiting: Waiting | undefined): void {
    if (waiting === undefined) return;
    this.#byPath.delete(waiting.path);
    this.#byMark.delete(waiting.told);
    this.#tally.remove(waiting.path);
    for (const inode of waiting.inodes) {
      if (this.#byInode.get(inode) === waiting) this.#byInode.delete(inode);
    }
  }
}
