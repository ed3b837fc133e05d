// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLessOrEqual, assertStringIncludes } from "@std/assert";
import type { LogLevel, LogRecord } from "@logtape/logtape";
import fc from "fast-check";
import { display, fromBytes } from "../../ffi/byte_string.ts";
import { REPOSITORY } from "../support/gate.ts";
import { LineWriter } from "../../src/logging/line_writer.ts";
import { lineSink } from "../../src/logging/logging.ts";
import { oneLine } from "../../src/logging/one_line.ts";
import { RateLimit } from "../../src/logging/rate_limit.ts";
import { journalStyle, terminalStyle } from "../../src/logging/record_text.ts";

function record(level: LogLevel, message: unknown[], more: Partial<LogRecord> = {}): LogRecord {
  return {
    category: ["gate", "watcher"],
    level,
    message,
    rawMessage: "{path} is gone",
    timestamp: 0,
    properties: {},
    ...more,
  };
}

/** A stream that keeps what it is given, and does as told first. */
class Recorder {
  text = "";
  /** How each of the next writes goes: so many bytes, or an error. */
  readonly script: (number | Error)[] = [];
  writeSync(bytes: Uint8Array): number {
    const step = this.script.shift() ?? bytes.length;
    if (step instanceof Error) throw step;
    this.text += new TextDecoder().decode(bytes.subarray(0, step));
    return step;
  }
  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }
}

Deno.test("in the journal a line has a priority, the part that speaks and no time", () => {
  const levels: [LogLevel, string][] = [
    ["fatal", "<2>"],
    ["error", "<3>"],
    ["warning", "<4>"],
    ["info", "<6>"],
    ["debug", "<7>"],
    ["trace", "<7>"],
  ];
  for (const [level, priority] of levels) {
    assertEquals(journalStyle(record(level, ["a ", 1n, " b"])), `${priority}watcher: a 1 b`);
  }
  assertEquals(journalStyle(record("info", ["a"], { category: ["gate"] })), "<6>a");
});

Deno.test("on a terminal a line has the time, the level and, if wanted, colours", () => {
  const line = terminalStyle(false)(record("warning", ["a"]));
  assert(/^\d\d:\d\d:\d\d\.\d{3} warning watcher: a$/.test(line), line);
  assertStringIncludes(terminalStyle(true)(record("warning", ["a"])), "\x1b[33mwarning\x1b[0m");
});

Deno.test("values are shown for what they are", () => {
  const shown = (value: unknown) =>
    journalStyle(record("info", ["", value, ""])).slice("<6>watcher: ".length);
  assertEquals(shown(new Error("no such file")), "no such file");
  assertEquals(shown({ a: [1, "x"] }), '{ a: [ 1, "x" ] }');
  assertEquals(shown(undefined), "undefined");
  assertEquals(shown({ toString: null, [Symbol.toStringTag]: 5 }).includes("\n"), false);
  const hostile = {
    get [Symbol.for("Deno.customInspect")]() {
      throw new Error("no");
    },
  };
  assertEquals(shown(hostile), "(not printable)");
});

Deno.test("I9: whatever a record holds is one line, without escape sequences", () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({
      unit: fc.constantFrom("\n", "\r", "\x1b[2J", "\u2028", "\u202e", "\x9b", "<3>", "a"),
    }),
    fc.uint8Array().map((bytes) => display(fromBytes(bytes))),
  );
  fc.assert(fc.property(hostile, hostile, fc.boolean(), (text, value, asJournal) => {
    const style = asJournal ? journalStyle : terminalStyle(false);
    const line = style(record("info", [text, value, text], { category: ["gate", text] }));
    assert(!/[\p{C}\p{Zl}\p{Zp}]/u.test(line), JSON.stringify(line));
    assert(asJournal ? line.startsWith("<6>") : line.includes(" info "));
  }));
});

Deno.test("I9: text that was escaped already is not escaped again", () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    const shown = display(fromBytes(bytes));
    assertEquals(oneLine(shown), shown);
  }));
});

Deno.test("I6: a message has a longest length", () => {
  assertLessOrEqual(journalStyle(record("info", ["x".repeat(1_000_000)])).length, 17_000);
});

Deno.test("lines are whole, also where the stream takes them in pieces", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 3 })), (pieces) => {
    const stream = new Recorder();
    stream.script.push(...pieces);
    const writer = new LineWriter(stream, String);
    for (const line of ["<6>one", "<6>two", "<6>three"]) writer.write(line);
    assertEquals(stream.lines, ["<6>one", "<6>two", "<6>three"]);
  }));
});

Deno.test("a full stream loses whole lines, and says how many", () => {
  const stream = new Recorder();
  const full = () => new Deno.errors.WouldBlock("EAGAIN");
  const writer = new LineWriter(stream, (lines) => `${lines} lost`);
  stream.script.push(2, full(), full(), full());
  for (const line of ["one", "two", "three"]) writer.write(line);
  assertEquals(stream.text, "on");
  writer.write("four");
  writer.write("five");
  assertEquals(stream.lines, ["one", "2 lost", "four", "five"]);
});

