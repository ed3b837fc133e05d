/** The ends of stream connections, as rough as a test wants them: guests, and a clamd of which every byte counts. */

import { scratchDirectory } from "./scratch.ts";
import { sleep } from "./wait.ts";

/** A text of which every character is one byte. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function text(some: Uint8Array): string {
  let shown = "";
  for (const byte of some) shown += String.fromCharCode(byte);
  return shown;
}

/** An INSTREAM request: `zINSTREAM\0`, the content in chunks, the end mark. */
export function instream(
  content: Uint8Array,
  chunkSize = 64 * 1024,
  command = "zINSTREAM\0",
): Uint8Array<ArrayBuffer> {
  const chunks = Math.ceil(content.length / chunkSize);
  const request = new Uint8Array(command.length + content.length + 4 * (chunks + 1));
  const view = new DataView(request.buffer);
  request.set(bytes(command));
  let at = command.length;
  for (let from = 0; from < content.length; from += chunkSize) {
    const chunk = content.subarray(from, from + chunkSize);
    view.setUint32(at, chunk.length);
    request.set(chunk, at + 4);
    at += 4 + chunk.length;
  }
  return request;
}

/** The chunks of an INSTREAM request that `instream` might have made, without the end mark. */
export function chunksOf(request: string): readonly string[] {
  const chunks: string[] = [];
  for (let at = "zINSTREAM\0".length; at < request.length - 4;) {
    const header = bytes(request.slice(at, at + 4));
    const length = new DataView(header.buffer).getUint32(0);
    chunks.push(request.slice(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return chunks;
}

/** A program in a guest that talks to the proxy. */
export class Guest implements Disposable {
  readonly #connection: Deno.UnixConn;
  #isOpen = true;

  private constructor(connection: Deno.UnixConn) {
    this.#connection = connection;
  }

  static async connect(path: string): Promise<Guest> {
    return new Guest(await Deno.connect({ transport: "unix", path }));
  }

  /** Sends everything, `pieceSize` bytes at a time. */
  async send(data: string | Uint8Array<ArrayBuffer>, pieceSize = Infinity): Promise<void> {
    const all = typeof data === "string" ? bytes(data) : data;
    for (let at = 0; at < all.length;) {
      const piece = all.subarray(at, Math.min(all.length, at + pieceSize));
      at += await this.#connection.write(piece);
    }
  }

  /** Sends nothing more, still listens. */
  async endSending(): Promise<void> {
    await this.#connection.closeWrite();
  }

  /** Everything until the other end closes (orderly or not). */
  async answer(): Promise<string> {
    let all = "";
    const buffer = new Uint8Array(4096);
    try {
      for (;;) {
        const count = await this.#connection.read(buffer);
        if (count === null) return all;
        all += text(buffer.subarray(0, count));
      }
    } catch {
      return all; // a reset
    } finally {
      this.close();
    }
  }

  close(): void {
    if (this.#isOpen) this.#connection.close();
    this.#isOpen = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Asks and listens until the end. */
export async function ask(
  path: string,
  request: string | Uint8Array<ArrayBuffer>,
  pieceSize = Infinity,
): Promise<string> {
  using guest = await Guest.connect(path);
  // An answer may come while the request is still on its way, and end it.
  guest.send(request, pieceSize).catch(() => {});
  return await guest.answer();
}

/** One connection to a `RawClamd`. */
export class RawConnection {
  received = "";
  isClosed = false;
  readonly #connection: Deno.Conn;

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  /** Receives until `isEnough`, or until the other end closes (`false`). */
  async receive(isEnough: (received: string) => boolean = () => false): Promise<boolean> {
    const buffer = new Uint8Array(64 * 1024);
    while (!isEnough(this.received)) {
      const count = await this.#connection.read(buffer);
      if (count === null) return false;
      this.received += text(buffer.subarray(0, count));
    }
    return true;
  }

  /** Sends piece by piece, with pauses. */
  async reply(...pieces: readonly string[]): Promise<void> {
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) await sleep(10);
      await this.#connection.write(bytes(piece));
    }
  }
}

/** Plays clamd: what it does with a connection is the test's affair; the connection is closed afterwards. */
export class RawClamd implements AsyncDisposable {
  readonly connections: RawConnection[] = [];
  readonly #listener: Deno.UnixListener;
  readonly #serving: Promise<void>[] = [];

  private constructor(
    readonly socket: string,
    readonly serve: (connection: RawConnection) => Promise<void>,
  ) {
    this.#listener = Deno.listen({ transport: "unix", path: socket });
    this.#serving.push(this.#accept());
  }

  static start(serve: (connection: RawConnection) => Promise<void>): RawClamd {
    return new RawClamd(`${scratchDirectory("raw-clamd")}/clamd.ctl`, serve);
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) this.#serving.push(this.#handle(connection));
    } catch {
      // closed
    }
  }

  async #handle(connection: Deno.Conn): Promise<void> {
    const raw = new RawConnection(connection);
    this.connections.push(raw);
    try {
      await this.serve(raw);
    } catch {
      // The proxy went away.
    } finally {
      raw.isClosed = true;
      connection.close();
    }
  }

  /** Everything that ever reached it, connection by connection. */
  get received(): readonly string[] {
    return this.connections.map(({ received }) => received);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await Promise.all(this.#serving);
  }
}

/** Whether a whole INSTREAM was received; its content may be zeros, too. */
export function endsStream(received: string): boolean {
  const command = /^[zn]INSTREAM[\0\n]/.exec(received)?.[0];
  if (command === undefined) return false;
  for (let at = command.length; at + 4 <= received.length;) {
    let length = 0;
    for (const end = at + 4; at < end; at++) length = length * 256 + received.charCodeAt(at);
    if (length === 0) return true;
    at += length;
  }
  return false;
}
