/** Which trees of a channel are to be read again, and the reading: one at a time, in turn for each share. */

import { display, type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import { lacksDescriptors, messageOf } from "../../ffi/errno.ts";
import { Pace } from "./pace.ts";
import type { Replica } from "./replica.ts";
import { readTree, type TreeReaderParts } from "./tree_reader.ts";
import { findVanished } from "./vanished_entries.ts";

/** Directories of one share that wait, above which all of it is read instead (I6). */
const MOST_WAITING = 5_000;
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
  readonly tree: TreeReaderParts;
  /** A tree is going to be read. What is worked on meanwhile is neither as it was known nor as it will be. */
  beforeRead(): void;
  /** A tree was read: there may be paths to work on. */
  onRead(): void;
  onTrouble(message: string): void;
}

export class Readings {
  readonly #parts: ReadingsParts;
  readonly #waiting: ReadonlyMap<Replica, Map<RelativePath, Wanted>>;
  /** Thousands of small readings must not come in one turn of the event loop (I7). */
  readonly #pace = new Pace(1);
  /** What is being read. */
  #directory: RelativePath | undefined;
  #started = false;
  #running: Promise<void> | undefined;

  constructor(parts: ReadingsParts) {
    this.#parts = parts;
    this.#waiting = new Map(parts.shares.map((share) => [share, new Map()]));
  }

  /** From now on what is requested is read. */
  start(): void {
    this.#started = true;
    this.#run();
  }

  request(share: Replica, directory: RelativePath, what: Wanted): void {
    const waiting = this.#waiting.get(share);
    if (waiting === undefined || this.#parts.tree.isStopped()) return;
    if (waiting.size >= MOST_WAITING) {
      // Instead of many parts the whole, once.
      waiting.clear();
      waiting.set(ROOT, "everything");
    }
    const wanted = waiting.get(directory);
    if (wanted === undefined || STRENGTH.indexOf(wanted) < STRENGTH.indexOf(what)) {
      waiting.set(directory, what);
    }
    if (this.#started) this.#run();
  }

  /** What differs at or below `directory` in any replica. */
  requestAll(directory: RelativePath): void {
    const [share] = this.#parts.shares;
    if (share !== undefined) this.request(share, directory, "everything");
  }

  /** Whether `path` is going to be read, or is being read. */
  cover(path: RelativePath): boolean {
    if (this.#directory !== undefined && isWithin(path, this.#directory)) return true;
    for (const waiting of this.#waiting.values()) {
      for (const directory of waiting.keys()) if (isWithin(path, directory)) return true;
    }
    return false;
  }

  /** Settles when nothing is being read; to be waited for after the tree's parts have stopped. */
  async ended(): Promise<void> {
    await this.#running;
  }

  #run(): void {
    this.#running ??= this.#readAll().finally(() => this.#running = undefined);
  }

  async #readAll(): Promise<void> {
    await this.#pace.rest(); // not in the turn of whoever asked
    while ([...this.#waiting.values()].some(({ size }) => size > 0)) {
      for (const [share, waiting] of this.#waiting) {
        const [due] = waiting;
        if (this.#parts.tree.isStopped()) return;
        if (due === undefined) continue;
        const [directory, what] = due;
        waiting.delete(directory);
        await this.#attempt(share, directory, what);
        this.#parts.onRead();
        if (this.#pace.isDue()) await this.#pace.rest();
      }
    }
  }

  async #attempt(share: Replica, directory: RelativePath, what: Wanted): Promise<void> {
    this.#directory = directory;
    try {
      this.#parts.beforeRead();
      await this.#read(share, directory, what);
    } catch (error) {
      setTimeout(() => this.request(share, directory, what), this.#afterFailure(share, error));
    } finally {
      this.#directory = undefined;
    }
  }

  /** After how long it is tried again. */
  #afterFailure(share: Replica, error: unknown): number {
    if (lacksDescriptors(error)) {
      this.#parts.tree.onShortage(error);
      return AFTER_SHORTAGE_MS;
    }
    const reason = messageOf(error);
    this.#parts.onTrouble(`${display(share.name)} could not be read (${reason})`);
    return AFTER_FAILURE_MS;
  }

  async #read(share: Replica, directory: RelativePath, what: Wanted): Promise<void> {
    const { tree } = this.#parts;
    if (what === "vanished") return await findVanished(tree, share, directory);
    // What a diode lacks is no change of its own: only the others tell that it is known.
    const single = what === "changed" && share.role !== "diode";
    await readTree(single ? { ...tree, replicas: [share] } : tree, directory);
  }
}

function isWithin(path: RelativePath, directory: RelativePath): boolean {
  return directory === ROOT || path === directory || path.startsWith(`${directory}/`);
}
