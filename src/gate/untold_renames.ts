/**
 * Renames in one share of which events tell only that the former name was given up: the new one is in a directory that was not
 * watched then. The inode tells that the two are one, whichever of them is met first.
 */

import type { RelativePath } from "../../ffi/byte_string.ts";
import type { MoveTime } from "../watching/watcher.ts";
import { Arrivals } from "./arrivals.ts";
import { Departures } from "./departures.ts";
import type { FileIndex } from "./file_index.ts";
import type { MoveMemory, RenamedFormer } from "./move_memory.ts";
import type { Seen } from "./planning/situation.ts";
import type { Replica } from "./replica.ts";
import { recordIn } from "./replica_record.ts";

export interface UntoldRenamesParts {
  readonly replica: Replica;
  readonly index: FileIndex;
  /** The renames in the share that are known. */
  readonly moves: MoveMemory;
  /** `from` has become `to`, some time ago. */
  onRenamed(from: RelativePath, to: RelativePath, when: MoveTime): void;
}

export class UntoldRenames {
  readonly #parts: UntoldRenamesParts;
  readonly #departures = new Departures();
  readonly #arrivals = new Arrivals();

  constructor(parts: UntoldRenamesParts) {
    this.#parts = parts;
  }

  /** See `WatchSink`. */
  departed(path: RelativePath, mark: number): void {
    const inodes = this.#knownInodes(path);
    if (inodes.length === 0) return;
    const arrived = inodes.map((inode) => this.#arrivedWith(inode)).find((to) => to !== undefined);
    if (arrived !== undefined && arrived !== path) {
      this.#parts.onRenamed(path, arrived, { left: mark });
    } else this.#departures.add({ path, inodes, mark }, performance.now());
  }

  /** See `WatchSink`. */
  movedOut(mark: number): void {
    this.#departures.ended(mark);
  }

  /** See `WatchSink`. */
  paired(mark: number): void {
    this.#departures.arrived(mark);
  }

  /** An event tells that something has happened at `path`: what came there untold was found before. */
  changed(path: RelativePath): void {
    if (this.#departures.size > 0) this.#meet(path, this.#parts.replica.glanceIfPossible(path));
  }

  /** `path` was found by itself: its departure from another name may still be told. */
  found(path: RelativePath): void {
    this.seen(path, this.#parts.replica.glanceIfPossible(path));
  }

  /** The same, with what a look at it has found. */
  seen(path: RelativePath, seen: Seen | undefined): void {
    this.#meet(path, seen);
    const inode = inodeOf(seen);
    if (inode !== undefined) this.#arrivals.add(inode, path);
  }

  /** Whether what had `path` may have a name that is still to be found; `isReading`: something in the share is still to be read. */
  mayBeMet(path: RelativePath, isReading: () => boolean): boolean {
    return this.#departures.size > 0 &&
      this.#departures.mayBeMet(path, isReading(), performance.now());
  }

  /** Everything is going to be read. */
  allEnded(): void {
    this.#departures.allEnded();
  }

  /** A directory was renamed for everybody: see `MoveMemory`. */
  followed(renamedFormer: RenamedFormer): void {
    this.#departures.followed(renamedFormer);
  }

  /** `path` may be the new name of something. */
  #meet(path: RelativePath, seen: Seen | undefined): void {
    const inode = inodeOf(seen);
    const departure = inode === undefined ? undefined : this.#departures.take(inode);
    if (inode === undefined || departure === undefined) return;
    const from = departure.path;
    // Once the former name's end has travelled, the inode may have been given to something else.
    if (from === path || !this.#knownInodes(from).includes(inode)) return;
    this.#parts.onRenamed(from, path, { left: departure.mark });
  }

  /** It was found, or looked at, before its departure was told. */
  #arrivedWith(inode: number): RelativePath | undefined {
    const path = this.#arrivals.of(inode);
    return path !== undefined && this.#inodeAt(path) === inode ? path : undefined;
  }

  /**
   * What had `path` had one of them: the index may still know it by a former name, and by this one, or another former one,
   * something else. That is where it was told to be.
   */
  #knownInodes(path: RelativePath): number[] {
    const { index, moves, replica } = this.#parts;
    const inodes: number[] = [];
    for (const name of [path, ...moves.sourcesOf(path)]) {
      const inode = recordIn(index.get(name), replica.id)?.inode;
      if (inode !== undefined && !this.#isWhereTold(name, inode)) inodes.push(inode);
    }
    return inodes;
  }

  #isWhereTold(name: RelativePath, inode: number): boolean {
    return this.#parts.moves.targetsOf(name).some((to) => this.#inodeAt(to) === inode);
  }

  #inodeAt(path: RelativePath): number | undefined {
    return inodeOf(this.#parts.replica.glanceIfPossible(path));
  }
}

function inodeOf(seen: Seen | undefined): number | undefined {
  return seen?.kind === "file" || seen?.kind === "directory" ? seen.status.inode : undefined;
}
