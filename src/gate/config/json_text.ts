/**
 * JSON (RFC 8259) with what `JSON.parse` keeps to itself: where the text is wrong, in words, and
 * which names an object holds twice.
 */

import { displayText } from "../../../ffi/byte_string.ts";

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;

/** Without a prototype, so that a key such as `__proto__` is a key like any other. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** 1-based; columns count characters as editors show them. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A name that an object holds for a second time. The first value stands. */
export interface DuplicateKey {
  /** The names that lead to it, itself included; elements of arrays by their index. */
  readonly path: readonly string[];
  readonly position: Position;
}

export type JsonReading =
  | { readonly value: JsonValue; readonly duplicates: readonly DuplicateKey[] }
  | { readonly problem: string; readonly position: Position };

/** Far beyond any configuration, far below the stack. */
const DEEPEST = 64;

export function parseJson(text: string): JsonReading {
  const reader = new Reader(text);
  try {
    return { value: reader.document(), duplicates: reader.duplicates };
  } catch (error) {
    if (error instanceof Problem) {
      return { problem: error.message, position: positionOf(text, error.at) };
    }
    throw error;
  }
}

class Problem extends Error {
  constructor(message: string, readonly at: number) {
    super(message);
  }
}

function positionOf(text: string, at: number): Position {
  const lines = text.slice(0, at).split("\n");
  return { line: lines.length, column: [...(lines.at(-1) ?? "")].length + 1 };
}

const WHITE = /[ \t\r\n]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORD = /[A-Za-z0-9_.+-]+/y;
// deno-lint-ignore no-control-regex -- JSON forbids exactly these in strings
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

class Reader {
  readonly duplicates: DuplicateKey[] = [];
  readonly #text: string;
  readonly #path: string[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonValue {
    if (this.#text.startsWith("\ufeff")) this.#at = 1;
    const value = this.#value();
    this.#skipWhite();
    if (this.#at < this.#text.length) this.#fail("the end of the text behind the value");
    return value;
  }

  #value(): JsonValue {
    this.#skipWhite();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#nested(() => this.#object());
      case "[":
        return this.#nested(() => this.#array());
      case '"':
        return this.#string();
    }
    for (const [word, value] of [["null", null], ["true", true], ["false", false]] as const) {
      if (this.#peek(WORD) === word) {
        this.#at += word.length;
        return value;
      }
    }
    const number = this.#peek(NUMBER);
    if (number === "" || number !== this.#peek(WORD)) this.#fail("a value");
    this.#at += number.length;
    return Number(number);
  }

  #nested<T>(read: () => T): T {
    if (this.#path.length >= DEEPEST) {
      throw new Problem(`nested deeper than ${DEEPEST} levels`, this.#at);
    }
    this.#at++;
    return read();
  }

  #object(): JsonObject {
    const object: Record<string, JsonValue> = Object.create(null);
    if (this.#takes("}")) return object;
    do {
      this.#skipWhite();
      const start = this.#at;
      if (this.#text[start] !== '"') this.#fail('a name in double quotes (or "}")');
      const key = this.#string();
      this.#path.push(key);
      if (!this.#takes(":")) this.#fail('":" behind the name');
      const known = this.duplicates.length;
      const value = this.#value();
      if (Object.hasOwn(object, key)) {
        this.duplicates.length = known; // what a dropped value holds twice is nobody's concern
        this.duplicates.push({ path: [...this.#path], position: positionOf(this.#text, start) });
      } else {
        object[key] = value;
      }
      this.#path.pop();
    } while (this.#takes(","));
    if (!this.#takes("}")) this.#fail('"," or "}"');
    return object;
  }

  #array(): readonly JsonValue[] {
    const values: JsonValue[] = [];
    if (this.#takes("]")) return values;
    do {
      this.#path.push(String(values.length));
      values.push(this.#value());
      this.#path.pop();
    } while (this.#takes(","));
    if (!this.#takes("]")) this.#fail('"," or "]"');
    return values;
  }

  #string(): string {
    const literal = this.#peek(STRING);
    if (literal === "") this.#failInString();
    this.#at += literal.length;
    const value: unknown = JSON.parse(literal);
    return String(value);
  }

  /** At the opening quote of a string that is none: points at what is wrong inside. */
  #failInString(): never {
    const start = this.#at;
    for (let at = start + 1; at < this.#text.length; at++) {
      const char = this.#text[at] ?? "";
      if (char < " ") throw new Problem("a text in quotes that does not end on its line", start);
      if (char === "\\" && !/^\\(["\\/bfnrt]|u[0-9a-fA-F]{4})/.test(this.#text.slice(at, at + 6))) {
        throw new Problem('a backslash in a text (write "\\\\" for the character itself)', at);
      }
      if (char === "\\") at++;
    }
    throw new Problem("a text in quotes that does not end", start);
  }

  #fail(expected: string): never {
    const rest = this.#text.slice(this.#at);
    const before = this.#text.slice(0, this.#at).trimEnd();
    const isEndOfList = before.endsWith(",") && /^[}\]]/.test(rest);
    let found = `"${displayText(this.#peek(WORD) || ([...rest.slice(0, 2)][0] ?? ""))}"`;
    let advice = "";
    if (rest === "") found = "the end of the text";
    else if (isEndOfList) advice = ' (remove the "," before it)';
    else if (/^(\/\/|\/\*|#)/.test(rest)) advice = " (JSON knows no comments)";
    else if (rest.startsWith("'")) advice = " (texts stand in double quotes)";
    throw new Problem(`expected ${expected}, found ${found}${advice}`, this.#at);
  }

  #takes(char: string): boolean {
    this.#skipWhite();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #skipWhite() {
    this.#at += this.#peek(WHITE).length;
  }

  /** What matches right here; nothing is taken. */
  #peek(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0] ?? "";
  }
}
