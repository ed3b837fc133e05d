/** Writes lines to a stream at once, and never fails: a log that cannot be written stops nobody. */

/** As `Deno.stderr`. */
export interface SyncStream {
  writeSync(bytes: Uint8Array<ArrayBuffer>): number;
}

const encoder = new TextEncoder();
const NOTHING = new Uint8Array();

/**
 * Where the stream takes no more for now (EAGAIN), the rest of the line waits for the next call,
 * and lines are lost, and counted, until it is out: half a line is never followed by another.
 */
export class LineWriter {
  readonly #stream: SyncStream;
  readonly #lossText: (lines: number) => string;
  #unwritten: Uint8Array<ArrayBuffer> = NOTHING;
  #lost = 0;

  /** `lossText` is the line that says how many lines are missing before it. */
  constructor(stream: SyncStream, lossText: (lines: number) => string) {
    this.#stream = stream;
    this.#lossText = lossText;
  }

  write(line: string): void {
    if (!this.#flush()) {
      this.#lost++;
      return;
    }
    const notice = this.#lost === 0 ? "" : `${this.#lossText(this.#lost)}\n`;
    this.#lost = 0;
    this.#unwritten = encoder.encode(`${notice}${line}\n`);
    this.#flush();
  }

  /** Whether everything is written, or never can be. */
  #flush(): boolean {
    try {
      while (this.#unwritten.length > 0) {
        const written = this.#stream.writeSync(this.#unwritten);
        if (written === 0) return false;
        this.#unwritten = this.#unwritten.subarray(written);
      }
    } catch (error) {
      if (error instanceof Deno.errors.WouldBlock) return false;
      if (error instanceof Deno.errors.Interrupted) return this.#flush();
      // The reader is gone (EPIPE), or the descriptor was closed: nobody is left to be told.
      this.#unwritten = NOTHING;
    }
    return true;
  }
}
