/** One guest's connection: one command, one answer. */

import { display, fromBytes } from "../../ffi/byte_string.ts";
import { Connection } from "../../ffi/connection.ts";
import { isErrno } from "../../ffi/errno.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { Address } from "../../ffi/socket.ts";
import { inWords } from "../scanning/trouble.ts";
import { type Answer, ANSWERS, Refusal } from "./answers.ts";
import { PendingReply } from "./clamd_reply.ts";
import { type Command, type CommandName, decide } from "./command_filter.ts";
import { GatheredStream, type StreamLimits } from "./instream.ts";
import { StreamRelay } from "./stream_relay.ts";

export interface RequestLimits extends StreamLimits {
  /** To read the command. */
  readonly commandTimeoutMs: number;
  /** Between two reads from the guest; also for clamd's answer to PING and VERSION. */
  readonly readTimeoutMs: number;
  /** For a whole INSTREAM, clamd's verdict included. */
  readonly streamTimeoutMs: number;
}

export interface RequestContext {
  readonly reactor: Reactor;
  readonly clamd: Address;
  readonly limits: RequestLimits;
}

export type Outcome =
  | {
    readonly kind: "answered";
    readonly command: CommandName;
    /** Bytes of the stream's content. */
    readonly size: number;
    /** clamd's reply as it came. */
    readonly answer: Answer;
    /** The guest may still be sending: closing at once could cost it the answer. */
    readonly maySendMore: boolean;
  }
  | { readonly kind: "refused"; readonly answer: Answer; readonly reason: string }
  /** Nobody is there any more to be answered. */
  | { readonly kind: "vanished" };

class Vanished extends Error {
  override readonly name = "Vanished";
}

const CONNECT_TIMEOUT_MS = 5000;
/** How long a second command may be on its way behind a first one, before clamd hears of the first. */
const SETTLING_MS = 50;

/** What happens at `atMs` (`performance.now`) if nothing else does before. */
interface Deadline {
  readonly atMs: number;
  readonly answer: Answer;
  readonly reason: string;
}

export class Request {
  readonly #guest: Connection;
  readonly #context: RequestContext;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  #clamd: Connection | undefined;
  #relay: StreamRelay | undefined;
  #deadline: Deadline;
  /** clamd has a whole stream, and no verdict yet. */
  #isScanning = false;
  /** Why it was given up from outside its flow. */
  #end: Refusal | Vanished | undefined;

