/** Finds and takes out keys that no channel has, so that the rest can still be read. */

import { closest } from "../../command_line/suggestion.ts";
import { CHANNEL, SECTIONS } from "./schema.ts";
import { fieldName } from "./fault.ts";
import type { JsonObject, JsonValue } from "./json_text.ts";

export interface UnknownKey {
  readonly field: string;
  /** What to do about it. */
  readonly message: string;
}

export interface KnownPart {
  readonly channel: JsonValue;
  readonly unknown: readonly UnknownKey[];
}

const CHANNEL_KEYS = Object.keys(CHANNEL.shape);

/** Splits a channel as written into what can have a meaning and the names of the rest. */
export function takeUnknownKeys(written: JsonValue): KnownPart {
  if (!isObject(written)) return { channel: written, unknown: [] };
  const unknown: UnknownKey[] = [];
  const channel: Record<string, JsonValue> = {};
  for (const [key, value] of Object.entries(written)) {
    if (!CHANNEL_KEYS.includes(key)) unknown.push(describeUnknown([], key));
    else channel[key] = isSection(key) ? knownPartOfSection(key, value, unknown) : value;
  }
  return { channel, unknown };
}

function knownPartOfSection(
  section: keyof typeof SECTIONS,
  value: JsonValue,
  unknown: UnknownKey[],
): JsonValue {
  if (!isObject(value)) return value;
  const keys = Object.keys(SECTIONS[section].shape);
  const entries = Object.entries(value);
  for (const [key] of entries) {
    if (!keys.includes(key)) unknown.push(describeUnknown([section], key));
  }
  return Object.fromEntries(entries.filter(([key]) => keys.includes(key)));
}

function describeUnknown(section: readonly string[], key: string): UnknownKey {
  const suggestion = suggest(section, key);
  const advice = suggestion === undefined ? "remove it" : `did you mean ${suggestion}?`;
  return { field: fieldName([...section, key]), message: `is no option of a channel; ${advice}` };
}

/** The right name in the same object, else the right object for the name. */
function suggest(section: readonly string[], key: string): string | undefined {
  const names = allFields();
  const here = names.filter(({ path }) => path.join() === section.join());
  const near = closest(key, here.map(({ name }) => name));
  if (near !== undefined) return fieldName([...section, near]);
  const elsewhere = names.find(({ name }) => name === key);
  return elsewhere && fieldName([...elsewhere.path, elsewhere.name]);
}

function allFields(): readonly { readonly path: readonly string[]; readonly name: string }[] {
  const inSections = Object.entries(SECTIONS).flatMap(([section, { shape }]) =>
    Object.keys(shape).map((name) => ({ path: [section], name }))
  );
  return [...CHANNEL_KEYS.map((name) => ({ path: [], name })), ...inSections];
}

function isSection(key: string): key is keyof typeof SECTIONS {
  return Object.hasOwn(SECTIONS, key);
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
