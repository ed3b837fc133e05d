/**
 * Bounds the log (I6): each kind of message has a token bucket, so that what a guest can make the
 * daemon say a million times is said a few times, and then counted. Pure: the caller has the clock.
 */

export interface Rate {
  /** Messages of one kind that may come at once. */
  readonly burst: number;
  /** Messages of one kind in the long run. */
  readonly perSecond: number;
}

/** How many messages of a kind were not logged since the last summary. */
export interface Suppressed<Sample> {
  /** The first of them. */
  readonly sample: Sample;
  readonly count: number;
}

interface Bucket<Sample> {
  tokens: number;
  /** Milliseconds, when `tokens` was right. */
  at: number;
  readonly rate: Rate;
  suppressed: { sample: Sample; count: number } | undefined;
}

/** Kinds beyond this number share one bucket, so that memory is bounded too. */
const MOST_KINDS = 1024;
/** How often is looked for room, at most. */
const LOOK_FOR_ROOM_MS = 1000;
/** No kind of message has an empty name. */
const ALL_OTHERS = "";

export class RateLimit<Sample> {
  readonly #buckets = new Map<string, Bucket<Sample>>();
  #lookedForRoomAt = -Infinity;

  /**
   * Whether a message of `kind` may be logged now; if not, it is counted. The rate belongs to the
   * kind, and is the same in every call. `nowMs` is a monotonic clock in milliseconds.
   */
  admits(kind: string, rate: Rate, nowMs: number, sample: Sample): boolean {
    const bucket = this.#bucketOf(kind, rate, nowMs);
    bucket.tokens = tokensAt(bucket, rate, nowMs);
    bucket.at = nowMs;
    if (bucket.tokens >= 1) {
      bucket.tokens--;
      return true;
    }
    bucket.suppressed ??= { sample, count: 0 };
    bucket.suppressed.count++;
    return false;
  }

  /** What was admitted counts for more messages than one. */
  charge(kind: string, rate: Rate, nowMs: number, more: number): void {
    if (more > 0) this.#bucketOf(kind, rate, nowMs).tokens -= more;
  }

  /** What was suppressed since the last call; to be called now and then, while there is something. */
  takeSuppressed(): readonly Suppressed<Sample>[] {
    const taken: Suppressed<Sample>[] = [];
    for (const bucket of this.#buckets.values()) {
      if (bucket.suppressed !== undefined) taken.push(bucket.suppressed);
      bucket.suppressed = undefined;
    }
    return taken;
  }

  /** How many kinds are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  #bucketOf(kind: string, rate: Rate, nowMs: number): Bucket<Sample> {
    if (!this.#buckets.has(kind) && this.#buckets.size >= MOST_KINDS) this.#makeRoom(nowMs);
    const key = this.#buckets.has(kind) || this.#buckets.size < MOST_KINDS ? kind : ALL_OTHERS;
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = { tokens: rate.burst, at: nowMs, rate, suppressed: undefined };
      this.#buckets.set(key, bucket);
    }
    return bucket;
  }

  /** Forgets kinds that are as if nothing had ever been said of them. */
  #makeRoom(nowMs: number): void {
    if (nowMs - this.#lookedForRoomAt < LOOK_FOR_ROOM_MS) return;
    this.#lookedForRoomAt = nowMs;
    for (const [kind, bucket] of this.#buckets) {
      const isAsNew = tokensAt(bucket, bucket.rate, nowMs) === bucket.rate.burst;
      if (isAsNew && bucket.suppressed === undefined) this.#buckets.delete(kind);
    }
  }
}

function tokensAt(
  { tokens, at }: Bucket<unknown>,
  { burst, perSecond }: Rate,
  nowMs: number,
): number {
  const earned = Math.max(0, nowMs - at) / 1000 * perSecond;
  return Math.min(burst, tokens + earned);
}
