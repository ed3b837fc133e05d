/**
 * What is done about directories that cannot be watched: from time to time it is tried again, they are read, and the
 * user hears of it.
 */

import { display, type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import type { TreeArmer } from "./tree_armer.ts";
import type { WatchSet } from "./watch_set.ts";

/** Directories read one by one; more are read together, with everything else. */
const MOST_SINGLY = 100;
const MOST_RETRIED = 1_000;

export interface PollingOptions {
  readonly pollMs: number;
  /** `directory` is to be read, with what is below it. */
  reread(directory: RelativePath): void;
  /** Not even the root can be watched: the whole tree is to be armed again. */
  rearm(): void;
  onTrouble(message: string): void;
}

export class Polling {
  #nextAt = Infinity;
  /** A round ends with reading everything. */
  #readsAll = false;
  /** Tried again, and still to be read. */
  readonly #due: RelativePath[] = [];
  #isReported = false;

  constructor(
    private readonly watches: WatchSet,
    private readonly armer: TreeArmer,
    private readonly options: PollingOptions,
  ) {}

  /** When there is something to do; Infinity while everything is watched. */
  get nextAt(): number {
    return this.#nextAt;
  }

  /** It was tried again to watch `directory`: what was missed there until now is to be read. */
  retried(directory: RelativePath): void {
    if (!this.#readsAll) this.#due.push(directory);
  }

  /** Asks for what is due to be read. */
  tell(): void {
    for (const directory of this.#due.splice(0)) this.options.reread(directory);
    if (!this.#readsAll || this.armer.busy) return;
    this.#readsAll = false;
    this.options.reread(ROOT);
  }

  /** Begins a round if it is time. */
  poll(now: number): void {
    const { polled, tree } = this.watches;
    if (polled.size === 0) {
      this.#nextAt = Infinity;
      this.#isReported = false;
      return;
    }
    if (this.#nextAt === Infinity) this.#nextAt = now + this.options.pollMs;
    if (!this.armer.busy) this.#report(); // until then there may be more
    if (now < this.#nextAt) return;
    this.#nextAt = now + this.options.pollMs;
    if (polled.has(tree.root)) return this.options.rearm();
    if (this.#readsAll) this.#due.push(ROOT); // the last round is not through yet
    this.#readsAll = polled.size > MOST_SINGLY;
    this.armer.retry(MOST_RETRIED);
  }

  #report(): void {
    if (this.#isReported) return;
    this.#isReported = true;
    const { lastFailure, polled, tree } = this.watches;
    const [first] = polled;
    const path = first === undefined ? undefined : tree.pathOf(first);
    const directories = polled.size === 1 ? "directory" : "directories";
    const place = path ? display(path) : "the topmost one";
    const reason = lastFailure === undefined
      ? "the limit of watches is reached: raise the sysctl fs.inotify.max_user_watches"
      : lastFailure.message;
    const seconds = this.options.pollMs / 1000;
    this.options.onTrouble(
      `${polled.size} ${directories} cannot be watched, the first of them ${place} (${reason}). ` +
        `They are read again every ${seconds} s instead, so changes there arrive late`,
    );
  }
}
