// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { type JsonReading, parseJson } from "../../src/gate/config/json_text.ts";

function problem(text: string): { problem: string; line: number; column: number } {
  const reading = parseJson(text);
  assert("problem" in reading, `accepted: ${text}`);
  return { problem: reading.problem, ...reading.position };
}

function value(reading: JsonReading): unknown {
  assert("value" in reading, JSON.stringify(reading));
  return reading.value;
}

/** Objects without a prototype compare as what they hold. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

Deno.test("every JSON text is read as JSON.parse reads it", () => {
  fc.assert(fc.property(fc.json(), fc.constantFrom(0, 2, "\t", "\n\r "), (text, space) => {
    const spaced = JSON.stringify(JSON.parse(text), null, space);
    assertEquals(plain(value(parseJson(spaced))), JSON.parse(spaced));
  }));
});

Deno.test("a text is refused if and only if JSON.parse refuses it", () => {
  const near = fc.string({
    unit: fc.constantFrom(...'{}[]",:0123-.eE+ \\/u\n\t'.split(""), "true", "null", '"a"', '"b":'),
    maxLength: 12,
  });
  fc.assert(
    fc.property(near, (text) => {
      let expected: unknown;
      let isJson = true;
      try {
        expected = JSON.parse(text);
      } catch {
        isJson = false;
      }
      const reading = parseJson(text);
      assertEquals("value" in reading, isJson, text);
      // JSON.parse lets the last of two equal names win.
      if ("value" in reading && reading.duplicates.length === 0) {
        assertEquals(plain(reading.value), plain(expected));
      }
    }),
    { numRuns: 5000 },
  );
});

Deno.test("what is wrong is said in words, with line and column", async (t) => {
  const cases: [string, string, number, number][] = [
    ["", "expected a value, found the end of the text", 1, 1],
    ["\n  hello", 'expected a value, found "hello"', 2, 3],
    ['{"a": 1,\n}', 'found "}" (remove the "," before it)', 2, 1],
    ["[1, 2,]", 'found "]" (remove the "," before it)', 1, 7],
    ['{"a" 1}', 'expected ":" behind the name, found "1"', 1, 6],
    ['{"a": 1 "b": 2}', 'expected "," or "}", found', 1, 9],
    ["{a: 1}", 'expected a name in double quotes (or "}"), found "a"', 1, 2],
    ["{'a': 1}", "(texts stand in double quotes)", 1, 2],
    ["{} // done", "(JSON knows no comments)", 1, 4],
    ['{"ä": "b\n"}', "does not end on its line", 1, 7],
    ['{"a": "b', "does not end", 1, 7],
    ['["\\x"]', "a backslash in a text", 1, 3],
    ["01", 'expected a value, found "01"', 1, 1],
    ["1 2", "expected the end of the text behind the value", 1, 3],
    ["[1.]", 'expected a value, found "1."', 1, 2],
    ["\u202e", 'found "\\u{202e}"', 1, 1],
    ["[".repeat(100), "nested deeper than 64 levels", 1, 65],
  ];
  for (const [text, expected, line, column] of cases) {
    await t.step(JSON.stringify(text).slice(0, 40), () => {
      const found = problem(text);
      assertStringIncludes(found.problem, expected);
      assertEquals([found.line, found.column], [line, column]);
    });
  }
});

Deno.test("names that an object holds twice are reported, and the first value stands", () => {
  const reading = parseJson('{"a": 1, "b": [{"c": 1,\n "c": 2}], "a": {"d": 1, "d": 2}}');
  assert("value" in reading);
  assertEquals(plain(reading.value), { a: 1, b: [{ c: 1 }] });
  assertEquals(reading.duplicates, [
    { path: ["b", "0", "c"], position: { line: 2, column: 2 } },
    { path: ["a"], position: { line: 2, column: 12 } },
  ]);
});

Deno.test("names that mean something to JavaScript are names like any other", () => {
  const reading = parseJson('{"__proto__": {"x": 1}, "constructor": 2, "toString": 3}');
  assert("value" in reading);
  assertEquals(Object.entries(reading.value ?? {}).map(([name]) => name), [
    "__proto__",
    "constructor",
    "toString",
  ]);
  assertEquals(Reflect.get({}, "x"), undefined);
  assertEquals(reading.duplicates, []);
});

Deno.test("a byte order mark in front is no fault", () => {
  assertEquals(plain(value(parseJson('\ufeff{"a": 1}'))), { a: 1 });
});

Deno.test("a long text is read, and refused, without trouble (I6)", () => {
  const long = "x".repeat(1_000_000);
  assertEquals(value(parseJson(`"${long}"`)), long);
  assertStringIncludes(problem(`"${long}`).problem, "does not end");
  assertStringIncludes(problem("9".repeat(1_000_000) + "x").problem, "expected a value");
});
