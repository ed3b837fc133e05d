import { nextTurn } from "../../ffi/reactor.ts";

/** How long the event loop is kept from others. */
const SLICE_MS = 2;
/** Where a look is a matter of microseconds. */
const LOOKS_BETWEEN_CLOCKS = 64;

/** Gives the event loop its turn after each slice of time. */
export class Pace {
  #looks = 0;
  #until = performance.now() + SLICE_MS;

  constructor(private readonly looksBetweenClocks = LOOKS_BETWEEN_CLOCKS) {}

  isDue(): boolean {
    if (++this.#looks < this.looksBetweenClocks) return false;
    this.#looks = 0;
    return performance.now() >= this.#until;
  }

  async rest(): Promise<void> {
    await nextTurn();
    this.#until = performance.now() + SLICE_MS;
  }
}
