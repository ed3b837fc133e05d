/** Does something when it is asked for, but not too often: what is asked for meanwhile is done once, when it may be again. */

import { type Clock, MACHINE_CLOCK } from "../../ffi/clock.ts";

export class Throttle {
  /** Set while it was done lately: ends that. */
  #cancel: (() => void) | undefined;
  #isDueAgain = false;
  #isClosed = false;

  /** `act` is called at most once in `pauseMs` milliseconds. */
  constructor(
    private readonly pauseMs: number,
    private readonly act: () => void,
    private readonly clock: Clock = MACHINE_CLOCK,
  ) {}

  request(): void {
    if (this.#isClosed) return;
    if (this.#cancel !== undefined) {
      this.#isDueAgain = true;
      return;
    }
    this.#cancel = this.clock.after(this.pauseMs, () => {
      const isDue = this.#isDueAgain;
      this.#cancel = undefined;
      this.#isDueAgain = false;
      if (isDue) this.request();
    });
    this.act();
  }

  /** Nothing is done any more. */
  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }
}
