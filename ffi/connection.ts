/** A stream socket on the reactor: reads and writes that wait, with limits of time. */

import type { Descriptor } from "./descriptor.ts";
import { ERRNO, SystemError } from "./errno.ts";
import { EPOLL, type Reactor } from "./reactor.ts";
import {
  type Accepted,
  acceptFrom,
  type Address,
  listenOn,
  showAddress,
  startConnecting,
  StreamSocket,
} from "./socket.ts";

const EPOLL_ONESHOT = 1 << 30;
/** No event is wanted, and those that come unasked were silenced. */
const MUTED = -1;

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

export class Connection implements Disposable {
  readonly #reactor: Reactor;
  readonly #socket: StreamSocket;
  #interest = 0;
  #reader: Waiter | undefined;
  #writer: Waiter | undefined;

  constructor(reactor: Reactor, socket: StreamSocket) {
    this.#reactor = reactor;
    this.#socket = socket;
    reactor.add(socket, 0, (events) => this.#onReady(events));
  }

  /** Connects, or throws ECONNREFUSED, ENOENT, ETIMEDOUT … with the address. */
  static async connect(
    reactor: Reactor,
    address: Address,
    timeoutMs: number,
  ): Promise<Connection> {
    const connection = new Connection(reactor, startConnecting(address));
    try {
      if (address.family === "vsock") await connection.#wait("write", timeoutMs);
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

  /** Bytes read into `buffer`; 0 when the peer has ended. ETIMEDOUT after `timeoutMs` without a byte. */
  async read(buffer: Uint8Array<ArrayBuffer>, timeoutMs?: number): Promise<number> {
    for (;;) {
      const count = this.#socket.receive(buffer);
      if (count !== "again") return count;
      await this.#wait("read", timeoutMs);
    }
  }

  /** Writes everything. ETIMEDOUT when the peer takes nothing for `timeoutMs`. */
  async write(data: Uint8Array<ArrayBuffer>, timeoutMs?: number): Promise<void> {
    for (let rest = data; rest.length > 0;) {
      const count = this.#socket.send(rest);
      if (count === "again") await this.#wait("write", timeoutMs);
      else rest = rest.subarray(count);
    }
  }

  /** Writes everything, a descriptor with its first byte (Unix sockets only). */
  async writeWithDescriptor(
    data: Uint8Array<ArrayBuffer>,
    file: Descriptor,
    timeoutMs?: number,
  ): Promise<void> {
    for (;;) {
      const count = this.#socket.sendWithDescriptor(data, file);
      if (count !== "again") return await this.write(data.subarray(count), timeoutMs);
      await this.#wait("write", timeoutMs);
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

  shutdownWrite(): void {
    if (this.isOpen) this.#socket.shutdownWrite();
  }

  /** Closes; whoever waits gets ECONNABORTED. */
  close(): void {
    if (!this.#socket.isOpen) return;
    this.#reactor.remove(this.#socket);
    this.#socket.close();
    const error = new SystemError("connection closed", ERRNO.ECONNABORTED);
    this.#reader?.reject(error);
    this.#writer?.reject(error);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #wait(what: "read" | "write", timeoutMs: number | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (!this.isOpen) {
      reject(new SystemError("connection closed", ERRNO.ECONNABORTED));
      return promise;
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settle = () => {
      clearTimeout(timer);
      if (what === "read") this.#reader = undefined;
      else this.#writer = undefined;
      this.#updateInterest();
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
    this.#updateInterest();
    return promise;
  }

  #updateInterest(): void {
    if (!this.isOpen) return;
    const interest = (this.#reader ? EPOLL.IN | EPOLL.RDHUP : 0) | (this.#writer ? EPOLL.OUT : 0);
    if (interest === this.#interest) return;
    this.#interest = interest;
    this.#reactor.modify(this.#socket, interest);
  }

  #onReady(events: number): void {
    const failed = (events & (EPOLL.ERR | EPOLL.HUP)) !== 0;
    const reader = this.#reader;
    const writer = this.#writer;
    if (!reader && !writer) {
      // epoll tells errors whether asked or not, again and again: once more, then not until asked.
      if (this.#interest !== MUTED) this.#reactor.modify(this.#socket, EPOLL_ONESHOT);
      this.#interest = MUTED;
      return;
    }
    if (failed || events & (EPOLL.IN | EPOLL.RDHUP)) reader?.resolve();
    if (failed || events & EPOLL.OUT) writer?.resolve();
  }
}

/** Accepts connections as they come, until it is closed. */
export class Listener implements Disposable {
  readonly #reactor: Reactor;
  readonly #socket: StreamSocket;
  #pause: ReturnType<typeof setTimeout> | undefined;

  /** Listens on `address` and calls `onConnection` for each peer. */
  constructor(
    reactor: Reactor,
    address: Address,
    onConnection: (connection: Connection, cid: number | undefined) => void,
  ) {
    this.#reactor = reactor;
    this.#socket = listenOn(address);
    reactor.add(this.#socket, EPOLL.IN, () => {
      for (let accepted = this.#accept(); accepted; accepted = this.#accept()) {
        onConnection(new Connection(reactor, accepted.socket), accepted.cid);
      }
    });
  }

  #accept(): Accepted | undefined {
    if (!this.#socket.isOpen) return undefined;
    try {
      return acceptFrom(this.#socket);
    } catch {
      // Out of descriptors: the connection goes on waiting; asking again at once would spin.
      this.#reactor.modify(this.#socket, 0);
      this.#pause = setTimeout(() => this.#reactor.modify(this.#socket, EPOLL.IN), 200);
      return undefined;
    }
  }

  close(): void {
    if (!this.#socket.isOpen) return;
    clearTimeout(this.#pause);
    this.#reactor.remove(this.#socket);
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
