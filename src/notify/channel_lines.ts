/** The line protocol of notifications: channel names, one a line. Pure. */

import { type ByteString, fromBytes } from "../../ffi/byte_string.ts";

const NEWLINE = 0x0a;

/** Bytes of a line, without its newline. */
export const LONGEST_LINE = 256;

const EMPTY = "" as ByteString;

export interface Lines {
  /** Without their newlines. */
  readonly lines: readonly ByteString[];
  /** How many lines were found to be too long; they are left out. */
  readonly tooLong: number;
}

/** Cuts what a peer sends into lines, in bounded memory. A last line without its newline is none. */
export class LineReader {
  #partial = EMPTY;
  /** The rest of a line that is too long is skipped. */
  #isSkipping = false;

  /** The lines that `untrustedBytes` complete. */
  push(untrustedBytes: Uint8Array): Lines {
    const lines: ByteString[] = [];
    let tooLong = 0;
    for (let start = 0;;) {
      const newline = untrustedBytes.indexOf(NEWLINE, start);
      const end = newline < 0 ? untrustedBytes.length : newline;
      if (!this.#isSkipping && this.#partial.length + end - start > LONGEST_LINE) {
        this.#isSkipping = true;
        this.#partial = EMPTY;
        tooLong++;
      }
      if (!this.#isSkipping) {
        this.#partial = (this.#partial + fromBytes(untrustedBytes, start, end)) as ByteString;
      }
      if (newline < 0) return { lines, tooLong };
      if (!this.#isSkipping) lines.push(this.#partial);
      this.#partial = EMPTY;
      this.#isSkipping = false;
      start = newline + 1;
    }
  }
}
