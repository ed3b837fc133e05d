/**
 * Moves one INSTREAM from a guest to clamd, parsed and gathered on the way, in bounded memory: one buffer.
 *
 * Through a buffer by recv and send, not through a pipe by splice(2): measured on Unix sockets, both take the same
 * time for 1 GiB (clamd is the slower end), splice costs a pipe for each request, small chunks need the
 * buffer anyway, and vsock sockets cannot splice without copying. JavaScript never looks at the content.
 */

import type { Connection } from "../../ffi/connection.ts";
import { nextTurn } from "../../ffi/reactor.ts";
import { ANSWERS, excessAnswer, Refusal } from "./answers.ts";
import type { Command } from "./command_filter.ts";
import type { GatheredStream } from "./instream.ts";

/** Buffers moved without a pause before the other guests get their turn (I7). */
const MOVES_A_TURN = 16;
/** Bytes that go on at once: more would make clamd no faster. Fewer wait, which costs nothing: it scans at the end. */
const ENOUGH = 64 * 1024;

export interface StreamRelayOptions {
  readonly guest: Connection;
  readonly clamd: Connection;
  readonly stream: GatheredStream;
  /** Whether clamd has answered, or no longer can: the rest of the stream is of no use then. */
  isOver(): boolean;
}

export class StreamRelay {
  readonly #options: StreamRelayOptions;
  #moves = 0;
  #isDue = false;
  #silentSinceMs: number | undefined;

  constructor(options: StreamRelayOptions) {
    this.#options = options;
  }

  /** Since when the guest is waited for; `undefined` while it is not (`performance.now`). */
  get silentSinceMs(): number | undefined {
    return this.#silentSinceMs;
  }

  /**
   * Has what was gathered go on, however little. To be called now and then: else clamd would hear nothing of a slow
   * guest, and give it up (ReadTimeout).
   */
  passOn(): void {
    if (this.#options.stream.gathered === 0) return;
    this.#isDue = true;
    this.#options.guest.wake();
  }

  /** `true` when clamd has the command and the whole stream, `false` when it was over before. Throws a Refusal. */
  async run(command: Command): Promise<boolean> {
    const { stream } = this.#options;
    for (;;) {
      const progress = stream.advance();
      if (progress === "ended") return await this.#send(stream.takeLast());
      if (progress !== "more" && progress !== "unfinished") {
        throw new Refusal(
          excessAnswer(progress, command),
          `its INSTREAM exceeds a limit: ${progress}`,
        );
      }
      if (this.#isDue || stream.gathered >= ENOUGH) {
        this.#isDue = false;
        if (!await this.#send(stream.take())) return false;
      }
      if (progress === "unfinished") await this.#pause(nextTurn());
      else if (!await this.#receive()) return false;
    }
  }

  async #send(data: Uint8Array<ArrayBuffer>): Promise<boolean> {
    const { clamd, isOver } = this.#options;
    for (let rest = data; rest.length > 0;) {
      if (isOver()) return false;
      try {
        const count = clamd.socket.send(rest);
        if (count !== "again") rest = rest.subarray(count);
        else {
          this.#silentSinceMs = undefined; // nobody listens to the guest meanwhile
          await this.#pause(clamd.writable());
        }
      } catch {
        return false; // clamd takes no more: its reply tells why
      }
    }
    return true;
  }

  /** `false` when it is over. Returns without a byte when something is due. */
  async #receive(): Promise<boolean> {
    const { guest, stream, isOver } = this.#options;
    if (++this.#moves > MOVES_A_TURN) await this.#pause(nextTurn());
    const { room } = stream;
    while (!isOver()) {
      const count = guest.socket.receive(room);
      if (count === 0) {
        throw new Refusal(ANSWERS.streamCutOff, "it ended its INSTREAM without the end mark");
      }
      if (count !== "again") {
        this.#silentSinceMs = undefined;
        stream.received(count);
        return true;
      }
      if (this.#isDue) return true;
      this.#silentSinceMs ??= performance.now();
      await this.#pause(guest.readable());
    }
    return false;
  }

  #pause(promise: Promise<void>): Promise<void> {
    this.#moves = 0;
    return promise;
  }
}
