/** The service manager's side of sd_notify(3): a datagram socket that the daemon tells how it is. */

import { fromText, toBytes } from "../../ffi/byte_string.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { check } from "../../ffi/errno.ts";
import { libc } from "../../ffi/libc.ts";
import { sleep } from "./wait.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;

export class ServiceManager implements Disposable {
  readonly #socket: Descriptor;
  readonly #buffer = new Uint8Array(64 * 1024);
  readonly #assignments: string[] = [];

  /** `isBusy`: reads nothing until it is asked what was said. */
  constructor(readonly path: string, { isBusy = false } = {}) {
    this.#socket = new Descriptor(
      check(libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"),
    );
    const address = new Uint8Array(110); // struct sockaddr_un
    address[0] = AF_UNIX;
    address.set(toBytes(fromText(path)), 2);
    check(libc.bind(this.#socket.fd, address, address.length), "bind", fromText(path));
    if (!isBusy) this.#listen();
  }

  /** The kernel queues ten datagrams for a reader that is slow; a service manager is not. */
  async #listen(): Promise<void> {
    while (this.#socket.isOpen) {
      this.said();
      await sleep(10);
    }
  }

  /** Everything that was said so far: `READY=1`, `STATUS=…`. */
  said(): readonly string[] {
    if (this.#socket.isOpen) this.#receive();
    return this.#assignments;
  }

  #receive(): void {
    for (;;) {
      const size = BigInt(this.#buffer.length);
      const length = libc.recv(this.#socket.fd, this.#buffer, size, MSG_DONTWAIT);
      if (length <= 0) return;
      const text = new TextDecoder().decode(this.#buffer.subarray(0, length));
      this.#assignments.push(...text.split("\n").filter((line) => line !== ""));
    }
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
