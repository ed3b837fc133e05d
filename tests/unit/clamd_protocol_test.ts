/** What clamd says, and what is made of it: garbage is never a verdict. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type ByteString, fromBytes, fromText, toBytes } from "../../ffi/byte_string.ts";
import {
  REPLY_MAX,
  ReplyReader,
  ReplyTooLong,
  splitNumber,
  threadsOf,
  verdictOf,
  versionOf,
} from "../../src/scanning/clamd_protocol.ts";

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** The replies that a reader makes of `data` when it comes in pieces that end at `cuts`. */
function readInPieces(data: Uint8Array, cuts: readonly number[]): ByteString[] {
  const reader = new ReplyReader();
  const ends = [...new Set(cuts.map((cut) => cut % (data.length + 1)))].sort((a, b) => a - b);
  let start = 0;
  return [...ends, data.length].flatMap((end) => {
    const piece = data.subarray(start, end);
    start = end;
    return reader.push(piece);
  });
}

Deno.test("replies end in NUL or newline", () => {
  const reader = new ReplyReader();
  assertEquals(reader.push(bytes("1: fd[9]: OK\x002: fd[9]: X FOUND\nrest")), [
    "1: fd[9]: OK",
    "2: fd[9]: X FOUND",
  ] as ByteString[]);
  assertEquals(reader.push(bytes("\0")), ["rest"] as ByteString[]);
});

Deno.test("a property: however a reply is cut into pieces, it reads the same", () => {
  fc.assert(fc.property(
    fc.array(fc.constantFrom("1: fd[9]: OK", "x".repeat(300), "é FOUND", "", "\0", "\n"), {
      maxLength: 20,
    }),
    fc.array(fc.nat(), { maxLength: 30 }),
    (parts, cuts) => {
      const data = bytes(parts.join(""));
      assertEquals(readInPieces(data, cuts), readInPieces(data, []));
    },
  ));
});

Deno.test("I1: an answer that was cut off is no answer", () => {
  fc.assert(fc.property(
    fc.constantFrom("1: fd[11]: OK", "stream: Eicar FOUND", "1: fd[3]: Some error ERROR"),
    (reply) => {
      for (let length = 0; length <= reply.length; length++) {
        assertEquals(new ReplyReader().push(bytes(reply), length), []);
      }
    },
  ));
});

Deno.test("I6: a reply without end is refused, in one piece or in many", () => {
  const reader = new ReplyReader();
  const piece = new Uint8Array(4096).fill(0x41);
  assertThrows(() => {
    for (let sent = 0; sent <= REPLY_MAX; sent += piece.length) reader.push(piece);
  }, ReplyTooLong);
  const long = new Uint8Array(REPLY_MAX + 2).fill(0x41);
  long[REPLY_MAX + 1] = 0;
  assertThrows(() => new ReplyReader().push(long), ReplyTooLong);
});

Deno.test("a session's replies carry a number, others have none", () => {
  assertEquals(splitNumber(fromText("12: fd[11]: OK")), { id: 12, body: fromText("fd[11]: OK") });
  assertEquals(splitNumber(fromText("stream: OK")), { id: 0, body: fromText("stream: OK") });
  for (const odd of ["0: x", "-1: x", "1:x", " 1: x", "99999999999: x", "COMMAND READ TIMED OUT"]) {
    assertEquals(splitNumber(fromText(odd)), { id: 0, body: fromText(odd) });
  }
});

