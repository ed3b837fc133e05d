/**
 * Which requests a guest may make: six byte strings, and nothing else (clamd(8), COMMANDS).
 * Pure: bytes in, a decision out as soon as there is one.
 */

export type CommandName = "INSTREAM" | "PING" | "VERSION";

/** One of the six forms. Only these constants are ever sent to clamd, never a guest's own bytes. */
export interface Command {
  readonly name: CommandName;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const encoder = new TextEncoder();

const FORMS: readonly Command[] = (["INSTREAM", "PING", "VERSION"] as const).flatMap((name) => [
  { name, bytes: encoder.encode(`z${name}\0`) },
  { name, bytes: encoder.encode(`n${name}\n`) },
]);

/** Bytes of the longest form: a request that was not decided by then is refused. */
export const LONGEST_COMMAND = Math.max(...FORMS.map((form) => form.bytes.length));

export type Decision =
  /** What came so far begins an allowed form. */
  | "undecided"
  /** What came so far can never become an allowed form, or goes on behind a form that takes nothing. */
  | "refused"
  | Command;

/**
 * Decides about everything that a guest sent so far. Behind INSTREAM its stream may follow at once;
 * behind PING and VERSION there must be nothing.
 */
export function decide(untrustedRequest: Uint8Array): Decision {
  for (const form of FORMS) {
    const common = Math.min(form.bytes.length, untrustedRequest.length);
    if (!sameBytes(form.bytes, untrustedRequest, common)) continue;
    if (common < form.bytes.length) return "undecided";
    const isAll = untrustedRequest.length === common;
    return isAll || form.name === "INSTREAM" ? form : "refused";
  }
  return "refused";
}

function sameBytes(a: Uint8Array, b: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}
