/** A stream socket on the reactor: reads and writes that wait, with limits of time. */

import { pause } from "./clock.ts";
import { ERRNO, isErrno, SystemError } from "./errno.ts";
import { EPOLL, type Reactor } from "./reactor.ts";
import { acceptFrom, type Address, showAddress, startConnecting, StreamSocket } from "./socket.ts";
import { type Listening, startListening } from "./socket_file.ts";

const EPOLL_ONESHOT = 1 << 30;
/** No event is wanted, and those that come unasked were silenced. */
const MUTED = -1;
/** How often a Unix listener whose queue is full is asked again. */
const BUSY_RETRY_MS = 20;
/** Connections accepted in one turn: the rest wait, so that a flood of them stops nobody else (I7). */
const ACCEPTS_A_TURN = 32;

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

export class Connection implements Disposable {
  readonly #reactor: Reactor;
  readonly #socket: StreamSocket;
  /** Events that are told; `undefined` until somebody waits, as many connections never do. */
  #interest: number | undefined;
  #reader: Waiter | undefined;
  #writer: Waiter | undefined;

  constructor(reactor: Reactor, socket: StreamSocket) {
    this.#reactor = reactor;
    this.#socket = socket;
  }

  /** Connects, or throws ECONNREFUSED, ENOENT, ETIMEDOUT … with the address. */
  static async connect(
    reactor: Reactor,
    address: Address,
    timeoutMs: number,
  ): Promise<Connection> {
    const connection = new Connection(reactor, await startWhenTaken(address, timeoutMs));
    if (address.family === "unix") return connection; // made or refused at once
    try {
      await connection.#wait("write", timeoutMs);
      const number = connection.#socket.connectError();
      if (number !== 0) throw new SystemError("connect", number, showAddress(address));
      return connection;
    } catch (error) {
      connection.close();
      throw error instanceof SystemError && error.subject === undefined
        ? new SystemError("connect", error.errno, showAddress(address))
        : error;
    }
  }

  get isOpen(): boolean {
    return this.#socket.isOpen;
  }

  /** The socket, for system calls that move its data without passing it through here. */
  get socket(): StreamSocket {
    return this.#socket;
  }

