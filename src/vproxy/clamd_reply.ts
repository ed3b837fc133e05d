/** clamd's one reply to the one command of a connection, awaited from the start: it may come before its time. */

import { display, fromBytes } from "../../ffi/byte_string.ts";
import type { Connection } from "../../ffi/connection.ts";
import { messageOf } from "../../ffi/errno.ts";
import { ANSWERS, Refusal } from "./answers.ts";

/** A longer reply is none of clamd's. */
const LONGEST_REPLY = 16 * 1024;
const NUL = 0;
const NEWLINE = 10;

export type Reply =
  /** All of it, with the NUL or newline that ends it. */
  | { readonly kind: "whole"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "missing"; readonly refusal: Refusal };

/** Collects a reply from its pieces. Pure. */
export class ReplyCollector {
  #bytes = new Uint8Array(0);

  /** The whole reply once its end has come, nothing behind it; "more" before. */
  push(piece: Uint8Array): Uint8Array<ArrayBuffer> | "more" | "too long" {
    const end = endOf(piece);
    const taken = end < 0 ? piece : piece.subarray(0, end + 1);
    const bytes = new Uint8Array(this.#bytes.length + taken.length);
    bytes.set(this.#bytes);
    bytes.set(taken, this.#bytes.length);
    if (bytes.length > LONGEST_REPLY) return "too long";
    if (end >= 0) return bytes;
    this.#bytes = bytes;
    return "more";
  }

  /** What has come so far without its end, for messages: shortened and escaped. */
  get shown(): string {
    return display(fromBytes(this.#bytes, 0, Math.min(this.#bytes.length, 100)));
  }
}

function endOf(piece: Uint8Array): number {
  const end = piece.indexOf(NUL);
  const newline = piece.indexOf(NEWLINE);
  return end < 0 || newline >= 0 && newline < end ? newline : end;
}

/** Begins to read clamd's reply. Ends at the latest when `clamd` is closed. */
export class PendingReply {
  /** Never rejects. */
  readonly reply: Promise<Reply>;
  #isSettled = false;

  /** `onSettled` is called as soon as the reply is there, or can no longer come. */
  constructor(clamd: Connection, onSettled: () => void) {
    this.reply = readReply(clamd).then((reply) => {
      this.#isSettled = true;
      onSettled();
      return reply;
    });
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }
}

/** Filled and read in one go, so one for all connections is enough. */
const scratch = new Uint8Array(LONGEST_REPLY);

async function readReply(clamd: Connection): Promise<Reply> {
  const collector = new ReplyCollector();
  try {
    for (;;) {
      await clamd.readable(); // asking before would be in vain: nothing was sent to it yet
      const count = clamd.socket.receive(scratch);
      if (count === "again") continue;
      if (count === 0) return missing("ended the connection", collector);
      const result = collector.push(scratch.subarray(0, count));
      if (result === "too long") return missing("gave an answer without end", collector);
      if (result !== "more") return { kind: "whole", bytes: result };
    }
  } catch (error) {
    const reason = messageOf(error);
    return missing(`failed (${reason})`, collector);
  }
}

function missing(what: string, collector: ReplyCollector): Reply {
  const partial = collector.shown === ""
    ? ""
    : ` in the middle of its answer ("${collector.shown}")`;
  return { kind: "missing", refusal: new Refusal(ANSWERS.clamdCutOff, `clamd ${what}${partial}`) };
}
