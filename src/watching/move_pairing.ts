/**
 * Finds the two halves of a rename. inotify tells them as separate events with the same cookie (inotify(7)):
 * the second normally follows at once, but other events, or the end of a read, may come between them,
 * and where the target is not watched there is none. Pure: events and a clock in, pairs out.
 */

/** Microseconds pass between the halves in the kernel; the rest is patience. */
const WAIT_MS = 50;
const MOST_WAITING = 1024;

interface Departure<Item> {
  readonly item: Item;
  readonly expiresAt: number;
}

export class MovePairing<Item> {
  readonly #departures = new Map<number, Departure<Item>>();

  constructor(private readonly waitMs = WAIT_MS, private readonly limit = MOST_WAITING) {}

  /**
   * Something left its name. Returns what has to give up waiting for its other half, because too many
   * wait: that counts as moved out.
   */
  departed(cookie: number, item: Item, nowMs: number): Item | undefined {
    this.#departures.set(cookie, { item, expiresAt: nowMs + this.waitMs });
    if (this.#departures.size <= this.limit) return undefined;
    const [oldest] = this.#departures;
    if (oldest === undefined) return undefined;
    this.#departures.delete(oldest[0]);
    return oldest[1].item;
  }

  /** Something got a name: what left another one with this cookie, or `undefined` if it came from outside. */
  arrived(cookie: number): Item | undefined {
    const departure = this.#departures.get(cookie);
    this.#departures.delete(cookie);
    return departure?.item;
  }

  /** How many wait for their other half. */
  get size(): number {
    return this.#departures.size;
  }

  /** The first that waits of which `isWanted` holds. */
  find(isWanted: (item: Item) => boolean): Item | undefined {
    for (const { item } of this.#departures.values()) if (isWanted(item)) return item;
    return undefined;
  }

  /**
   * What left and did not arrive in time: it was moved out. To be called only when all events up to now have
   * been seen, or the other half may still be among them. No more than `most`, the oldest first.
   */
  expired(nowMs: number, most = Infinity): Item[] {
    const items: Item[] = [];
    for (const [cookie, { item, expiresAt }] of this.#departures) {
      if (expiresAt > nowMs || items.length >= most) break;
      items.push(item);
      this.#departures.delete(cookie);
    }
    return items;
  }

  /** When the next departure expires; Infinity if none waits. */
  get nextExpiryAt(): number {
    return this.#departures.values().next().value?.expiresAt ?? Infinity;
  }
}
