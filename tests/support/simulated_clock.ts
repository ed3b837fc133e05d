/** A clock that stands still until a test lets time pass. */

import type { Clock } from "../../ffi/clock.ts";

interface Appointment {
  readonly at: number;
  readonly callback: () => void;
}

export class SimulatedClock implements Clock {
  readonly #appointments = new Set<Appointment>();
  #now = 0;

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const appointment = { at: this.#now + ms, callback };
    this.#appointments.add(appointment);
    return () => this.#appointments.delete(appointment);
  }

  /** How many callbacks are still to come. */
  get waiting(): number {
    return this.#appointments.size;
  }

  /** When the next one is due; Infinity if there is none. */
  get nextAt(): number {
    return Math.min(...[...this.#appointments].map(({ at }) => at));
  }

  /** Time goes by in which nobody is called back, since the processor is at work. */
  spend(ms: number): void {
    this.#now += ms;
  }

  /** Lets time pass, and calls back what is due by then, in order, each at its time. */
  pass(ms: number): void {
    const end = this.#now + ms;
    while (this.nextAt <= end) {
      const at = this.nextAt;
      for (const appointment of [...this.#appointments]) {
        // One that came before may have taken it back.
        if (appointment.at !== at || !this.#appointments.delete(appointment)) continue;
        this.#now = Math.max(this.#now, at);
        appointment.callback();
      }
    }
    this.#now = Math.max(this.#now, end);
  }
}
