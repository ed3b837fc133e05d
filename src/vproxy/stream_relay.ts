/**
 * Moves one INSTREAM from a guest to clamd, parsed on the way, in bounded memory: one buffer, emptied before
 * it is filled again.
 *
 * Through a buffer by recv and send, not through a pipe by splice(2): measured on Unix sockets, both take the same
 * time for 1 GiB (clamd is the slower end), splice costs a pipe for each request, small chunks need the
 * buffer anyway, and vsock sockets cannot splice without copying. JavaScript never looks at the content.
 */

import type { Connection } from "../../ffi/connection.ts";
import { nextTurn } from "../../ffi/reactor.ts";
import { ANSWERS, excessAnswer, Refusal } from "./answers.ts";
import type { Command } from "./command_filter.ts";
import { type StreamLimits, StreamParser } from "./instream.ts";

/** Buffers moved without a pause before the other guests get their turn (I7). */
const MOVES_A_TURN = 16;

export interface StreamRelayOptions {
  readonly guest: Connection;
  readonly clamd: Connection;
  readonly limits: StreamLimits;
  /** Whether clamd has answered, or no longer can: the rest of the stream is of no use then. */
  isOver(): boolean;
}

export class StreamRelay {
  readonly #options: StreamRelayOptions;
  readonly #parser: StreamParser;
  #moves = 0;
  #silentSinceMs: number | undefined;

  constructor(options: StreamRelayOptions) {
    this.#options = options;
    this.#parser = new StreamParser(options.limits);
  }

  /** Bytes of content that the guest announced so far. */
  get size(): number {
    return this.#parser.size;
  }

  /** Since when the guest is waited for; `undefined` while it is not (`performance.now`). */
  get silentSinceMs(): number | undefined {
    return this.#silentSinceMs;
  }

  /**
   * Sends `command`, which stands at the start of `buffer`, and the stream, of which `filled` says how much is there
   * already. `true` when clamd has everything, `false` when it was over before. Throws a Refusal.
   */
  async run(command: Command, buffer: Uint8Array<ArrayBuffer>, filled: number): Promise<boolean> {
    for (let skip = command.bytes.length;; skip = 0) {
      const { valid, state } = this.#parser.advance(buffer.subarray(skip, filled));
      const end = skip + valid;
      if (state !== "more" && state !== "ended") {
        throw new Refusal(excessAnswer(state, command), `its INSTREAM exceeds a limit: ${state}`);
      }
      if (!await this.#send(buffer.subarray(0, end))) return false;
      if (state === "ended") return true;
      // At most 3 bytes of a length that is not complete.
      buffer.copyWithin(0, end, filled);
      const rest = filled - end;
      const count = await this.#receive(buffer.subarray(rest));
      if (count === "over") return false;
      if (count === 0) {
        throw new Refusal(ANSWERS.streamCutOff, "it ended its INSTREAM without the end mark");
      }
      filled = rest + count;
    }
  }

  async #send(data: Uint8Array<ArrayBuffer>): Promise<boolean> {
    const { clamd, isOver } = this.#options;
    for (let rest = data; rest.length > 0;) {
      if (isOver()) return false;
      try {
        const count = clamd.socket.send(rest);
        if (count !== "again") rest = rest.subarray(count);
        else await this.#pause(clamd.writable());
      } catch {
        return false; // clamd takes no more: its reply tells why
      }
    }
    return true;
  }

  async #receive(into: Uint8Array<ArrayBuffer>): Promise<number | "over"> {
    const { guest, isOver } = this.#options;
    if (++this.#moves > MOVES_A_TURN) await this.#pause(nextTurn());
    while (!isOver()) {
      const count = guest.socket.receive(into);
      if (count !== "again") return count;
      this.#silentSinceMs = performance.now();
      await this.#pause(guest.readable());
      this.#silentSinceMs = undefined;
    }
    return "over";
  }

  #pause(promise: Promise<void>): Promise<void> {
    this.#moves = 0;
    return promise;
  }
}
