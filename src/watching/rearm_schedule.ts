/**
 * When a whole tree is to be armed again, because events were lost or there is too much to follow. Pure.
 *
 * An episode lasts until the tree has been armed without another loss meanwhile. In it, arming waits for a
 * debounce, and for as long as the last one took: a flood never makes it more than half of the work.
 */

import type { RereadReason } from "./watcher.ts";

/** Also for a debounce of 0. */
const LEAST_WAIT_MS = 100;

export class RearmSchedule {
  readonly #waitMs: number;
  #wanted: { readonly reason: RereadReason; readonly at: number } | undefined;
  #running: { readonly reason: RereadReason; readonly since: number } | undefined;
  #inEpisode = false;
  #lastTookMs = 0;

  constructor(debounceMs: number) {
    this.#waitMs = Math.max(LEAST_WAIT_MS, debounceMs);
  }

  /** `true` if this begins an episode. The first reason of those that wait counts. */
  want(reason: RereadReason, nowMs: number): boolean {
    const begins = !this.#inEpisode;
    this.#inEpisode = true;
    this.#wanted ??= { reason, at: this.#soonest(nowMs) };
    return begins;
  }

  #soonest(nowMs: number): number {
    return nowMs + Math.max(this.#waitMs, this.#lastTookMs);
  }

  get isWanted(): boolean {
    return this.#wanted !== undefined;
  }

  /** When to begin; Infinity if nothing is wanted, or while it runs. */
  get dueAt(): number {
    return this.#running === undefined ? this.#wanted?.at ?? Infinity : Infinity;
  }

  /** Arming begins: because it is due, or for a reason of the caller's own. */
  begin(nowMs: number, reason: RereadReason = this.#wanted?.reason ?? "overflow"): void {
    this.#wanted = undefined;
    this.#running = { reason, since: nowMs };
  }

  /** Something went wrong: what runs may never end, so it is to begin anew. */
  abandon(reason: RereadReason, nowMs: number): void {
    this.#running = undefined;
    this.want(reason, nowMs);
  }

  /** Everything is armed. Why it was. */
  end(nowMs: number): RereadReason {
    const { reason, since } = this.#running ?? { reason: "overflow", since: nowMs };
    this.#running = undefined;
    this.#lastTookMs = nowMs - since;
    this.#inEpisode = this.#wanted !== undefined;
    // A loss meanwhile waits from now on, for as long as this took.
    if (this.#wanted !== undefined) this.#wanted = { ...this.#wanted, at: this.#soonest(nowMs) };
    return reason;
  }
}
