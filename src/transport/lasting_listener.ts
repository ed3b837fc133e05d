/**
 * Listens at an address for as long as the process runs. A Unix socket's file, or the folder that it is in, may be removed
 * meanwhile, as by what manages virtual machines when one of them starts again: then it is made anew.
 */

import { display } from "../../ffi/byte_string.ts";
import { type Connection, Listener } from "../../ffi/connection.ts";
import { SystemError } from "../../ffi/errno.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { type Address, showAddress } from "../../ffi/socket.ts";
import type { Logger } from "../logging/logging.ts";
import { listenFailure } from "./listen_failure.ts";

const LOOK_MS = 1000;

export class LastingListener implements Disposable {
  #listener: Listener | undefined;
  readonly #looking: ReturnType<typeof setInterval>;
  /** What was told last of why nobody can be listened to. */
  #told: string | undefined;

  /** Throws as `Listener` where nobody can listen there at first. */
  constructor(
    private readonly reactor: Reactor,
    private readonly address: Address,
    private readonly log: Logger,
    private readonly onConnection: (connection: Connection, cid: number | undefined) => void,
  ) {
    this.#listener = new Listener(reactor, address, onConnection);
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
  }

  #look(): void {
    if (this.#listener?.isReachable()) return;
    // First, or its end would take the new file for its own.
    this.#listener?.close();
    this.#listener = undefined;
    const place = display(showAddress(this.address));
    try {
      this.#listener = new Listener(this.reactor, this.address, this.onConnection);
      this.#told = undefined;
      this.log.warn("{place} was removed or replaced: listening there anew", { place });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const why = listenFailure(error, this.address);
      if (why === this.#told) return;
      this.#told = why;
      this.log.error("{place} was removed or replaced; {why}", { place, why });
    }
  }

  close(): void {
    clearInterval(this.#looking);
    this.#listener?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
