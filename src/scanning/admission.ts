/**
 * How many scans run at once. Waiting ones are admitted in the order in which they came; one that
 * takes long gives its place to the next and goes on outside the limit, so that a stuck scan blocks nobody.
 */

import { Fifo } from "../collections/fifo.ts";

/** However many are slow, no more than this run: each holds a connection, and perhaps a thread of the scanner. */
export const RUNNING_MAX = 64;

export interface Ticket {
  /** It goes on, but does not count against the limit any more. */
  release(): void;
  /** It has ended. */
  done(): void;
}

export class Admission {
  #limit: number;
  #most = RUNNING_MAX;
  #running = 0;
  #counted = 0;
  readonly #waiting = new Fifo<(ticket: Ticket) => void>();

  constructor(limit: number) {
    this.#limit = clamp(limit);
  }

  get limit(): number {
    return this.#limit;
  }

  set limit(limit: number) {
    this.#limit = clamp(limit);
    this.#admit();
  }

  /** Slow ones included. Never more than RUNNING_MAX, nor less than the limit. */
  set most(most: number) {
    this.#most = clamp(most);
    this.#admit();
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** A place, at once (not a promise) if there is one. */
  enter(): Ticket | Promise<Ticket> {
    if (this.waiting === 0 && this.#hasPlace()) return this.#newTicket();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #hasPlace(): boolean {
    return this.#counted < this.#limit && this.#running < Math.max(this.#most, this.#limit);
  }

  #newTicket(): Ticket {
    this.#running++;
    this.#counted++;
    let counted = true;
    let running = true;
    const release = () => {
      if (!counted) return;
      counted = false;
      this.#counted--;
    };
    return {
      release: () => {
        release();
        this.#admit();
      },
      done: () => {
        if (!running) return;
        running = false;
        this.#running--;
        release();
        this.#admit();
      },
    };
  }

  #admit(): void {
    while (this.waiting > 0 && this.#hasPlace()) this.#waiting.shift()?.(this.#newTicket());
  }
}

function clamp(limit: number): number {
  return limit >= 1 ? Math.min(RUNNING_MAX, Math.trunc(limit)) : 1; // NaN is 1 too
}
