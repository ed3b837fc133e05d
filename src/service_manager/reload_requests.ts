/** Requests to read the configuration again: SIGHUP. */

import { admitSignal, SIGHUP } from "../../ffi/process.ts";

/** However many come before `next` is asked for, they count as one. Listens until the process ends. */
export class ReloadRequests {
  #isRequested = false;
  #onRequest: (() => void) | undefined;

  constructor() {
    Deno.addSignalListener("SIGHUP", () => {
      this.#isRequested = true;
      this.#onRequest?.();
    });
    admitSignal(SIGHUP); // whoever started us anew has let it wait
  }

  /** Settles when there is a request that was not yet told of. */
  async next(): Promise<void> {
    if (!this.#isRequested) await new Promise<void>((resolve) => this.#onRequest = resolve);
    this.#isRequested = false;
    this.#onRequest = undefined;
  }
}
