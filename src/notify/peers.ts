/** Who is connected: a limit, at which the longest silent one goes (I6). Pure. */

export class Peers<P> {
  readonly #limit: number;
  readonly #evict: (peer: P) => void;
  /** In the order of their last sign of life: a Set keeps the order of insertion. */
  readonly #peers = new Set<P>();

  constructor(limit: number, evict: (peer: P) => void) {
    this.#limit = limit;
    this.#evict = evict;
  }

  get size(): number {
    return this.#peers.size;
  }

  /** A new peer; if there are too many, the longest silent one is evicted. */
  add(peer: P): void {
    if (this.#peers.size >= this.#limit) {
      const [silent] = this.#peers;
      if (silent !== undefined) {
        this.#peers.delete(silent);
        this.#evict(silent);
      }
    }
    this.#peers.add(peer);
  }

  /** It said something. */
  heard(peer: P): void {
    if (this.#peers.delete(peer)) this.#peers.add(peer);
  }

  remove(peer: P): void {
    this.#peers.delete(peer);
  }

  [Symbol.iterator](): Iterator<P> {
    return this.#peers.values();
  }
}
