/**
 * Which trees of a channel are to be read again, and the reading: one at a time for each share, so that one with much to
 * read does not hold up the others (I7).
 */

import { display, isWithin, type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import { lacksDescriptors, messageOf, type SystemError } from "../../ffi/errno.ts";
import { PathTally } from "../collections/path_tally.ts";
import { Pace } from "./pace.ts";
import type { Replica } from "./replica.ts";
import { readTree, type TreeReaderParts } from "./tree_reader.ts";
import { findVanished } from "./vanished_entries.ts";

/** Directories of one share that wait, above which all of it is read instead (I6). */
const MOST_WAITING = { paths: 5_000, bytes: 4 * 1024 * 1024 };
/** Of them, among which is looked for one that will come by another. */
const FEW = 64;
const AFTER_FAILURE_MS = 5_000;
const AFTER_SHORTAGE_MS = 250;

/**
 * What a reading is to find, least first: what the index knows and the share has not any more; what in the share
 * differs from the index; what differs anywhere.
 */
export type Wanted = "vanished" | "changed" | "everything";
const STRENGTH: readonly Wanted[] = ["vanished", "changed", "everything"];

export interface ReadingsParts {
  readonly shares: readonly Replica[];
  /** What a reading on behalf of a share, or of nobody in particular, works with. */
  tree(share: Replica | undefined): TreeReaderParts;
  isStopped(): boolean;
  /** Settles when what is known of `directory` is not just being changed; nothing if it is not. */
  ready(directory: RelativePath): Promise<void> | undefined;
  /** A tree is going to be read. What is worked on meanwhile is neither as it was known nor as it will be. */
  beforeRead(): void;
  /** A tree was read: there may be paths to work on. */
  onRead(): void;
  onTrouble(message: string): void;
  /** There were no descriptors; it is read again. */
  onShortage(error: SystemError): void;
}

export class Readings {
  readonly #isStopped: () => boolean;
  readonly #lanes: ReadonlyMap<Replica | undefined, Lane>;

  constructor(parts: ReadingsParts) {
    this.#isStopped = parts.isStopped;
    this.#lanes = new Map(
      [...parts.shares, undefined].map((share) => [share, new Lane(share, parts)]),
    );
  }

  /** From now on what is requested is read. */
  start(): void {
    for (const lane of this.#lanes.values()) lane.start();
  }

  request(share: Replica, directory: RelativePath, what: Wanted): void {
    this.#request(share, directory, what);
  }

  /** What differs at or below `directory` in any replica, on behalf of one share or of nobody in particular. */
  requestAll(directory: RelativePath, share?: Replica): void {
    this.#request(share, directory, "everything");
  }

  #request(share: Replica | undefined, directory: RelativePath, what: Wanted): void {
    if (!this.#isStopped()) this.#lanes.get(share)?.request(directory, what);
  }

  /** Whether `path` is going to be read, or is being read. */
  cover(path: RelativePath): boolean {
    for (const lane of this.#lanes.values()) if (lane.covers(path)) return true;
    return false;
  }

  /** Whether `path` is going to be read, or is being read, on behalf of `share` or of nobody in particular. */
  coverFor(share: Replica | undefined, path: RelativePath): boolean {
    return [share, undefined].some((lane) => this.#lanes.get(lane)?.covers(path));
  }

  /** Whether something is going to be read, or is being read, on behalf of `share`. */
  isBusyFor(share: Replica): boolean {
    return this.#lanes.get(share)?.running !== undefined;
  }

  /** Settles when nothing is being read; to be waited for after the tree's parts have stopped. */
  async ended(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.running));
  }
}

/** The readings on behalf of one share, or of nobody in particular: one after the other. */
class Lane {
  readonly #waiting = new Map<RelativePath, Wanted>();
  readonly #tally = new PathTally(MOST_WAITING);
  /** Thousands of small readings must not come in one turn of the event loop (I7). */
  readonly #pace = new Pace(1);
  /** What is being read. */
  #directory: RelativePath | undefined;
  #started = false;
  #running: Promise<void> | undefined;

  constructor(
    private readonly share: Replica | undefined,
    private readonly parts: ReadingsParts,
  ) {}

  get running(): Promise<void> | undefined {
    return this.#running;
  }

  start(): void {
    this.#started = true;
    this.#run();
  }

  request(directory: RelativePath, what: Wanted): void {
    if (this.#willComeBy(directory, what)) return;
    if (this.#tally.isFull) {
      // Instead of many parts the whole, once.
      this.#waiting.clear();
      this.#tally.clear();
      this.#wait(ROOT, "everything");
    }
    this.#wait(directory, what);
    if (this.#started) this.#run();
  }

  #wait(directory: RelativePath, what: Wanted): void {
    const wanted = this.#waiting.get(directory);
    if (wanted === undefined) this.#tally.add(directory);
    if (wanted === undefined || !includes(wanted, what)) this.#waiting.set(directory, what);
  }

  /** Each level of a deep tree that is being made is asked for, and to read each with all below would be quadratic. */
  #willComeBy(directory: RelativePath, what: Wanted): boolean {
    let left = FEW;
    for (const [above, wanted] of this.#waiting) {
      if (left-- === 0) return false;
      // What vanished is not looked for in directories that are not known.
      if (wanted !== "vanished" && includes(wanted, what) && isWithin(directory, above)) {
        return true;
      }
    }
    return false;
  }

  covers(path: RelativePath): boolean {
    if (this.#directory !== undefined && isWithin(path, this.#directory)) return true;
    for (const directory of this.#waiting.keys()) if (isWithin(path, directory)) return true;
    return false;
  }

  #run(): void {
    this.#running ??= this.#readAll().finally(() => {
      this.#running = undefined;
      if (this.#waiting.size > 0 && !this.parts.isStopped()) this.#run(); // asked for since the last look
    });
  }

  async #readAll(): Promise<void> {
    await this.#pace.rest(); // not in the turn of whoever asked
    for (let [due] = this.#waiting; due !== undefined; [due] = this.#waiting) {
      if (this.parts.isStopped()) return;
      const [directory, what] = due;
      this.#waiting.delete(directory);
      this.#tally.remove(directory);
      await this.#attempt(directory, what);
      this.parts.onRead();
      if (this.#pace.isDue()) await this.#pace.rest();
    }
  }

  async #attempt(directory: RelativePath, what: Wanted): Promise<void> {
    this.#directory = directory;
    try {
      await this.parts.ready(directory);
      this.parts.beforeRead();
      await this.#read(directory, what);
    } catch (error) {
      const again = () => {
        if (!this.parts.isStopped()) this.request(directory, what);
      };
      setTimeout(again, this.#afterFailure(error));
    } finally {
      this.#directory = undefined;
    }
  }

  /** After how long it is tried again. */
  #afterFailure(error: unknown): number {
    if (lacksDescriptors(error)) {
      this.parts.onShortage(error);
      return AFTER_SHORTAGE_MS;
    }
    const place = this.share === undefined ? "the channel" : display(this.share.name);
    this.parts.onTrouble(`${place} could not be read (${messageOf(error)})`);
    return AFTER_FAILURE_MS;
  }

  async #read(directory: RelativePath, what: Wanted): Promise<void> {
    const { share } = this;
    const tree = this.parts.tree(share);
    if (share !== undefined && what === "vanished") {
      return await findVanished(tree, share, directory);
    }
    // What a diode lacks is no change of its own: only the others tell that it is known.
    const single = what === "changed" && share !== undefined && share.role !== "diode";
    await readTree(single ? { ...tree, replicas: [share] } : tree, directory);
  }
}

function includes(wanted: Wanted, what: Wanted): boolean {
  return STRENGTH.indexOf(wanted) >= STRENGTH.indexOf(what);
}
