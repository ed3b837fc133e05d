/** What is wrong with a configuration, in words for the person who wrote it. */

import { displayText } from "../../../ffi/byte_string.ts";

export interface Fault {
  /** A fault makes `verify` fail; a warning only says what will surprise. */
  readonly severity: "fault" | "warning";
  /** The channel as written; `undefined` where the text as a whole is meant. */
  readonly channel: string | undefined;
  /** `scanning.infectedAction`, `producers[1]`; `""` for the channel (or the text) itself. */
  readonly field: string;
  /** One line; whatever it quotes is escaped already. */
  readonly message: string;
}

/** A fault or warning whose channel is clear from where it is found. */
export type ChannelFault = Omit<Fault, "channel">;

export function fault(field: string, message: string): ChannelFault {
  return { severity: "fault", field, message };
}

export function warning(field: string, message: string): ChannelFault {
  return { severity: "warning", field, message };
}

/** `fault: documents.scanning.permissive: expected …` */
export function formatFault({ severity, channel, field, message }: Fault): string {
  const place = [channel === undefined ? [] : displayText(channel), field || []].flat().join(".");
  return place === "" ? `${severity}: ${message}` : `${severity}: ${place}: ${message}`;
}

/** Names and indices on the way to a value: `producers[1]`, `scanning.infectedAction`. */
export function fieldName(path: readonly PropertyKey[]): string {
  return path.reduce<string>((field, part) => {
    if (typeof part === "number") return `${field}[${part}]`;
    const name = displayText(String(part));
    return field === "" ? name : `${field}.${name}`;
  }, "");
}

const LONGEST_QUOTE = 80;

/** A text as it was written, safe to print and not endless. */
export function quote(text: string): string {
  const shown = displayText(text);
  return `"${shown.length > LONGEST_QUOTE ? `${shown.slice(0, LONGEST_QUOTE)}…` : shown}"`;
}

/** What stands where something else was expected. */
export function describeValue(value: unknown): string {
  if (typeof value === "string") return `the text ${quote(value)}`;
  if (typeof value === "number") return `the number ${value}`;
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return String(value);
}

/** `A, B or C` */
export function alternatives(words: readonly string[]): string {
  const last = words.at(-1) ?? "";
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} or ${last}`;
}