  /** ECONNABORTED where it was closed, by another's doing perhaps while its user did something else. */
  get #open(): StreamSocket {
    if (!this.isOpen) throw closed();
    return this.#socket;
  }

  /** Bytes read into `buffer`; 0 when the peer has ended. ETIMEDOUT after `timeoutMs` without a byte. */
  async read(buffer: Uint8Array<ArrayBuffer>, timeoutMs?: number): Promise<number> {
    for (;;) {
      const count = this.#open.receive(buffer);
      if (count !== "again") return count;
      await this.#wait("read", timeoutMs);
    }
  }

  /** Writes everything. ETIMEDOUT when the peer takes nothing for `timeoutMs`. */
  async write(data: Uint8Array<ArrayBuffer>, timeoutMs?: number): Promise<void> {
    for (let rest = data; rest.length > 0;) {
      const count = this.#open.send(rest);
      if (count === "again") await this.#wait("write", timeoutMs);
      else rest = rest.subarray(count);
    }
  }

  /** Settles when the socket can be read (or has ended). One reader at a time. */
  readable(timeoutMs?: number): Promise<void> {
    return this.#wait("read", timeoutMs);
  }

  /** Settles when the socket can be written (or has failed). One writer at a time. */
  writable(timeoutMs?: number): Promise<void> {
    return this.#wait("write", timeoutMs);
  }

  /**
   * Settles whoever waits, as if the socket were ready: to look at something else that has changed. `read` and
   * `write` go on waiting.
   */
  wake(): void {
    this.#reader?.resolve();
    this.#writer?.resolve();
  }

  shutdownWrite(): void {
    if (this.isOpen) this.#socket.shutdownWrite();
  }

  /** Closes; whoever waits, reads or writes gets ECONNABORTED. */
  close(): void {
    if (!this.#socket.isOpen) return;
    this.#reactor.remove(this.#socket);
    this.#socket.close();
    this.#reader?.reject(closed());
    this.#writer?.reject(closed());
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #wait(what: "read" | "write", timeoutMs: number | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (!this.isOpen) {
      reject(closed());
      return promise;
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settle = () => {
      clearTimeout(timer);
      if (what === "read") this.#reader = undefined;
      else this.#writer = undefined;
    };
    const waiter: Waiter = {
      resolve: () => (settle(), resolve()),
      reject: (error) => (settle(), reject(error)),
    };
    if (what === "read") this.#reader = waiter;
    else this.#writer = waiter;
    if (timeoutMs !== undefined) {
      timer = setTimeout(() => waiter.reject(new SystemError(what, ERRNO.ETIMEDOUT)), timeoutMs);
    }
    try {
      this.#widenInterest();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      waiter.reject(error);
    }
    return promise;
  }

  /** The events that somebody waits for. */
  get #wanted(): number {
    return (this.#reader ? EPOLL.IN | EPOLL.RDHUP : 0) | (this.#writer ? EPOLL.OUT : 0);
  }

  /**
   * Asks for what is wanted, and keeps what was: who waited once will wait again, and a system call is saved
   * each time. Interest is only dropped when an event comes that nobody waits for.
   */
  #widenInterest(): void {
    const wanted = this.#wanted;
    if (this.#interest === undefined) {
      this.#reactor.add(this.#socket, wanted, (events) => this.#onReady(events));
      this.#interest = wanted;
      return;
    }
    if (this.#interest !== MUTED && (this.#interest & wanted) === wanted) return;
    this.#interest = this.#interest === MUTED ? wanted : this.#interest | wanted;
    this.#reactor.modify(this.#socket, this.#interest);
  }

  #narrowInterest(): void {
    const wanted = this.#wanted;
    // epoll tells errors whether asked or not, again and again: once more, then not until asked.
    this.#interest = wanted === 0 ? MUTED : wanted;
    this.#reactor.modify(this.#socket, wanted === 0 ? EPOLL_ONESHOT : wanted);
  }

  #onReady(events: number): void {
    const failed = (events & (EPOLL.ERR | EPOLL.HUP)) !== 0;
    const reader = failed || events & (EPOLL.IN | EPOLL.RDHUP) ? this.#reader : undefined;
    const writer = failed || events & EPOLL.OUT ? this.#writer : undefined;
    const unwanted = failed ? !reader && !writer : (events & ~this.#wanted) !== 0;
    if (unwanted && (this.#interest !== MUTED || reader || writer)) this.#narrowInterest();
    reader?.resolve();
    writer?.resolve();
  }
}

function closed(): SystemError {
  return new SystemError("connection closed", ERRNO.ECONNABORTED);
}

/** A Unix listener whose queue is full says EAGAIN at once: it is asked until the time is over. */
async function startWhenTaken(address: Address, timeoutMs: number): Promise<StreamSocket> {
  for (let leftMs = timeoutMs;; leftMs -= BUSY_RETRY_MS) {
    try {
      return startConnecting(address);
    } catch (error) {
      if (!isErrno(error, "EAGAIN")) throw error;
      if (leftMs <= 0) throw new SystemError("connect", ERRNO.ETIMEDOUT, showAddress(address));
      await pause(BUSY_RETRY_MS);
    }
  }
}

/** Accepts connections as they come, until it is closed. */
export class Listener implements Disposable {
  readonly #reactor: Reactor;
  readonly #socket: StreamSocket;
  readonly #listening: Listening;
  #pause: ReturnType<typeof setTimeout> | undefined;

  /**
   * Listens on `address` and calls `onConnection` for each peer. A Unix path: only the owner and group may
   * connect, a file that a crashed process left there is replaced, and ours is removed by `close`.
   * EADDRINUSE if somebody listens there, or the path is something else.
   */
  constructor(
    reactor: Reactor,
    address: Address,
    onConnection: (connection: Connection, cid: number | undefined) => void,
  ) {
    this.#reactor = reactor;
    this.#listening = startListening(address);
    this.#socket = this.#listening.socket;
    try {
      reactor.add(this.#socket, EPOLL.IN, () => {
        for (let i = 0; i < ACCEPTS_A_TURN; i++) {
          const accepted = this.#accept();
          if (accepted === undefined) return;
          onConnection(accepted.connection, accepted.cid);
        }
      });
    } catch (error) {
      this.#listening.close();
      throw error;
    }
  }

  #accept(): { readonly connection: Connection; readonly cid: number | undefined } | undefined {
    if (!this.#socket.isOpen) return undefined;
    try {
      const accepted = acceptFrom(this.#socket);
      if (accepted === undefined) return undefined;
      const { socket, cid } = accepted;
      return { connection: new Connection(this.#reactor, socket), cid };
    } catch {
      // Out of descriptors, or of memory: others go on waiting; asking again at once would spin.
      this.#reactor.modify(this.#socket, 0);
      this.#pause = setTimeout(() => this.#reactor.modify(this.#socket, EPOLL.IN), 200);
      return undefined;
    }
  }

  /** Whether who connects to the address comes here: not, where somebody has removed or replaced a Unix socket's file. */
  isReachable(): boolean {
    return this.#listening.isReachable();
  }

  close(): void {
    if (!this.#socket.isOpen) return;
    clearTimeout(this.#pause);
    this.#reactor.remove(this.#socket);
    this.#listening.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
