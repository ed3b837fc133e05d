/** Scans over a stream (INSTREAM, clamd(8)): the content travels, in chunks, from the kernel's cache to the socket. */

import type { ByteString } from "../../ffi/byte_string.ts";
import type { Connection } from "../../ffi/connection.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { ERRNO, isErrno, SystemError } from "../../ffi/errno.ts";
import { sendFile } from "../../ffi/send_file.ts";
import type { Address } from "../../ffi/socket.ts";
import {
  COMMAND,
  ReplyReader,
  ReplyTooLong,
  splitNumber,
  TOO_MANY_CONNECTIONS,
  verdictOf,
} from "./clamd_protocol.ts";
import type { Verdict } from "./scanner.ts";
import { inWords } from "./trouble.ts";

/** Below every limit of a chunk that is in use, and large enough that headers cost nothing. */
const CHUNK_MAX = 4 * 1024 * 1024;
/** The end of a stream: a chunk of no bytes. */
const END = new Uint8Array(4);

export interface StreamOptions {
  /** Where the connection leads, for messages. */
  readonly address: Address;
  /** The longest pause, in ms, in which the other side takes nothing. */
  readonly stallTimeoutMs: number;
  /** How long, in ms, the verdict may take after the last byte was taken. As long as the connection is open if not given. */
  readonly verdictTimeoutMs?: number;
}

const TOO_EARLY: Verdict = { kind: "error", reason: "clamd said OK before it had the whole file" };

export type StreamAnswer =
  | Verdict
  /** clamd-vproxy serves as many streams as it may. */
  | { readonly kind: "busy" }
  /** No answer came: the scanner may be gone, or the connection only. */
  | { readonly kind: "lost"; readonly reason: string };

/**
 * Sends `size` bytes of `file` over a connection on which nothing was sent yet, and waits for the verdict. Never
 * rejects. The connection is of no further use.
 */
export async function scanStream(
  connection: Connection,
  file: Descriptor,
  size: number,
  options: StreamOptions,
): Promise<StreamAnswer> {
  const reply = new Reply(connection);
  let isWhole = false;
  try {
    const end = await sendContent(connection, file, size, reply, options.stallTimeoutMs);
    if (end === "shorter") {
      return { kind: "error", reason: "the file became shorter while it was read" };
    }
    isWhole = end === "sent";
  } catch (error) {
    // Whoever refuses a stream says why and closes: then the reason is in the reply.
    if (!reply.hasCome && !isErrno(error, "EPIPE", "ECONNRESET", "ENOTCONN")) {
      return { kind: "lost", reason: inWords(error, options.address) };
    }
  }
  const { verdictTimeoutMs } = options;
  const timer = verdictTimeoutMs === undefined
    ? undefined
    : setTimeout(() => reply.giveUp(), verdictTimeoutMs);
  try {
    const { body } = splitNumber(await reply.text);
    if (body === TOO_MANY_CONNECTIONS) return { kind: "busy" };
    const verdict = verdictOf(body);
    return verdict.kind === "clean" && !isWhole ? TOO_EARLY : verdict;
  } catch (error) {
    if (error instanceof ReplyTooLong) {
      return { kind: "error", reason: "clamd's answer has no end" };
    }
    return { kind: "lost", reason: inWords(error, options.address) };
  } finally {
    clearTimeout(timer);
  }
}

async function sendContent(
  connection: Connection,
  file: Descriptor,
  size: number,
  reply: Reply,
  stallTimeoutMs: number,
): Promise<"sent" | "answered" | "shorter"> {
  await connection.write(COMMAND.INSTREAM, stallTimeoutMs);
  for (let offset = 0; offset < size;) {
    const end = Math.min(size, offset + CHUNK_MAX);
    await connection.write(header(end - offset), stallTimeoutMs);
    while (offset < end) {
      const sent = await sendFile(connection.socket, file, offset, end - offset);
      // A verdict before the end is a refusal; the rest is not wanted.
      if (reply.hasCome) return "answered";
      if (sent === 0) return "shorter";
      if (sent === "again") await connection.writable(stallTimeoutMs);
      else offset += sent;
    }
  }
  await connection.write(END, stallTimeoutMs);
  return "sent";
}

function header(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, length);
  return bytes;
}

/** Reads the one reply while the stream is still being sent. */
class Reply {
  readonly text: Promise<ByteString>;
  readonly #connection: Connection;
  #late = false;
  hasCome = false;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.text = this.#read();
    this.text.catch(() => {}); // told to whoever awaits it; nobody may
  }

  giveUp(): void {
    this.#late = true;
    this.#connection.close();
  }

  async #read(): Promise<ByteString> {
    const reader = new ReplyReader();
    const buffer = new Uint8Array(4096);
    try {
      for (;;) {
        const length = await this.#connection.read(buffer);
        // A reply without its end may be a part of another one.
        if (length === 0) throw new SystemError("recv", ERRNO.ECONNRESET);
        const [reply] = reader.push(buffer, length);
        if (reply !== undefined) return reply;
      }
    } catch (error) {
      throw this.#late ? new SystemError("recv", ERRNO.ETIMEDOUT) : error;
    } finally {
      this.hasCome = true;
      if (this.#connection.isOpen) this.#connection.wake();
    }
  }
}
