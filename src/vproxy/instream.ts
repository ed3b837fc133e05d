/**
 * The framing of INSTREAM (clamd(8)): chunks of a 4-byte big-endian length and as many bytes, ended by a
 * length of zero. Pure: bytes of a guest in, bytes for clamd out.
 */

import type { Command } from "./command_filter.ts";

export interface StreamLimits {
  /** Bytes of one chunk. */
  readonly maxChunkSize: number;
  /** Bytes of all chunks together, lengths not counted. */
  readonly maxStreamSize: number;
}

const HEADER = 4;
/** Chunks read without a pause: a guest may send one for each byte, and others wait as long (I7). */
const CHUNKS_A_TURN = 100;

/** A limit that the stream would exceed. */
export type Excess = "chunk too large" | "stream too large";

export type Progress =
  /** All that came is read: more is to be received. */
  | "more"
  /** It is to be read on, after a pause. */
  | "unfinished"
  | "ended"
  | Excess;

/**
 * One stream on its way, in one buffer. The content of a guest's chunks is moved together, and goes on in chunks of
 * our own, each with all the content that there is: clamd works for each chunk, however small, and meanwhile for
 * nobody else (I7). So clamd is never told a length of a guest's, nor is anything behind the end mark passed on.
 */
export class GatheredStream {
  readonly #buffer: Uint8Array<ArrayBuffer>;
  readonly #limits: StreamLimits;
  /** The buffer: the command until it is taken, a header of ours, content up to `#end`, and what is not read yet. */
  #header: number;
  #end: number;
  #unread: number;
  #filled: number;
  /** Bytes that the guest's current chunk still has to bring. */
  #chunkLeft = 0;
  #size = 0;

  /** `command` stands at the start of `buffer`, of which `filled` bytes are there already. */
  constructor(
    command: Command,
    buffer: Uint8Array<ArrayBuffer>,
    filled: number,
    limits: StreamLimits,
  ) {
    this.#buffer = buffer;
    this.#limits = limits;
    this.#header = this.#unread = command.bytes.length;
    this.#end = this.#header + HEADER;
    this.#filled = filled;
  }

  /** Bytes of content that were announced so far. */
  get size(): number {
    return this.#size;
  }

  /** Bytes that `take` would give. */
  get gathered(): number {
    return this.#end === this.#header + HEADER ? this.#header : this.#end;
  }

  /** Where the next bytes are to be received. To be asked for when there was "more" to come. */
  get room(): Uint8Array<ArrayBuffer> {
    // At most 3 bytes of a length that is not complete.
    this.#buffer.copyWithin(this.#end, this.#unread, this.#filled);
    this.#filled += this.#end - this.#unread;
    this.#unread = this.#end;
    return this.#buffer.subarray(this.#filled);
  }

  /** `count` bytes came into the room. */
  received(count: number): void {
    this.#filled += count;
  }

  /** Reads on. */
  advance(): Progress {
    for (let chunks = 0; chunks < CHUNKS_A_TURN; chunks++) {
      this.#gather();
      if (this.#chunkLeft > 0 || this.#unread + HEADER > this.#filled) return "more";
      const length = readLength(this.#buffer, this.#unread);
      if (length > this.#limits.maxChunkSize) return "chunk too large";
      if (this.#size + length > this.#limits.maxStreamSize) return "stream too large";
      this.#unread += HEADER;
      if (length === 0) return "ended";
      this.#chunkLeft = length;
      this.#size += length;
    }
    return "unfinished";
  }

  #gather(): void {
    const count = Math.min(this.#chunkLeft, this.#filled - this.#unread);
    if (count === 0) return;
    if (this.#unread !== this.#end) {
      this.#buffer.copyWithin(this.#end, this.#unread, this.#unread + count);
    }
    this.#end += count;
    this.#unread += count;
    this.#chunkLeft -= count;
  }

  /** What was gathered, as clamd is to get it. It stands in the buffer: to be sent before it is read on. */
  take(): Uint8Array<ArrayBuffer> {
    const { gathered } = this;
    if (gathered > this.#header) {
      writeLength(this.#buffer, this.#header, gathered - this.#header - HEADER);
    }
    this.#header = 0;
    this.#end = HEADER;
    return this.#buffer.subarray(0, gathered);
  }

  /** The same with the end mark behind it, once it has "ended": the guest's own has made room for it. */
  takeLast(): Uint8Array<ArrayBuffer> {
    const { length } = this.take();
    return this.#buffer.fill(0, length, length + HEADER).subarray(0, length + HEADER);
  }
}

function readLength(bytes: Uint8Array, at: number): number {
  let length = 0;
  for (let i = 0; i < HEADER; i++) length = length * 256 + (bytes[at + i] ?? 0);
  return length;
}

/** Of less than 2 GiB. */
function writeLength(bytes: Uint8Array, at: number, length: number): void {
  for (let i = 0; i < HEADER; i++) bytes[at + i] = length >> 8 * (HEADER - 1 - i);
}
