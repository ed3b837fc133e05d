/**
 * A share's files that wait for a verdict: all are tried again when the scanner is back, and now and then anyway, for as
 * long as there are any.
 */

import { pause } from "../../ffi/clock.ts";
import type { RelativePath } from "../../ffi/byte_string.ts";

const FIRST_DELAY_MS = 1000;
/** No file waits longer than this for another attempt, unless there are very many of them. */
const LAST_DELAY_MS = 15_000;
/**
 * An attempt takes some 0.2 ms, and a guest may have a million sparse files that are too large to be scanned: trying
 * them must not be all that the daemon does, for ever.
 */
const REST_PER_FILE_MS = 1;
const LONGEST_REST_MS = 5 * 60_000;
/** Paths that are asked for at a time (I6), and how many of them may be left when more are asked for. */
const PAGE = 200;
const FEW = 50;
/** A page that takes longer does not hold up the next. */
const LONGEST_PAGE_MS = 15_000;

export interface HeldFilesParts {
  /** Up to `limit` paths with something held, in order, behind `after`. */
  paths(limit: number, after: RelativePath | undefined): RelativePath[];
  isScannerAvailable(): Promise<boolean>;
  /** Another attempt for `path` is due. `false` if it cannot be remembered: there will be none. */
  lookAt(path: RelativePath): boolean;
}

export class HeldFiles {
  readonly #parts: HeldFilesParts;
  /** Asked for, and not yet begun. */
  readonly #due = new Set<RelativePath>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #delayMs = FIRST_DELAY_MS;
  #started = false;
  /** A file may have been held since the last time that all were asked for. */
  #isExpecting = false;
  /** Set while an attempt runs: whether another is to follow at once. */
  #again: boolean | undefined;
  #stopped = false;

  constructor(parts: HeldFilesParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#started = true;
    this.#schedule();
  }

  /** A file is held from now on, or one that was may have come back. */
  expect(): void {
    this.#isExpecting = true;
    if (this.#started && this.#timer === undefined && this.#again === undefined) this.#schedule();
  }

  /** The scanner is back. */
  now(): void {
    this.#delayMs = FIRST_DELAY_MS;
    if (!this.#started) return;
    if (this.#again !== undefined) this.#again = true;
    else this.#schedule(0);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Whether the look at `path` that begins now is such an attempt. */
  begin(path: RelativePath): boolean {
    return this.#due.delete(path);
  }

  #schedule(delayMs = this.#delayMs): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => this.#attempt(), delayMs);
  }

  async #attempt(): Promise<void> {
    this.#timer = undefined;
    this.#again = false;
    this.#isExpecting = false;
    const held = await this.#askForAll();
    this.#delayMs = held > 0 ? Math.min(this.#delayMs * 2, LAST_DELAY_MS) : FIRST_DELAY_MS;
    const restMs = Math.min(held * REST_PER_FILE_MS, LONGEST_REST_MS);
    const delayMs = this.#again ? 0 : Math.max(this.#delayMs, restMs);
    const isWanted = held > 0 || this.#again || this.#isExpecting;
    this.#again = undefined;
    if (isWanted) this.#schedule(delayMs);
  }

  /** How many files are held, as far as they were asked for. */
  async #askForAll(): Promise<number> {
    this.#due.clear(); // whatever is still held is asked for again; the rest may never be looked at (I6)
    let held = 0;
    let last: RelativePath | undefined;
    do {
      const page = this.#parts.paths(PAGE, last);
      held += page.length;
      if (page.length === 0 || !await this.#parts.isScannerAvailable()) return held;
      for (const path of page) {
        this.#due.add(path);
        if (!this.#parts.lookAt(path)) this.#due.delete(path);
      }
      last = page.length < PAGE ? undefined : page.at(-1);
      await this.#untilFewAreDue();
    } while (last !== undefined && !this.#stopped);
    return held;
  }

  async #untilFewAreDue(): Promise<void> {
    const deadline = performance.now() + LONGEST_PAGE_MS;
    while (this.#due.size > FEW && !this.#stopped && performance.now() < deadline) {
      await pause(20);
    }
  }
}
