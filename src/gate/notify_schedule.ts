/**
 * When one guest is told of changes. Pure: changes, outcomes and a clock in (milliseconds, monotonic), decisions
 * out.
 *
 * A first change is told at once, a burst once a second, and its end always: whatever changes is followed by a
 * notification. A guest that could not be reached is left alone for a while; what was due stays due.
 */

/** From the end of one notification of a channel to the next. */
export const INTERVAL_MS = 1000;
/** From a failure to the next attempt, whatever the channel: the guest is off. */
export const BACK_OFF_MS = 10_000;

export type NextStep =
  | { readonly kind: "send"; readonly channel: string }
  | { readonly kind: "wait"; readonly untilMs: number }
  /** Until something changes, or what is under way has ended. */
  | { readonly kind: "rest" };

const REST: NextStep = { kind: "rest" };

export class NotifySchedule {
  /** Channels with changes that the guest was not told of; the oldest first. */
  readonly #due = new Set<string>();
  readonly #notBefore = new Map<string, number>();
  #underWay: string | undefined;
  #leftAloneUntil = -Infinity;
  #isReachable = true;
  #isHurried = false;

  /** Something changed in `channel`. `false` if that was known already, so that nothing new is to be decided. */
  changed(channel: string): boolean {
    if (this.#due.has(channel)) return false;
    this.#due.add(channel);
    return true;
  }

  /** Channels with changes of which it is not known that the guest was told. */
  get untold(): readonly string[] {
    return this.#underWay === undefined ? [...this.#due] : [this.#underWay, ...this.#due];
  }

  /** There will be no other change: what is due waits for nothing but a guest that is off. */
  hurry(): void {
    this.#isHurried = true;
  }

  /** What to do now; a channel that is to be sent counts as under way until `sent` or `failed`. */
  next(nowMs: number): NextStep {
    if (this.#underWay !== undefined || this.#due.size === 0) return REST;
    if (nowMs < this.#leftAloneUntil) return { kind: "wait", untilMs: this.#leftAloneUntil };
    let untilMs = Infinity;
    for (const channel of this.#due) {
      const notBefore = this.#isHurried ? nowMs : this.#notBefore.get(channel) ?? -Infinity;
      if (notBefore <= nowMs) {
        // From here on a change is a new one: it may have come too late for this notification.
        this.#due.delete(channel);
        this.#underWay = channel;
        return { kind: "send", channel };
      }
      untilMs = Math.min(untilMs, notBefore);
    }
    return { kind: "wait", untilMs };
  }

  /** What was under way has arrived. `true` if the guest had been out of reach before. */
  sent(nowMs: number): boolean {
    if (this.#underWay !== undefined) this.#notBefore.set(this.#underWay, nowMs + INTERVAL_MS);
    this.#underWay = undefined;
    const wasAway = !this.#isReachable;
    this.#isReachable = true;
    return wasAway;
  }

  /** It has not arrived, and stays due. `true` if that is news: the guest had been in reach before. */
  failed(nowMs: number): boolean {
    if (this.#underWay !== undefined) this.#due.add(this.#underWay);
    this.#underWay = undefined;
    this.#leftAloneUntil = nowMs + BACK_OFF_MS;
    const wasReachable = this.#isReachable;
    this.#isReachable = false;
    return wasReachable;
  }
}
