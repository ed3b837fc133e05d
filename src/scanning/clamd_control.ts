/** Questions to clamd that are no scans, each on a connection of its own. */

import { type ByteString, fromBytes } from "../../ffi/byte_string.ts";
import { pause } from "../../ffi/clock.ts";
import { Connection } from "../../ffi/connection.ts";
import { ERRNO, lacksDescriptors, SystemError } from "../../ffi/errno.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { Address } from "../../ffi/socket.ts";
import {
  COMMAND,
  REPLY_MAX,
  threadsOf,
  TOO_MANY_CONNECTIONS,
  verdictOf,
  versionOf,
} from "./clamd_protocol.ts";
import { inWords } from "./trouble.ts";

/** Where an answer of one line ends, in the two forms that commands have. */
const LINE_END = /[\0\n]/;
const STATS_END = /\0|\nEND\n/;
const DESCRIPTOR_RETRY_MS = 50;

/** A question without a useful answer from clamd; the message is in words for the log. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

export class ClamdControl {
  readonly #reactor: Reactor;
  readonly #address: Address;
  readonly #timeoutMs: number;
  readonly #open = new Set<Connection>();
  #closed = false;

  constructor(reactor: Reactor, address: Address, timeoutMs: number) {
    this.#reactor = reactor;
    this.#address = address;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Whether it is alive: settles with the answer, rejects with NoAnswer, or with a SystemError where there was no
   * descriptor to ask with. Works while all threads scan. */
  async ping(): Promise<void> {
    const answer = await this.#ask(COMMAND.PING, LINE_END);
    // A proxy whose places are all taken (by our own scans, perhaps) is alive too.
    if (answer === "PONG" || answer === TOO_MANY_CONNECTIONS) return;
    const meaning = verdictOf(answer);
    throw new NoAnswer(
      meaning.kind === "error" ? meaning.reason : "what listens there is no clamd",
    );
  }

  /** Its version and that of its signatures, in one line. */
  async version(): Promise<string> {
    const version = versionOf(await this.#ask(COMMAND.VERSION, LINE_END));
    if (version === undefined) throw new NoAnswer("clamd does not tell its version");
    return version;
  }

  /** How many scans it runs at once, if it tells. Waits behind the scans that are running. */
  async threads(): Promise<number | undefined> {
    return threadsOf(await this.#ask(COMMAND.STATS, STATS_END));
  }

  /** Ends all questions; they reject. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#open) connection.close();
  }

  /** Waits for a descriptor if there is none: that is no trouble of clamd's. */
  async #connect(): Promise<Connection> {
    const giveUpAt = performance.now() + this.#timeoutMs;
    for (;;) {
      try {
        return await Connection.connect(this.#reactor, this.#address, this.#timeoutMs);
      } catch (error) {
        if (!lacksDescriptors(error) || performance.now() > giveUpAt) throw error;
        await pause(DESCRIPTOR_RETRY_MS);
      }
    }
  }

  /** The answer up to its end. */
  async #ask(command: Uint8Array<ArrayBuffer>, end: RegExp): Promise<ByteString> {
    let connection: Connection | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let late = false;
    try {
      if (!this.#closed) connection = await this.#connect();
      if (this.#closed || connection === undefined) throw new NoAnswer("the scanner was closed");
      this.#open.add(connection);
      timer = setTimeout(() => {
        late = true;
        connection?.close();
      }, this.#timeoutMs);
      await connection.write(command);
      return await readAnswer(connection, end);
    } catch (error) {
      if (error instanceof NoAnswer || lacksDescriptors(error)) throw error;
      const failure = late ? new SystemError("read", ERRNO.ETIMEDOUT) : error;
      throw new NoAnswer(inWords(failure, this.#address));
    } finally {
      clearTimeout(timer);
      if (connection !== undefined) this.#open.delete(connection);
      connection?.close();
    }
  }
}

async function readAnswer(connection: Connection, end: RegExp): Promise<ByteString> {
  const buffer = new Uint8Array(4096);
  let text = "";
  for (;;) {
    const length = await connection.read(buffer);
    // Without its end it may be a part of another answer.
    if (length === 0) throw new SystemError("recv", ERRNO.ECONNRESET);
    text += fromBytes(buffer, 0, length);
    const at = text.search(end);
    if (at >= 0) return text.slice(0, at) as ByteString;
    if (text.length > REPLY_MAX) throw new NoAnswer("clamd's answer has no end");
  }
}
