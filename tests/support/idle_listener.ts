/** A Unix socket whose owner does nothing unless the test says so: neither accepts nor reads. */

import { fromText, toBytes } from "../../ffi/byte_string.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { check } from "../../ffi/errno.ts";
import { libc } from "../../ffi/libc.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
/** Connections that the kernel takes for it, and one more. */
const BACKLOG = 4;

export class IdleListener implements Disposable {
  readonly #listener: Descriptor;
  readonly #accepted: Descriptor[] = [];
  readonly #lines: string[] = [];
  readonly #buffer = new Uint8Array(64 * 1024);

  constructor(readonly path: string) {
    const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    this.#listener = new Descriptor(check(libc.socket(AF_UNIX, type, 0), "socket"));
    const address = new Uint8Array(110); // struct sockaddr_un
    address[0] = AF_UNIX;
    address.set(toBytes(fromText(path)), 2);
    check(libc.bind(this.#listener.fd, address, address.length), "bind", fromText(path));
    check(libc.listen(this.#listener.fd, BACKLOG), "listen", fromText(path));
  }

  /** Takes the connections that wait, and reads nothing. */
  accept(): void {
    for (;;) {
      const accepted = libc.accept4(this.#listener.fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (accepted < 0) return;
      this.#accepted.push(new Descriptor(accepted));
    }
  }

  /** Takes and reads everything that waits; all lines so far. */
  read(): readonly string[] {
    this.accept();
    for (const connection of this.#accepted.splice(0)) {
      using _ = connection;
      const size = BigInt(this.#buffer.length);
      const length = libc.recv(connection.fd, this.#buffer, size, 0);
      const text = new TextDecoder().decode(this.#buffer.subarray(0, Math.max(0, length)));
      this.#lines.push(...text.split("\n").filter((line) => line !== ""));
    }
    return this.#lines;
  }

  [Symbol.dispose](): void {
    for (const connection of this.#accepted) connection.close();
    this.#listener.close();
    Deno.removeSync(this.path);
  }
}
