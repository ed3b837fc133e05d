/** Who may be served now: a limit for all guests together, and one for each. Pure. */

export interface ConnectionLimits {
  readonly maxConnections: number;
  /** So that one guest cannot starve the others (I7). */
  readonly maxConnectionsPerGuest: number;
}

/** A place that is held until it is released. */
export interface Place {
  release(): void;
}

export class Admission {
  readonly #limits: ConnectionLimits;
  readonly #held = new Map<string, number>();
  #total = 0;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  /** A place for one more connection of `guest`; `undefined` if there is none. */
  enter(guest: string): Place | undefined {
    const held = this.#held.get(guest) ?? 0;
    const { maxConnections, maxConnectionsPerGuest } = this.#limits;
    if (this.#total >= maxConnections || held >= maxConnectionsPerGuest) return undefined;
    this.#total++;
    this.#held.set(guest, held + 1);
    let isHeld = true;
    return {
      release: () => {
        if (isHeld) this.#leave(guest);
        isHeld = false;
      },
    };
  }

  #leave(guest: string): void {
    this.#total--;
    const held = (this.#held.get(guest) ?? 0) - 1;
    // Guests that left leave nothing behind: there are four billion CIDs.
    if (held > 0) this.#held.set(guest, held);
    else this.#held.delete(guest);
  }
}
