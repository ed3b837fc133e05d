/** The text of one option's value → what it stands for. */

import { displayText } from "../../ffi/byte_string.ts";
import { LONGEST_SOCKET_PATH } from "../../ffi/platform.ts";
import type { ValuedOption } from "./definition.ts";
import { closest } from "./suggestion.ts";

/** `problem` goes behind the option's name: `needs …, got …`. */
export type ValueReading = { readonly value: string | number } | { readonly problem: string };

export function readValue(option: ValuedOption, text: string): ValueReading {
  switch (option.kind) {
    case "text":
      return { value: text };
    case "socket":
      return readSocketPath(text);
    case "choice":
      return readChoice(option.choices, text);
    case "number":
      return within(option, /^\d{1,15}$/.test(text) ? Number(text) : undefined, text, {
        what: "a whole number",
        show: String,
      });
    case "bytes":
      return within(option, parseBytes(text), text, {
        what: "a number of bytes (such as 512K, 25M, 2G)",
        show: showBytes,
      });
  }
}

function readSocketPath(text: string): ValueReading {
  const { length } = new TextEncoder().encode(text);
  if (length <= LONGEST_SOCKET_PATH) return { value: text };
  return {
    problem: `needs the path of a socket, at most ${LONGEST_SOCKET_PATH} bytes, got ${length}: ` +
      quoted(text),
  };
}

function readChoice(choices: readonly string[], text: string): ValueReading {
  if (choices.includes(text)) return { value: text };
  const suggestion = closest(text, choices);
  const advice = suggestion === undefined ? "" : `; did you mean ${suggestion}?`;
  return { problem: `needs one of ${choices.join(", ")}, got ${quoted(text)}${advice}` };
}

function within(
  { min, max }: { readonly min: number; readonly max: number },
  value: number | undefined,
  text: string,
  { what, show }: { readonly what: string; readonly show: (value: number) => string },
): ValueReading {
  if (value !== undefined && value >= min && value <= max) return { value };
  return { problem: `needs ${what} from ${show(min)} to ${show(max)}, got ${quoted(text)}` };
}

const UNITS = ["", "K", "M", "G", "T"];

/** `25M`, `25MiB`, `26214400` → bytes; `undefined` for anything else. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d{1,16})(?:([KMGT])(?:iB)?|B)?$/i.exec(text);
  if (match === null) return undefined;
  const [, digits, unit] = match;
  const bytes = Number(digits) * 1024 ** UNITS.indexOf((unit ?? "").toUpperCase());
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest exact form: `25 MiB`, `1000 bytes`. */
export function showBytes(bytes: number): string {
  let power = 0;
  while (bytes !== 0 && power + 1 < UNITS.length && bytes % 1024 ** (power + 1) === 0) power++;
  if (bytes === 1) return "1 byte";
  return power === 0 ? `${bytes} bytes` : `${bytes / 1024 ** power} ${UNITS[power]}iB`;
}

function quoted(text: string): string {
  return `"${displayText(text)}"`;
}
