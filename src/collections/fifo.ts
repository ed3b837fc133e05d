/** A queue whose first item costs the same however many wait: shifting a long array copies it each time. */
export class Fifo<Item> implements Iterable<Item> {
  readonly #items: Item[] = [];
  #begin = 0;

  get length(): number {
    return this.#items.length - this.#begin;
  }

  get first(): Item | undefined {
    return this.#items[this.#begin];
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  /** Takes the first. */
  shift(): Item | undefined {
    if (this.length === 0) return undefined;
    const { first } = this;
    this.#begin++;
    if (this.#begin > 1024 && this.#begin * 2 > this.#items.length) {
      this.#items.splice(0, this.#begin);
      this.#begin = 0;
    }
    return first;
  }

  [Symbol.iterator](): Iterator<Item> {
    return this.#items.slice(this.#begin).values();
  }
}
