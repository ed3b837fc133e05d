/**
 * The framing of INSTREAM (clamd(8)): chunks of a 4-byte big-endian length and as many bytes, ended by a
 * length of zero. Pure: tells how much of what a guest sent may go on to clamd.
 */

export interface StreamLimits {
  /** Bytes of one chunk. */
  readonly maxChunkSize: number;
  /** Bytes of all chunks together, lengths not counted. */
  readonly maxStreamSize: number;
}

const HEADER = 4;

/** A limit that the stream would exceed. */
export type Excess = "chunk too large" | "stream too large";

export interface Progress {
  /** How many of the given bytes are part of a valid stream. The rest is to be given again, with more behind it. */
  readonly valid: number;
  readonly state: "more" | "ended" | Excess;
}

export class StreamParser {
  readonly #limits: StreamLimits;
  /** Bytes that the current chunk still has to bring. */
  #chunkLeft = 0;
  #size = 0;

  constructor(limits: StreamLimits) {
    this.#limits = limits;
  }

  /** Bytes of content that were announced so far. */
  get size(): number {
    return this.#size;
  }

  /**
   * Reads on. A length is only passed on when it is complete and within the limits, so clamd never sees a part
   * of one, and nothing behind the end mark is ever valid.
   */
  advance(untrustedBytes: Uint8Array): Progress {
    let at = 0;
    for (;;) {
      const step = Math.min(this.#chunkLeft, untrustedBytes.length - at);
      at += step;
      this.#chunkLeft -= step;
      if (this.#chunkLeft > 0 || at + HEADER > untrustedBytes.length) {
        return { valid: at, state: "more" };
      }
      const length = readLength(untrustedBytes, at);
      if (length === 0) return { valid: at + HEADER, state: "ended" };
      if (length > this.#limits.maxChunkSize) return { valid: at, state: "chunk too large" };
      if (this.#size + length > this.#limits.maxStreamSize) {
        return { valid: at, state: "stream too large" };
      }
      at += HEADER;
      this.#chunkLeft = length;
      this.#size += length;
    }
  }
}

function readLength(bytes: Uint8Array, at: number): number {
  const byte = (offset: number) => bytes[at + offset] ?? 0;
  return byte(0) * 2 ** 24 + byte(1) * 2 ** 16 + byte(2) * 2 ** 8 + byte(3);
}
