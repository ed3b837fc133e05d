/** Log records → lines. Whatever a record holds, it becomes exactly one line (I9). */

import type { LogLevel, LogRecord } from "@logtape/logtape";
import { oneLine } from "./one_line.ts";

/** Renders a record as a line, without the end of line. */
export type LineStyle = (record: LogRecord) => string;

/** syslog(3) priorities, which journald reads from the start of a line: sd-daemon(3). */
const PRIORITIES: Record<LogLevel, number> = {
  fatal: 2,
  error: 3,
  warning: 4,
  info: 6,
  debug: 7,
  trace: 7,
};

/** SGR parameters: bold red, red, yellow, green, and nothing much for the rest. */
const COLOURS: Record<LogLevel, string> = {
  fatal: "1;31",
  error: "31",
  warning: "33",
  info: "32",
  debug: "2",
  trace: "2",
};

/** For the journal: a priority, no time (the journal has its own). */
export const journalStyle: LineStyle = (record) =>
  `<${PRIORITIES[record.level]}>${source(record)}${messageText(record)}`;

/** For people at a terminal: local time, level, and colours if wanted. */
export function terminalStyle(coloured: boolean): LineStyle {
  const paint = (sgr: string, text: string) => coloured ? `\x1b[${sgr}m${text}\x1b[0m` : text;
  return (record) => {
    const time = paint("2", timeOfDay(new Date(record.timestamp)));
    const level = paint(COLOURS[record.level], record.level.padEnd(7));
    return `${time} ${level} ${paint("2", source(record))}${messageText(record)}`;
  };
}

/** Longer messages are cut (I6); journald would split them into several entries at 48 KiB. */
const LONGEST_MESSAGE = 16_384;

/** The message with its values filled in, as one harmless line. */
export function messageText({ message }: LogRecord): string {
  // logtape: text and values take turns.
  const text = message.map((part, index) => index % 2 === 0 ? String(part) : valueText(part)).join(
    "",
  );
  const shown = text.length > LONGEST_MESSAGE ? `${text.slice(0, LONGEST_MESSAGE)}… (cut)` : text;
  return oneLine(shown);
}

/** The part of the program that speaks; the journal and the terminal know the program itself. */
function source({ category }: LogRecord): string {
  const parts = category.slice(1);
  return parts.length === 0 ? "" : `${oneLine(parts.join("."))}: `;
}

/** What a value says about itself; a value that cannot be shown is no reason to fail. */
function valueText(value: unknown): string {
  if (typeof value === "string") return value;
  try {
    if (value instanceof Error) return value.message;
    if (typeof value !== "object" || value === null) return String(value);
    return Deno.inspect(value, { compact: true, breakLength: Infinity, depth: 2 });
  } catch {
    return "(not printable)";
  }
}

function timeOfDay(date: Date): string {
  const two = (part: number) => String(part).padStart(2, "0");
  const milliseconds = String(date.getMilliseconds()).padStart(3, "0");
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return `${time}.${milliseconds}`;
}
