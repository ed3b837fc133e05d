/** A map that forgets what was set longest ago, rather than hold more than it may (I6). */

export class BoundedMap<Key, Value extends NonNullable<unknown>> {
  /** What was set longest ago is first. */
  readonly #values = new Map<Key, Value>();
  readonly #most: number;
  readonly #mostBytes: number;
  readonly #bytesOf: (key: Key, value: Value) => number;
  #bytes = 0;

  /**
   * Holds `most` entries, of `mostBytes` together as `bytesOf` counts them; what was set last is held whatever its length. What
   * `bytesOf` says of an entry must not change.
   */
  constructor(
    most: number,
    mostBytes = Infinity,
    bytesOf: (key: Key, value: Value) => number = () => 0,
  ) {
    this.#most = most;
    this.#mostBytes = mostBytes;
    this.#bytesOf = bytesOf;
  }

  get size(): number {
    return this.#values.size;
  }

  has(key: Key): boolean {
    return this.#values.has(key);
  }

  get(key: Key): Value | undefined {
    return this.#values.get(key);
  }

  /** Sets it anew, also if it was set before: it will be forgotten last. */
  set(key: Key, value: Value): void {
    this.delete(key);
    this.#values.set(key, value);
    this.#bytes += this.#bytesOf(key, value);
    while (this.#isOverfull) {
      const [oldest] = this.#values.keys();
      if (oldest !== undefined) this.delete(oldest);
    }
  }

  /** Whether it was there. */
  delete(key: Key): boolean {
    const value = this.#values.get(key);
    if (value === undefined) return false;
    this.#bytes -= this.#bytesOf(key, value);
    return this.#values.delete(key);
  }

  clear(): void {
    this.#values.clear();
    this.#bytes = 0;
  }

  /** What was set longest ago first. */
  keys(): Iterable<Key> {
    return this.#values.keys();
  }

  get #isOverfull(): boolean {
    return this.#values.size > this.#most ||
      this.#bytes > this.#mostBytes && this.#values.size > 1;
  }
}
