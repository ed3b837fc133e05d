/**
 * clamd's line protocol (clamd(8)), without any I/O: commands, replies read from pieces, and what they mean.
 * What clamd says is not trusted: garbage becomes an error, never a verdict.
 */

import { type ByteString, display, fromBytes, fromText, toBytes } from "../../ffi/byte_string.ts";
import type { Verdict } from "./scanner.ts";

/** A longer reply is none of clamd's. */
export const REPLY_MAX = 64 * 1024;

const SHOWN_MAX = 200;
const NUL = 0;
const NEWLINE = 10;

/** Commands in their `z` form: NUL ends them, and the reply. */
export const COMMAND = {
  PING: toBytes(fromText("zPING\0")),
  VERSION: toBytes(fromText("zVERSION\0")),
  STATS: toBytes(fromText("zSTATS\0")),
  INSTREAM: toBytes(fromText("zINSTREAM\0")),
  /** The last byte is the one that clamd wants to come with the descriptor, behind the command. */
  FILDES: toBytes(fromText("zFILDES\0\0")),
  /** The same as a session's first command: replies are numbered from 1 on. */
  SESSION_AND_FILDES: toBytes(fromText("zIDSESSION\0zFILDES\0\0")),
} as const;

/** What clamd says when it ends a connection on which nothing was asked for some time. */
export const TIMED_OUT = /^COMMAND READ TIMED OUT$/;

/** What clamd-vproxy says when it serves as many connections as it may. */
export const TOO_MANY_CONNECTIONS = "ERROR: Too many connections";

/** clamd answers with more than this before a reply's end. */
export class ReplyTooLong extends Error {
  override readonly name = "ReplyTooLong";
}

/**
 * Collects bytes as they come and cuts them into replies. Both ends are taken, NUL and newline: clamd ends
 * its complaints with a newline whatever the command's form was. A reply without its end is no reply.
 */
export class ReplyReader {
  #partial = "";

  /** The replies that `bytes` complete, without their ends; empty ones are left out. Throws ReplyTooLong. */
  push(bytes: Uint8Array, length = bytes.length): ByteString[] {
    const replies: ByteString[] = [];
    let start = 0;
    for (let at = 0; at < length; at++) {
      const byte = bytes[at];
      if (byte !== NUL && byte !== NEWLINE) continue;
      const reply = this.#complete(fromBytes(bytes, start, at));
      if (reply !== "") replies.push(reply);
      start = at + 1;
    }
    if (start < length) {
      this.#partial += fromBytes(bytes, start, length);
      if (this.#partial.length > REPLY_MAX) throw new ReplyTooLong("a reply without end");
    }
    return replies;
  }

  #complete(rest: ByteString): ByteString {
    if (this.#partial.length + rest.length > REPLY_MAX) throw new ReplyTooLong("a reply too long");
    const reply = (this.#partial + rest) as ByteString;
    this.#partial = "";
    return reply;
  }
}

export interface Numbered {
  /** Which of the session's commands it answers, from 1 on; 0 outside a session and in clamd's complaints. */
  readonly id: number;
  readonly body: ByteString;
}

/** Splits the number off a session's reply (`12: fd[11]: OK`). */
export function splitNumber(reply: ByteString): Numbered {
  const [, digits, body] = /^([1-9]\d{0,9}): ([^]*)$/.exec(reply) ?? [];
  if (digits === undefined || body === undefined) return { id: 0, body: reply };
  return { id: Number(digits), body: body as ByteString };
}

/** What the answer to a scan, without its number, says: `fd[11]: OK`, `stream: Eicar FOUND`, `… ERROR`. */
export function verdictOf(body: ByteString): Verdict {
  // One file, one label, and its name is clamd's own: `fd[N]` or `stream`.
  const [, label, result] = /^((?:fd\[\d{1,10}\]|stream): )?([^]*)$/.exec(body) ?? [];
  if (label === undefined || result === undefined) return complaint(body);
  if (result === "OK") return { kind: "clean" };
  if (!result.endsWith(" FOUND")) return complaint(result as ByteString);
  const signature = result.slice(0, -" FOUND".length).trim();
  if (signature === "") return { kind: "error", reason: "clamd found something without a name" };
  const limit = /^Heuristics\.Limits\.Exceeded(?:\.(\w{1,40}))?/.exec(signature);
  if (limit) {
    const option = limit[1] ?? "of some kind";
    const reason = `it exceeds clamd's limit ${option}; raise that in clamd's configuration`;
    return { kind: "unscannable", reason };
  }
  return { kind: "infected", signature: shorten(signature as ByteString) };
}

/** A reply that is neither OK nor FOUND. */
function complaint(text: ByteString): Verdict {
  if (/^INSTREAM size limit exceeded/.test(text)) {
    const reason =
      "it is larger than a stream may be: raise StreamMaxLength in clamd's configuration" +
      " (and --max-stream-size of clamd-vproxy, where that is in between)";
    return { kind: "unscannable", reason };
  }
  if (TIMED_OUT.test(text) || /^(ERROR: |UNKNOWN COMMAND$)|\bERROR$/.test(text)) {
    const said = text.replace(/^ERROR: |[. ]*ERROR$/g, "") as ByteString;
    return { kind: "error", reason: `clamd says: ${shorten(said)}` };
  }
  return { kind: "error", reason: `clamd's answer makes no sense: ${shorten(text)}` };
}

/** The most scans that run at once (`MaxThreads`) as STATS tells it; undefined where it does not. */
export function threadsOf(stats: string): number | undefined {
  const [, most] = /^THREADS: live \d+ +idle \d+ max ([1-9]\d{0,4})\b/m.exec(stats) ?? [];
  return most === undefined ? undefined : Number(most);
}

/** The answer to VERSION as one harmless line; undefined if clamd did not send it. */
export function versionOf(reply: ByteString): string | undefined {
  return reply.startsWith("ClamAV ") ? shorten(reply) : undefined;
}

function shorten(text: ByteString): string {
  const short = display(text.slice(0, SHOWN_MAX) as ByteString);
  return text.length > SHOWN_MAX ? `${short}…` : short;
}
