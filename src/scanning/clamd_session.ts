/** One connection to clamd in an IDSESSION, with at most one scan by FILDES on its way. */

import type { Descriptor } from "../../ffi/descriptor.ts";
import { ERRNO, SystemError } from "../../ffi/errno.ts";
import { EPOLL, type Reactor } from "../../ffi/reactor.ts";
import { startConnecting, type StreamSocket } from "../../ffi/socket.ts";
import {
  COMMAND,
  ReplyReader,
  ReplyTooLong,
  splitNumber,
  TIMED_OUT,
  verdictOf,
} from "./clamd_protocol.ts";
import type { Verdict } from "./scanner.ts";
import { SizeLimit } from "./size_limit.ts";
import { inWords } from "./trouble.ts";

export type Answer =
  | Verdict
  /** The connection ended. `silent`: without a byte of an answer, so that another one may do better. */
  | { readonly kind: "lost"; readonly silent: boolean; readonly reason: string };

export interface ClamdSessionParts {
  /** What is known of who listens: that process, or the one that has opened the socket for it. */
  sizesOf(process: number): SizeLimit;
  /** Called once. `byClamd`: it has closed the connection, or answered what makes no sense. */
  onEnd(byClamd: boolean): void;
}

/** All sessions read into it, one after the other, and keep nothing in it. */
const buffer = new Uint8Array(4096);

export class ClamdSession {
  readonly #reactor: Reactor;
  readonly #path: string;
  readonly #socket: StreamSocket;
  readonly #onEnd: (byClamd: boolean) => void;
  readonly #reader = new ReplyReader();
  #settle: ((answer: Answer) => void) | undefined;
  #commands = 0;
  #heard = false;

  /** In ms of `performance.now()`. */
  readonly openedAt = performance.now();
  /** What is known of the process at the other end. */
  readonly sizes: SizeLimit;
  /** When the last scan began, in ms of `performance.now()`. */
  startedAt = 0;

  /** Connects to the Unix socket at `path`; throws SystemError if that cannot be done at once. */
  constructor(reactor: Reactor, path: string, { sizesOf, onEnd }: ClamdSessionParts) {
    this.#reactor = reactor;
    this.#path = path;
    this.#onEnd = onEnd;
    using owned = new DisposableStack();
    this.#socket = owned.use(startConnecting({ family: "unix", path }));
    this.sizes = sizesOf(this.#socket.peerProcess());
    owned.move();
    reactor.add(this.#socket, EPOLL.IN, () => this.#onReady());
  }

  get isOpen(): boolean {
    return this.#socket.isOpen;
  }

  /** Whether no scan was made on it yet. */
  get isFresh(): boolean {
    return this.#commands === 0;
  }

  /** One at a time. Never rejects. */
  scan(file: Descriptor): Promise<Answer> {
    const command = this.isFresh ? COMMAND.SESSION_AND_FILDES : COMMAND.FILDES;
    this.#commands++;
    this.#heard = false;
    this.startedAt = performance.now();
    return new Promise((resolve) => {
      this.#settle = resolve;
      try {
        const sent = this.#socket.sendWithDescriptor(command, file);
        // So few bytes are taken in one piece, or the queue is full and clamd does not read.
        if (sent !== command.length) throw new SystemError("sendmsg", ERRNO.EAGAIN);
      } catch (error) {
        this.#lose(error);
      }
    });
  }

  /** A scan that is on its way ends as an error. */
  close(): void {
    this.#end({ kind: "error", reason: "the connection to clamd was closed" }, false);
  }

  #onReady(): void {
    try {
      const length = this.#socket.receive(buffer);
      if (length === "again") return;
      if (length === 0) throw new SystemError("recv", ERRNO.ECONNRESET);
      this.#heard = true;
      for (const reply of this.#reader.push(buffer, length)) this.#take(reply);
    } catch (error) {
      this.#lose(error);
    }
  }

  #take(reply: Parameters<typeof splitNumber>[0]): void {
    const { id, body } = splitNumber(reply);
    // clamd may tell of a second signature in a file that has its verdict already.
    if (id > 0 && id < this.#commands) return;
    const settle = this.#settle;
    if (id === this.#commands && settle !== undefined) {
      this.#settle = undefined;
      settle(verdictOf(body));
    } else {
      this.#complain(body);
    }
  }

  /** Without the right number it is no verdict, and what comes next is in doubt. */
  #complain(body: Parameters<typeof verdictOf>[0]): void {
    if (TIMED_OUT.test(body)) {
      this.#heard = false; // it was not about the scan: clamd ends connections that were idle
      return this.#lose(new SystemError("recv", ERRNO.ECONNRESET));
    }
    const meaning = verdictOf(body);
    const reason = meaning.kind === "error" ? meaning.reason : "clamd's answer has a wrong number";
    this.#end({ kind: "error", reason });
  }

  #lose(error: unknown): void {
    if (error instanceof ReplyTooLong) {
      return this.#end({ kind: "error", reason: "clamd's answer has no end" });
    }
    const reason = inWords(error, { family: "unix", path: this.#path });
    this.#end({ kind: "lost", silent: !this.#heard, reason });
  }

  #end(answer: Answer, byClamd = true): void {
    if (this.#socket.isOpen) {
      this.#reactor.remove(this.#socket);
      this.#socket.close();
      this.#onEnd(byClamd);
    }
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(answer);
  }
}