  /** `buffer` is used until `serve` has settled. */
  constructor(guest: Connection, context: RequestContext, buffer: Uint8Array<ArrayBuffer>) {
    this.#guest = guest;
    this.#context = context;
    this.#buffer = buffer;
    this.#deadline = deadline(
      context.limits.commandTimeoutMs,
      ANSWERS.commandTimeout,
      "it sent no command in time",
    );
  }

  /**
   * Reads the command and has it answered by clamd, whose connection is closed by `close`. Sends the guest nothing and
   * leaves its connection open.
   */
  async serve(): Promise<Outcome> {
    try {
      const { command, filled } = await this.#readCommand();
      if (command.name !== "INSTREAM") await this.#settle();
      const clamd = await this.#connect();
      return command.name === "INSTREAM"
        ? await this.#stream(command, clamd, filled)
        : await this.#ask(command, clamd);
    } catch (error) {
      if (error instanceof Refusal) {
        return { kind: "refused", answer: error.answer, reason: error.message };
      }
      if (error instanceof Vanished || isErrno(error, "ECONNRESET", "EPIPE", "ECONNABORTED")) {
        return { kind: "vanished" };
      }
      throw error;
    }
  }

  /**
   * To be called now and then with `performance.now()`: gives the request up when its time is over or its guest has
   * gone (nothing tells that while clamd is waited for). One look at all requests is cheaper than
   * timers of their own, and no limit is so exact.
   *
   * A guest that has gone keeps its place while clamd scans for it: clamd does so until the end, whoever listens, and
   * each place that came back before would be one scan more at a time (I7).
   */
  check(nowMs: number): void {
    if (this.#end !== undefined || !this.#guest.isOpen) return;
    const { atMs, answer, reason } = this.#deadline;
    const silentMs = nowMs - (this.#relay?.silentSinceMs ?? nowMs);
    if (nowMs >= atMs) this.#giveUp(new Refusal(answer, reason));
    else if (silentMs >= this.#context.limits.readTimeoutMs) {
      this.#giveUp(new Refusal(ANSWERS.readTimeout, "it went silent within its INSTREAM"));
    } else if (!this.#isScanning) {
      if (this.#guest.socket.peerIsGone) this.#giveUp(new Vanished());
      else this.#relay?.passOn();
    }
  }

  /** Whether its command has been taken. */
  get isUnderWay(): boolean {
    return this.#clamd !== undefined;
  }

  close(): void {
    this.#clamd?.close();
  }

  /** Ends it for our own reasons; the guest gets to know. */
  stop(): void {
    if (this.#end === undefined) this.#giveUp(new Refusal(ANSWERS.stopping, "stopped"));
  }

  /** Closing clamd's connection settles its reply, and with it everything that goes on. */
  #giveUp(reason: Refusal | Vanished): void {
    this.#end = reason;
    this.close();
    this.#guest.wake();
  }

  async #readCommand(): Promise<{ command: Command; filled: number }> {
    for (let filled = 0;;) {
      if (this.#end !== undefined) throw this.#end;
      const count = this.#guest.socket.receive(this.#buffer.subarray(filled));
      if (count === "again") {
        await this.#guest.readable();
        continue;
      }
      const request = this.#buffer.subarray(0, filled += count);
      const decision = decide(request);
      if (decision === "refused" || count === 0) throw notAllowed(request);
      if (decision !== "undecided") return { command: decision, filled };
    }
  }

  /**
   * Nothing may follow PING and VERSION, and bytes may come one by one: so they wait for a moment, unless the
   * guest has ended its sending.
   */
  async #settle(): Promise<void> {
    try {
      await this.#guest.readable(SETTLING_MS);
    } catch (error) {
      if (!isErrno(error, "ETIMEDOUT")) throw error;
    }
    if (this.#end !== undefined) throw this.#end;
    this.#refuseMore();
  }

  async #connect(): Promise<Connection> {
    const { reactor, clamd } = this.#context;
    try {
      this.#clamd = await Connection.connect(reactor, clamd, CONNECT_TIMEOUT_MS);
    } catch (error) {
      throw new Refusal(ANSWERS.clamdUnavailable, inWords(error, clamd));
    }
    if (this.#end !== undefined) this.#clamd.close();
    return this.#clamd;
  }

  /** PING and VERSION. */
  async #ask(command: Command, clamd: Connection): Promise<Outcome> {
    this.#deadline = deadline(
      this.#context.limits.readTimeoutMs,
      ANSWERS.clamdSilent,
      `clamd did not answer ${command.name} in time`,
    );
    const pending = new PendingReply(clamd, () => {});
    await clamd.write(command.bytes).catch(() => {}); // the reply tells what is wrong
    const answer = await this.#wholeReply(pending);
    this.#refuseMore();
    return { kind: "answered", command: command.name, size: 0, answer, maySendMore: true };
  }

  async #stream(command: Command, clamd: Connection, filled: number): Promise<Outcome> {
    const { limits } = this.#context;
    this.#deadline = deadline(
      limits.streamTimeoutMs,
      ANSWERS.streamTimeout,
      "its INSTREAM took too long as a whole",
    );
    const pending = new PendingReply(clamd, () => (this.#guest.wake(), clamd.wake()));
    const isOver = () => pending.isSettled || !clamd.isOpen;
    const stream = new GatheredStream(command, this.#buffer, filled, limits);
    this.#relay = new StreamRelay({ guest: this.#guest, clamd, stream, isOver });
    const isWhole = this.#isScanning = await this.#relay.run(command);
    const answer = await this.#wholeReply(pending);
    if (!isWhole && saysClean(answer)) {
      // A verdict on a part would pass for one on the whole.
      throw new Refusal(ANSWERS.clamdTooEarly, "clamd said OK before it had the whole stream");
    }
    return {
      kind: "answered",
      command: command.name,
      size: stream.size,
      answer,
      maySendMore: !isWhole || this.#hasMore(),
    };
  }

  async #wholeReply(pending: PendingReply): Promise<Answer> {
    const reply = await pending.reply;
    if (this.#end !== undefined) throw this.#end;
    if (reply.kind === "missing") throw reply.refusal;
    return reply.bytes;
  }

  /** A second command behind a complete one: never relayed, and the first is not answered either. */
  #refuseMore(): void {
    if (this.#hasMore()) {
      throw new Refusal(ANSWERS.notAllowed, "it sent more behind its command");
    }
  }

  /** Whether the guest has sent what nobody has read; a byte of it is lost then. */
  #hasMore(): boolean {
    const count = this.#guest.socket.receive(this.#buffer.subarray(0, 1));
    return count !== "again" && count > 0;
  }
}

function deadline(limitMs: number, answer: Answer, reason: string): Deadline {
  return { atMs: performance.now() + limitMs, answer, reason };
}

const SHOWN_COMMAND = 40;

function notAllowed(untrustedRequest: Uint8Array): Refusal {
  const shown = display(
    fromBytes(untrustedRequest, 0, Math.min(untrustedRequest.length, SHOWN_COMMAND)),
  );
  return new Refusal(ANSWERS.notAllowed, `its command is not allowed: "${shown}"`);
}

function saysClean(answer: Answer): boolean {
  return / OK$/.test(fromBytes(answer, 0, answer.length - 1));
}
