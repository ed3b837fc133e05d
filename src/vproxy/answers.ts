/** What a guest is told where clamd itself is not heard. Never silence, never half a verdict. */

import type { Command } from "./command_filter.ts";
import type { Excess } from "./instream.ts";

export type Answer = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();

function error(text: string): Answer {
  return encoder.encode(`ERROR: ${text}\n`);
}

export const ANSWERS = {
  notAllowed: error("Command not allowed"),
  tooManyConnections: error("Too many connections"),
  commandTimeout: error("Command timed out"),
  readTimeout: error("Stream timed out: no data came for too long"),
  streamTimeout: error("Stream timed out: it took too long as a whole"),
  streamCutOff: error("Stream ended before its end mark"),
  clamdUnavailable: error("Scanner not available"),
  clamdSilent: error("Scanner did not answer in time"),
  clamdCutOff: error("Scanner ended without a whole answer"),
  stopping: error("Proxy is stopping"),
  clamdTooEarly: error("Scanner answered before it had the whole stream"),
} as const;

const EXCESS_TEXT: Readonly<Record<Excess, string>> = {
  "stream too large": "INSTREAM size limit exceeded. ERROR",
  "chunk too large": "INSTREAM chunk size limit exceeded. ERROR",
};

/** In clamd's own words, and ended as the form of `command` asks for, so that any client of clamd understands it. */
export function excessAnswer(excess: Excess, command: Command): Answer {
  const text = encoder.encode(EXCESS_TEXT[excess]);
  const answer = new Uint8Array(text.length + 1);
  answer.set(text);
  answer.set(command.bytes.subarray(-1), text.length);
  return answer;
}

/** A request that ends with an answer of our own. */
export class Refusal extends Error {
  override readonly name = "Refusal";

  /** `message` is for the log; `answer` is for the guest. */
  constructor(readonly answer: Answer, message: string) {
    super(message);
  }
}
