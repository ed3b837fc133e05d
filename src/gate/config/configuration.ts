/** The text of a configuration → its channels, and what is wrong, each fault at its own place. */

import { closest } from "../../command_line/suggestion.ts";
import type { ChannelConfig } from "./channel_config.ts";
import { adviceFor } from "./advice.ts";
import { Placement } from "./placement.ts";
import { normalForm } from "./normal_form.ts";
import { CHANNEL } from "./schema.ts";
import { type ChannelFault, describeValue, type Fault, fault, fieldName, quote } from "./fault.ts";
import { type DuplicateKey, type JsonValue, parseJson } from "./json_text.ts";
import { takeUnknownKeys } from "./unknown_keys.ts";

export interface Configuration {
  /** The channels that can run, in the order of the text. */
  readonly channels: readonly ChannelConfig[];
  /**
   * Not empty: `verify` fails. A channel with a fault is not among `channels`, unless the fault is
   * only an unknown key, a second definition of it, or a consumer that is a producer too.
   */
  readonly faults: readonly Fault[];
  readonly warnings: readonly Fault[];
}

export interface ParseOptions {
  /**
   * What a key is that no channel has. For `verify` a fault; for `run` a warning, since without the
   * key the defaults apply, and those are the strict ones. The channel is kept in both cases. The same
   * holds for a consumer that is a producer too.
   */
  readonly unknownKeys: Fault["severity"];
}

/**
 * Reads a whole configuration. A fault in one channel never touches the others; of two channels
 * that cannot both run (the same name, directories in one another) the first in the text stands
 * (names that are whole numbers come before others, as in every JavaScript object).
 */
export function parseConfiguration(text: string, options: ParseOptions): Configuration {
  const reading = parseJson(text);
  if ("problem" in reading) {
    const { line, column } = reading.position;
    return onlyFault(`is not JSON: line ${line}, column ${column}: ${reading.problem}`);
  }
  const { value, duplicates } = reading;
  if (typeof value !== "object" || value === null || isArray(value)) {
    return onlyFault(`expected an object with a key for each channel, got ${describeValue(value)}`);
  }
  const found: Fault[] = [];
  const channels: ChannelConfig[] = [];
  const placement = new Placement();
  for (const [name, written] of Object.entries(value)) {
    if (name === "$schema" && typeof written === "string") continue;
    const { channel, faults } = readChannel(name, written, duplicates, options);
    const misplaced = channel === undefined ? [] : placement.faultsOf(channel);
    found.push(...[...faults, ...misplaced].map((each) => ({ ...each, channel: name })));
    if (channel === undefined || misplaced.length > 0) continue;
    channels.push(channel);
    placement.add(channel);
  }
  if (Object.keys(value).every((name) => name === "$schema")) {
    found.push({ severity: "fault", channel: undefined, field: "", message: "holds no channel" });
  }
  return {
    channels,
    faults: found.filter(({ severity }) => severity === "fault"),
    warnings: found.filter(({ severity }) => severity === "warning"),
  };
}

function onlyFault(message: string): Configuration {
  const only: Fault = { severity: "fault", channel: undefined, field: "", message };
  return { channels: [], faults: [only], warnings: [] };
}

interface ChannelReading {
  readonly channel: ChannelConfig | undefined;
  readonly faults: readonly ChannelFault[];
}

function readChannel(
  name: string,
  written: JsonValue,
  duplicates: readonly DuplicateKey[],
  { unknownKeys }: ParseOptions,
): ChannelReading {
  const inName = nameFaults(name);
  const known = takeUnknownKeys(written);
  const unknown = known.unknown.map((each) => ({ severity: unknownKeys, ...each }));
  const twice = duplicates.filter(({ path }) => path[0] === name).map(duplicateFault);
  // A second channel of the same name is left out; a second value of one field leaves it open
  // which of them is meant.
  const isAmbiguous = duplicates.some(({ path }) => path[0] === name && path.length > 1);
  const faults = [...inName, ...twice, ...unknown];
  const parsed = CHANNEL.safeParse(known.channel);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) =>
      fault(fieldName(issue.path), issue.message + suggestion(issue, known.channel))
    );
    // Two rules may find the same fault.
    const fields = issues.map(({ field }) => field);
    const first = issues.filter(({ field }, index) => fields.indexOf(field) === index);
    return { channel: undefined, faults: [...faults, ...first] };
  }
  const form = normalForm(name, parsed.data);
  if ("faults" in form) return { channel: undefined, faults: [...faults, ...form.faults] };
  const usable = inName.length === 0 && !isAmbiguous;
  return {
    channel: usable ? form.channel : undefined,
    faults: [...faults, ...adviceFor(parsed.data, unknownKeys)],
  };
}

function duplicateFault({ path, position }: DuplicateKey): ChannelFault {
  const [, ...field] = path;
  const where = `line ${position.line}, column ${position.column}`;
  return field.length === 0
    ? fault(
      "",
      `is there a second time (${where}); the first one stands, rename or remove this one`,
    )
    : fault(fieldName(field), `is there a second time (${where}); remove one of them`);
}

const LONGEST_NAME = 255;

/** A name is sent to guests as a line of at most 256 bytes. */
function nameFaults(name: string): readonly ChannelFault[] {
  const bytes = new TextEncoder().encode(name).length;
  if (name === "") return [fault("", "a channel's name is empty")];
  if (!name.isWellFormed()) return [fault("", "the channel's name is not valid Unicode")];
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(name)) {
    return [fault("", "the channel's name holds a control character")];
  }
  if (bytes > LONGEST_NAME) {
    return [fault("", `the channel's name is longer than ${LONGEST_NAME} bytes (${bytes})`)];
  }
  return [];
}

type Issue = { readonly code: string; readonly path: readonly PropertyKey[] };

/** For a mistyped word of a choice. */
function suggestion(issue: Issue & { readonly values?: readonly unknown[] }, channel: JsonValue) {
  if (issue.code !== "invalid_value" || issue.values === undefined) return "";
  const written = issue.path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined,
    channel,
  );
  const nearest = typeof written === "string" && closest(written, issue.values.map(String));
  return nearest ? `; did you mean ${quote(nearest)}?` : "";
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}