Deno.test("the four verdicts", () => {
  const table: [string, string, string?][] = [
    ["fd[11]: OK", "clean"],
    ["stream: OK", "clean"],
    ["fd[11]: Win.Test.EICAR_HDB-1 FOUND", "infected", "Win.Test.EICAR_HDB-1"],
    ["stream: Eicar.UNOFFICIAL FOUND", "infected", "Eicar.UNOFFICIAL"],
    ["fd[11]: Heuristics.Encrypted.Zip FOUND", "infected", "Heuristics.Encrypted.Zip"],
    ["fd[11]: Heuristics.Limits.Exceeded.MaxFileSize FOUND", "unscannable", "MaxFileSize"],
    ["fd[11]: Heuristics.Limits.Exceeded.MaxScanTime FOUND", "unscannable", "MaxScanTime"],
    ["fd[11]: Heuristics.Limits.Exceeded FOUND", "unscannable", "limit"],
    ["INSTREAM size limit exceeded. ERROR", "unscannable", "StreamMaxLength"],
    ["fd[11]: Can't allocate memory ERROR", "error", "Can't allocate memory"],
    ["fd[11]: Not a regular file ERROR", "error", "Not a regular file"],
    ["ERROR: Command not allowed", "error", "Command not allowed"],
    ["ERROR: Too many connections", "error", "Too many connections"],
    ["UNKNOWN COMMAND", "error", "UNKNOWN COMMAND"],
    ["COMMAND READ TIMED OUT", "error", "TIMED OUT"],
    ["Error processing command. ERROR", "error", "clamd says: Error processing command"],
  ];
  for (const [reply, kind, told = ""] of table) {
    const verdict = verdictOf(fromText(reply));
    assertEquals(verdict.kind, kind, reply);
    assert(JSON.stringify(verdict).includes(told), `${reply}: ${JSON.stringify(verdict)}`);
  }
});

Deno.test("I1: what only looks like a verdict is an error", () => {
  for (
    const reply of [
      "",
      "OK",
      " OK",
      "fd[11]: ok",
      "fd[11]: OK ",
      "fd[11]:OK",
      "fd[x]: OK",
      "fd[11]: fd[12]: OK",
      "/etc/passwd: OK",
      "stream: stream: OK",
      "FOUND",
      "fd[11]: FOUND",
      "fd[11]:  FOUND",
      "fd[11]: Eicar FOUND OK",
      "x: Eicar FOUND",
      "fd[11]: Excluded",
      "fd[11]: Empty file",
      "HTTP/1.1 400 Bad Request",
    ]
  ) {
    assertEquals(verdictOf(fromText(reply)).kind, "error", JSON.stringify(reply));
  }
});

Deno.test("a property: any bytes give one of four verdicts, and clean only clamd's own OK", () => {
  const words = fc.constantFrom("fd[1]: ", "stream: ", "OK", " FOUND", " ERROR", "Eicar", ": ");
  const noise = fc.uint8Array({ maxLength: 20 }).map((some) => fromBytes(some));
  const text = fc.array(fc.oneof(words, noise), { maxLength: 8 })
    .map((parts) => parts.join("") as ByteString);
  fc.assert(
    fc.property(text, (body) => {
      const verdict = verdictOf(body);
      if (verdict.kind === "clean") assertMatch(body, /^(fd\[\d+\]|stream): OK$/);
      if (verdict.kind === "infected") assertMatch(body, /^(fd\[\d+\]|stream): [^]+ FOUND$/);
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("I9: what clamd says is escaped and cut before anybody sees it", () => {
  const evil = "\x1b[2J\x07\r\u202e" + "x".repeat(10_000);
  for (const reply of [`fd[1]: ${evil} FOUND`, `fd[1]: ${evil} ERROR`, evil]) {
    const shown = JSON.stringify(verdictOf(fromText(reply)));
    assertMatch(shown, /\\\\x1b/);
    assert(!/[\p{Cc}\u202e]/u.test(shown), shown);
    assert(shown.length < 400, `${shown.length} characters`);
  }
});

Deno.test("STATS tells the threads, other answers tell nothing", () => {
  const stats =
    "POOLS: 1\n\nSTATE: VALID PRIMARY\nTHREADS: live 1  idle 0 max 10 idle-timeout 30\n" +
    "QUEUE: 0 items\n\tSTATS 0.000002 \n\nMEMSTATS: heap N/A\nEND";
  assertEquals(threadsOf(stats), 10);
  assertEquals(threadsOf(stats.replace("max 10", "max 0")), undefined);
  assertEquals(threadsOf("UNKNOWN COMMAND"), undefined);
  fc.assert(fc.property(fc.string(), (text) => assertEquals(threadsOf(text), undefined)));
});

Deno.test("VERSION is one harmless line", () => {
  assertEquals(versionOf(fromText("ClamAV 1.4.6/27500/Mon")), "ClamAV 1.4.6/27500/Mon");
  assertEquals(versionOf(fromText("HTTP/1.1 200 OK")), undefined);
  assertEquals(versionOf(fromBytes(toBytes(fromText("ClamAV \x1b[31m")))), "ClamAV \\x1b[31m");
});
