/**
 * Globs over names and paths as bytes.
 *
 * | Pattern | Matches |
 * | --- | --- |
 * | `?` | one character (a byte and the UTF-8 continuation bytes behind it), but not `/` |
 * | `*` | any characters but `/` |
 * | `**` | any characters, `/` too; as `**` + `/` at the start of a component: any directories or none |
 * | `[a-z]`, `[!a-z]`, `[^a-z]` | one character (not) in the set, but not `/`; a first `]` is itself |
 *
 * A leading dot is a character like any other. There is no escape character: `[*]` is a star.
 *
 * All ways to match are followed side by side, so the time is the length of the text times that of
 * the pattern, however hostile the text: there is no backtracking (I6).
 */

import { type ByteString, fromText } from "../../ffi/byte_string.ts";

/** A pattern that cannot be meant; the message says what is wrong, and what to write. */
export class PatternError extends Error {
  override readonly name = "PatternError";
}

/** Whether `pattern` is more than plain text. */
export function isGlob(pattern: string): boolean {
  return /[*?[]/.test(pattern);
}

/**
 * Compiles a glob over a whole `"name"` or a whole `"path"`; the latter is true as well for what
 * lies below a directory that matches. Throws `PatternError`.
 */
export function compileGlob(pattern: string, over: "name" | "path"): (text: ByteString) => boolean {
  const tokens = parse(pattern);
  const runs = literalRuns(tokens);
  const head = runs[0] ?? "";
  const longest = runs.reduce((best, run) => run.length > best.length ? run : best, "");
  // Most texts lack what every match must hold; a search for it is far cheaper than the automaton.
  return (text) =>
    text.startsWith(head) && text.includes(longest) && matches(tokens, text, over === "path");
}

const SLASH = 0x2f;

interface Token {
  readonly takes: (byte: number) => boolean;
  /** Takes any number of bytes, none included; otherwise exactly one. */
  readonly many: boolean;
  /** May only be left at the start of a component: `**` + `/`. */
  readonly wholeComponents: boolean;
  /** The only byte that it takes. */
  readonly literal: number | undefined;
}

const isInComponent = (byte: number) => byte !== SLASH;
const isContinuation = (byte: number) => (byte & 0xc0) === 0x80;
const isCharacterStart = (byte: number) => byte !== SLASH && !isContinuation(byte);

function one(takes: Token["takes"], literal?: number): Token {
  return { takes, many: false, wholeComponents: false, literal };
}

function many(takes: Token["takes"], wholeComponents = false): Token {
  return { takes, many: true, wholeComponents, literal: undefined };
}

/** The stretches of plain bytes before, between and behind the wildcards; some are empty. */
function literalRuns(tokens: readonly Token[]): readonly string[] {
  const runs: string[] = [];
  let run = "";
  for (const { literal } of tokens) {
    if (literal !== undefined) {
      run += String.fromCharCode(literal);
    } else {
      runs.push(run);
      run = "";
    }
  }
  return [...runs, run];
}

function parse(pattern: string): readonly Token[] {
  const text = fromText(pattern);
  const tokens: Token[] = [];
  for (let at = 0; at < text.length;) {
    const char = text[at];
    if (char === "*") {
      const end = skipStars(text, at);
      const atComponentStart = at === 0 || text.charCodeAt(at - 1) === SLASH;
      if (end - at === 1) tokens.push(many(isInComponent));
      else if (atComponentStart && text[end] === "/") tokens.push(many(() => true, true));
      else tokens.push(many(() => true));
      at = tokens.at(-1)?.wholeComponents ? end + 1 : end;
    } else if (char === "?") {
      tokens.push(one(isCharacterStart), many(isContinuation));
      at++;
    } else if (char === "[") {
      const set = parseSet(text, at);
      tokens.push(one(set.takes), many(isContinuation));
      at = set.end;
    } else {
      const literal = text.charCodeAt(at);
      tokens.push(one((byte) => byte === literal, literal));
      at++;
    }
  }
  return tokens;
}

function skipStars(text: string, at: number): number {
  while (text[at] === "*") at++;
  return at;
}

/** The set that begins with the `[` at `at`; `end` is behind its `]`. */
function parseSet(text: ByteString, at: number): { takes: Token["takes"]; end: number } {
  const negated = text[at + 1] === "!" || text[at + 1] === "^";
  const start = at + (negated ? 2 : 1);
  const close = text.indexOf("]", start + 1);
  if (close < 0) throw new PatternError(`"[" without "]" (for the character itself write "[[]")`);
  const members = new Set<number>();
  for (let i = start; i < close; i++) {
    const isRange = text[i + 1] === "-" && i + 2 < close;
    const first = text.charCodeAt(i);
    const last = isRange ? text.charCodeAt(i + 2) : first;
    if (first > 0x7f || last > 0x7f) {
      throw new PatternError(`"[…]" can hold ASCII characters only (use "?" for any character)`);
    }
    if (last < first) {
      throw new PatternError(
        `the range "${text.slice(i, i + 3)}" is empty (write the lower end first)`,
      );
    }
    for (let byte = first; byte <= last; byte++) members.add(byte);
    if (isRange) i += 2;
  }
  return {
    takes: (byte) => isCharacterStart(byte) && members.has(byte) !== negated,
    end: close + 1,
  };
}

/**
 * Runs the automaton whose state N is "everything before token N is matched". Indexed loops,
 * because this is asked for every path of a share and iterators cost twice as much.
 */
function matches(tokens: readonly Token[], text: string, belowToo: boolean): boolean {
  const end = tokens.length;
  let states = new Uint8Array(end + 1);
  let next = new Uint8Array(end + 1);
  states[0] = 1;
  skipOptional(tokens, states, true);
  for (let at = 0; at < text.length; at++) {
    const byte = text.charCodeAt(at);
    if (belowToo && byte === SLASH && states[end] === 1) return true;
    next.fill(0);
    for (let index = 0; index < end; index++) {
      const token = tokens[index];
      if (states[index] === 1 && token?.takes(byte)) next[token.many ? index : index + 1] = 1;
    }
    skipOptional(tokens, next, byte === SLASH);
    [states, next] = [next, states];
  }
  return states[end] === 1;
}

/** Adds the states that are reached without taking a byte. */
function skipOptional(tokens: readonly Token[], states: Uint8Array, atComponentStart: boolean) {
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index];
    if (states[index] === 1 && token?.many && (atComponentStart || !token.wholeComponents)) {
      states[index + 1] = 1;
    }
  }
}