Deno.test("a log that nobody reads stops nobody", async () => {
  const lines = 1900;
  const program = `
    import { configureLogging, logger } from "${new URL(
    "../../src/logging/logging.ts",
    import.meta.url,
  )}";
    import { unblockedStandardError } from "${new URL(
    "../../ffi/standard_error.ts",
    import.meta.url,
  )}";
    configureLogging({ debug: true, stream: unblockedStandardError() });
    const log = logger("program", "part");
    for (let i = 0; i < ${lines}; i++) log.debug("a line of a hundred bytes or so, {i} {rest}", { i, rest: "x".repeat(60) });
    Deno.exit(7);
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", "--ext=ts", program],
    cwd: REPOSITORY,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  assertEquals((await child.status).code, 7, "it has ended, though nothing was read yet");
  const text = await new Response(child.stderr).text();
  const read = text.split("\n").slice(0, -1);
  assertLessOrEqual(read.length, lines - 1);
  for (const line of read) assert(/^<7>part: a line of .*x{60}$/.test(line), line);
});

Deno.test("a stream without a reader is no failure", () => {
  const stream = new Recorder();
  const writer = new LineWriter(stream, String);
  stream.script.push(
    new Deno.errors.Interrupted("EINTR"),
    3,
    new Deno.errors.BrokenPipe("EPIPE"),
    new Deno.errors.BadResource("closed"),
  );
  writer.write("one");
  writer.write("two");
  writer.write("three");
  assertEquals(stream.lines, ["onethree"]);
});

Deno.test("I6: a kind of message is logged at its rate, and what is more is counted", () => {
  const limit = new RateLimit<string>();
  const rate = { burst: 3, perSecond: 2 };
  const admitted = (nowMs: number) => limit.admits("a", rate, nowMs, `at ${nowMs}`);
  assertEquals([0, 0, 0, 0, 0].map(admitted), [true, true, true, false, false]);
  assertEquals([500, 500, 1000].map(admitted), [true, false, true]);
  assert(limit.admits("b", rate, 1000, "another kind"));
  assertEquals(limit.takeSuppressed(), [{ sample: "at 0", count: 3 }]);
  assertEquals(limit.takeSuppressed(), []);
  assertEquals([60_000, 60_000, 60_000, 60_000].map(admitted), [true, true, true, false]);
});

Deno.test("I6: in any time no more is logged than burst and rate allow, and nothing is uncounted", () => {
  const steps = fc.array(fc.integer({ min: 0, max: 2000 }), { maxLength: 200 });
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), (
      waits,
      burst,
      perSecond,
    ) => {
      const limit = new RateLimit<null>();
      let now = 0;
      let admitted = 0;
      for (const wait of waits) {
        now += wait;
        if (limit.admits("kind", { burst, perSecond }, now, null)) admitted++;
      }
      assertLessOrEqual(admitted, burst + now / 1000 * perSecond + 1e-6);
      const counted = limit.takeSuppressed().reduce((sum, { count }) => sum + count, 0);
      assertEquals(admitted + counted, waits.length);
    }),
  );
});

Deno.test("I6: a message that counts for several makes the next ones wait", () => {
  const limit = new RateLimit<null>();
  const rate = { burst: 3, perSecond: 2 };
  const admitted = (nowMs: number) => limit.admits("a", rate, nowMs, null);
  assert(admitted(0));
  limit.charge("a", rate, 0, 5);
  assertEquals([0, 1000, 2000, 2500].map(admitted), [false, false, true, true]);
});

Deno.test("I6: kinds without number share memory and a rate", () => {
  const limit = new RateLimit<null>();
  let admitted = 0;
  for (let i = 0; i < 100_000; i++) {
    if (limit.admits(`kind ${i}`, { burst: 2, perSecond: 1 }, 0, null)) admitted++;
  }
  assertLessOrEqual(limit.size, 1025);
  assertLessOrEqual(admitted, 1026);
});

Deno.test("I7: kinds of which nothing was said for long leave their room to others", () => {
  const limit = new RateLimit<null>();
  const rate = { burst: 2, perSecond: 1 };
  for (let i = 0; i < 2000; i++) limit.admits(`once ${i}`, rate, 0, null);
  const later = 3_600_000;
  for (let i = 0; i < 1000; i++) limit.admits("noisy", rate, later, null);
  assert(limit.admits("quiet", rate, later, null));
  assertLessOrEqual(limit.size, 1025);
});

Deno.test("I6: what was held back of a kind is summed up, also when others need its room", () => {
  const limit = new RateLimit<string>();
  const rate = { burst: 1, perSecond: 1 };
  for (let i = 0; i < 3; i++) limit.admits("noisy", rate, 0, "noisy");
  for (let i = 0; i < 2000; i++) limit.admits(`once ${i}`, rate, 3_600_000 + i, "once");
  assertEquals(limit.takeSuppressed()[0], { sample: "noisy", count: 2 });
});

Deno.test("I6, I7: a flood is cut short and summed up, and silences nobody else", () => {
  const stream = new Recorder();
  const { sink, flush } = lineSink(stream, journalStyle, () => 0);
  const from = (producer: string, path: string) =>
    record("warning", ["", path, " is gone"], { properties: { channel: "c", producer, path } });
  for (let i = 0; i < 10_000; i++) sink(from("noisy", `f${i}`));
  sink(from("quiet", "g"));
  assertLessOrEqual(stream.lines.length, 51);
  assertEquals(stream.lines.at(-1), "<4>watcher: g is gone");
  flush();
  assertEquals(
    stream.lines.at(-1),
    "<4>watcher: 9950 more messages like this one were not logged: f50 is gone",
  );
});

Deno.test("a program's log: levels, parts, placeholders, and no permission needed", async () => {
  const entry = new URL("../support/log_lines.ts", import.meta.url);
  const run = async (...args: string[]) => {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", "--no-check", entry.href, ...args],
    }).output();
    assertEquals(code, 0);
    return new TextDecoder().decode(stderr).split("\n");
  };
  assertEquals(await run(), [
    "<6>watcher: watching a\\x0ab in 3 shares",
    "<3>failed: no space",
    "",
  ]);
  assertEquals((await run("--debug"))[0], "<7>watcher: only for debugging");
});
