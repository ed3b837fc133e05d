/**
 * When a tree is read again for the files that could not be scanned and found no place among those that are tried again
 * one by one. Pure: a clock in, pauses out.
 */

import { restMs } from "../scheduling/rest.ts";

/** A reading takes no more of the time than one part in so many. */
const LEAST_PARTS = 5;

export class Repairs {
  /** Since when files have found no place. */
  #vainSince: number | undefined;
  /** One has found none since the last reading began. */
  #isWanted = false;
  /** While the tree is read. */
  #begunAt: number | undefined;
  #tookMs = 0;
  /** What the last reading offered, or the one that goes on. */
  #offered = 0;

  constructor(private readonly leastMs: number) {}

  get isRunning(): boolean {
    return this.#begunAt !== undefined;
  }

  /** Whether a timer is to be set for the next reading. */
  get isDue(): boolean {
    return this.#isWanted && !this.isRunning;
  }

  /** A file has found no place. Whether it is the first. */
  want(nowMs: number): boolean {
    const isFirst = this.#vainSince === undefined;
    this.#vainSince ??= nowMs;
    this.#isWanted = true;
    return isFirst;
  }

  /** Until the next reading: longer, the longer they have been in vain and the more there are. */
  pauseMs(nowMs: number): number {
    const rareMs = restMs(nowMs - (this.#vainSince ?? nowMs), this.#offered);
    return Math.max(this.leastMs, this.#tookMs * (LEAST_PARTS - 1), rareMs);
  }

  begin(nowMs: number): void {
    this.#begunAt = nowMs;
    this.#isWanted = false;
    this.#offered = 0;
  }

  /** A file is to be scanned; of interest while the tree is read. */
  offered(): void {
    if (this.isRunning) this.#offered++;
  }

  end(nowMs: number): void {
    this.#tookMs = nowMs - (this.#begunAt ?? nowMs);
    this.#begunAt = undefined;
  }

  /** The cause may have ended: what is tried next is not in vain, as far as anybody knows. */
  beginAnew(nowMs: number): void {
    if (this.#vainSince !== undefined) this.#vainSince = nowMs;
  }

  /** There are places again: the next file without one is the first. */
  forget(): void {
    this.#vainSince = undefined;
  }
}
