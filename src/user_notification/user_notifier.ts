/**
 * Tells the user over a Unix socket: one line a message, then the connection is closed. A socket that is not there, or
 * that nobody reads, costs nothing: messages wait for a moment, and are forgotten then (I7).
 */

import { type ByteString, displayPath, displayText } from "../../ffi/byte_string.ts";
import { Connection } from "../../ffi/connection.ts";
import { isErrno, messageOf } from "../../ffi/errno.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { oneLine } from "../logging/one_line.ts";

const TIMEOUT_MS = 2000;
/** Messages under way; more than a reader takes are dropped: the log has the first of them, too. */
const MOST_UNDER_WAY = 16;
const MOST_WAITING = 256;

export class UserNotifier {
  readonly #reactor: Reactor;
  readonly #socket: string;
  readonly #onTrouble: (message: string) => void;
  readonly #onNobody: (message: string) => void;
  readonly #waiting: string[] = [];
  #underWay = 0;

  /** `onNobody` hears of each message that nobody listened to, for those who want to know. */
  constructor(
    reactor: Reactor,
    socket: string,
    onTrouble: (message: string) => void,
    onNobody: (message: string) => void = () => {},
  ) {
    this.#reactor = reactor;
    this.#socket = socket;
    this.#onTrouble = onTrouble;
    this.#onNobody = onNobody;
  }

  /** `signature` as a verdict has it: escaped already. */
  malware(path: ByteString, signature: string): void {
    this.#tell(`Malware ${signature} was detected in file: ${displayPath(path)}`);
  }

  /** `error` as a verdict has it: escaped already. */
  scanError(path: ByteString, error: string): void {
    this.#tell(`Scan error for file ${displayPath(path)}: ${error}`);
  }

  #tell(line: string): void {
    if (this.#waiting.length >= MOST_WAITING) {
      this.#onTrouble(`${displayText(this.#socket)} is not read: messages to the user are dropped`);
      return;
    }
    this.#waiting.push(oneLine(line));
    this.#next();
  }

  #next(): void {
    while (this.#underWay < MOST_UNDER_WAY) {
      const line = this.#waiting.shift();
      if (line === undefined) return;
      this.#underWay++;
      this.#send(line).finally(() => {
        this.#underWay--;
        this.#next();
      });
    }
  }

  async #send(line: string): Promise<void> {
    try {
      const address = { family: "unix", path: this.#socket } as const;
      using connection = await Connection.connect(this.#reactor, address, TIMEOUT_MS);
      await connection.write(new TextEncoder().encode(line + "\n"), TIMEOUT_MS);
    } catch (error) {
      const reason = messageOf(error);
      const message = `the user could not be told over ${displayText(this.#socket)}: ${reason}`;
      if (isErrno(error, "ENOENT", "ECONNREFUSED", "EPIPE", "ECONNRESET", "EAGAIN")) {
        this.#onNobody(message);
      } else this.#onTrouble(message);
    }
  }
}
