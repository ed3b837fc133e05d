/** clamd-vproxy's decisions, without sockets. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { fromBytes } from "../../ffi/byte_string.ts";
import { Admission } from "../../src/vproxy/admission.ts";
import { excessAnswer } from "../../src/vproxy/answers.ts";
import { ReplyCollector } from "../../src/vproxy/clamd_reply.ts";
import { type Command, decide, LONGEST_COMMAND } from "../../src/vproxy/command_filter.ts";
import { GatheredStream } from "../../src/vproxy/instream.ts";

const ALLOWED = [
  "zINSTREAM\0",
  "nINSTREAM\n",
  "zPING\0",
  "nPING\n",
  "zVERSION\0",
  "nVERSION\n",
];

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** The decision in the words of the specification, as slow and plain as can be. */
function reference(request: string): string {
  for (const form of ALLOWED) {
    if (request === form) return form;
    if (form.includes("INSTREAM") && request.startsWith(form)) return form;
  }
  return ALLOWED.some((form) => form.startsWith(request)) ? "undecided" : "refused";
}

function decision(request: Uint8Array): string {
  const made = decide(request);
  return typeof made === "string" ? made : fromBytes(made.bytes);
}

Deno.test("filter: exactly six forms are allowed, byte for byte", () => {
  for (const form of ALLOWED) assertEquals(decision(bytes(form)), form);
});

Deno.test("filter: everything else that clamd understands is refused", () => {
  const others = "SCAN /etc RAWSCAN CONTSCAN MULTISCAN ALLMATCHSCAN FILDES STATS RELOAD SHUTDOWN " +
    "IDSESSION END VERSIONCOMMANDS DETSTATSCLEAR";
  for (const name of others.split(" ")) {
    for (const form of [`z${name}\0`, `n${name}\n`, name, `${name}\n`]) {
      assertEquals(decision(bytes(form)), "refused", JSON.stringify(form));
    }
  }
});

Deno.test("filter: other case, wrong delimiters, blanks and bare commands are refused", () => {
  const near = [
    "zping\0",
    "zPING\n",
    "nPING\0",
    "zPING \0",
    " zPING\0",
    "z PING\0",
    "PING\n",
    "PING",
  ];
  near.push(
    "zINSTREAM\n",
    "nINSTREAM\r\n",
    "zVERSION\r\0",
    "zzPING\0",
    "ZPING\0",
    "zVERSIONCOMMANDS\0",
  );
  for (const request of near) {
    assertEquals(decision(bytes(request)), "refused", JSON.stringify(request));
  }
});

Deno.test("filter: bytes behind PING and VERSION are refused, behind INSTREAM they are its stream", () => {
  for (const form of ALLOWED) {
    const expected = form.includes("INSTREAM") ? form : "refused";
    for (const more of ["\0", "\n", "zSHUTDOWN\0", "zPING\0"]) {
      assertEquals(decision(bytes(form + more)), expected);
    }
  }
});

Deno.test("filter: a request is refused with the first byte that cannot belong to an allowed form", () => {
  for (const form of ALLOWED) {
    for (let length = 0; length < form.length; length++) {
      const begun = form.slice(0, length);
      assertEquals(decision(bytes(begun)), "undecided");
      for (let byte = 0; byte < 256; byte++) {
        const request = begun + String.fromCharCode(byte);
        assertEquals(decision(bytes(request)), reference(request));
      }
    }
  }
});

/** Bytes that come close to allowed requests. */
const nearRequest = fc.array(
  fc.oneof(
    fc.constantFrom(...ALLOWED),
    fc.constantFrom(...ALLOWED).chain((form) => fc.nat(form.length).map((n) => form.slice(0, n))),
    fc.constantFrom(...ALLOWED).chain((form) => fc.nat(form.length).map((n) => form.slice(n))),
    fc.constantFrom("z", "n", "\0", "\n", " ", "SCAN /", "IDSESSION", "PING", "VERSION"),
    fc.uint8Array({ maxLength: 4 }).map((some) => fromBytes(some)),
  ),
  { maxLength: 4 },
).map((parts) => parts.join(""));

Deno.test("filter: agrees with the reference, whatever the fragmentation", () => {
  const property = fc.property(nearRequest, fc.array(fc.nat(24)), (request, cuts) => {
    const ends = [...new Set([...cuts, request.length])].filter((cut) => cut <= request.length);
    for (const end of ends.sort((a, b) => a - b)) {
      const come = request.slice(0, end);
      assertEquals(decision(bytes(come)), reference(come));
      if (reference(come) !== "undecided") return;
    }
  });
  fc.assert(property, { numRuns: 20_000 });
});

Deno.test("filter: a million random requests, and none is let through that the reference refuses", () => {
  const alphabet = bytes("znINSTREAMPGVO\0\n S");
  let state = 20_260_101;
  const random = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
  let allowed = 0;
  const buffer = new Uint8Array(16);
  for (let i = 0; i < 1_000_000; i++) {
    // Half of them begin like an allowed form, so that some get far.
    const form = i % 2 === 0 ? ALLOWED[random(ALLOWED.length)] ?? "" : "";
    const kept = random(form.length + 1);
    const length = Math.min(buffer.length, kept + random(4));
    for (let at = 0; at < length; at++) {
      buffer[at] = at < kept ? form.charCodeAt(at) : alphabet[random(alphabet.length)] ?? 0;
    }
    const request = buffer.subarray(0, length);
    const made = decision(request);
    if (made !== reference(fromBytes(request))) assertEquals(made, reference(fromBytes(request)));
    if (made !== "refused" && made !== "undecided") allowed++;
  }
  assert(allowed > 10_000, "the generator reaches allowed forms");
});

Deno.test("filter: no request stays undecided for longer than the longest form", () => {
  assertEquals(LONGEST_COMMAND, 10);
  fc.assert(fc.property(fc.uint8Array({ minLength: 10, maxLength: 30 }), (request) => {
    assert(decide(request) !== "undecided");
  }));
});

const LIMITS = { maxChunkSize: 100, maxStreamSize: 300 };

function header(length: number): number[] {
  return [length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255];
}

/** A stream of chunks of the given sizes, the byte 7 as content, with its end mark. */
function stream(sizes: readonly number[]): Uint8Array {
  return Uint8Array.from([
    ...sizes.flatMap((size) => [...header(size), ...new Array<number>(size).fill(7)]),
    ...header(0),
  ]);
}

interface Passed {
  /** What came out for clamd: bytes of content, and how many chunks they are in. */
  readonly size: number;
  readonly chunks: number;
  readonly state: string;
}

function commandOf(form: string): Command {
  const command = decide(bytes(form));
  assert(typeof command !== "string");
  return command;
}

const COMMAND = "zINSTREAM\0";

/**
 * What becomes of `input` given in pieces, as the relay gives it: what is gathered is taken when it is `enough`
 * bytes, and, if the stream exceeds a limit, at last.
 */
function parse(input: Uint8Array, cuts: readonly number[], enough = 1): Passed {
  const buffer = new Uint8Array(enough + 1000);
  buffer.set(bytes(COMMAND));
  const gathered = new GatheredStream(commandOf(COMMAND), buffer, COMMAND.length, LIMITS);
  const ends = [...cuts.filter((cut) => cut < input.length).sort((a, b) => a - b), input.length];
  const out: number[] = [];
  let state = "more";
  let at = 0;
  for (const end of ends) {
    while (at < end && state === "more") {
      const { room } = gathered;
      assert(room.length > 0);
      const piece = input.subarray(at, Math.min(end, at + room.length));
      room.set(piece);
      gathered.received(piece.length);
      at += piece.length;
      do {
        state = gathered.advance();
        if (state === "ended") out.push(...gathered.takeLast());
        else if (gathered.gathered >= enough) out.push(...gathered.take());
      } while (state === "unfinished");
    }
  }
  if (state !== "ended") out.push(...gathered.take());
  return { ...chunksOf(Uint8Array.from(out), state === "ended"), state };
}

/** Reads what came out, which must be whole: the command, chunks full of sevens, and the end mark if it ended. */
function chunksOf(out: Uint8Array, hasEnded: boolean): { size: number; chunks: number } {
  assertEquals(fromBytes(out.subarray(0, COMMAND.length)) as string, COMMAND);
  let size = 0;
  let chunks = 0;
  let at = COMMAND.length;
  for (; at < out.length; chunks++) {
    const length = new DataView(out.buffer, at, 4).getUint32(0);
    at += 4;
    if (length === 0) {
      assert(hasEnded && at === out.length, "the end mark is at the end");
      return { size, chunks };
    }
    const content = out.subarray(at, at + length);
    assertEquals(content.length, length);
    assert(content.every((byte) => byte === 7));
    at += length;
    size += length;
  }
  assert(!hasEnded, "the end mark is there");
  return { size, chunks };
}

/** What is to come of the whole, one chunk after the other. */
function parseReference(input: Uint8Array): { size: number; state: string } {
  let at = 0;
  let announced = 0;
  for (;;) {
    const size = Math.min(announced, input.length);
    if (at + 4 > input.length) return { size, state: "more" };
    const length = new DataView(input.buffer, input.byteOffset + at, 4).getUint32(0);
    if (length === 0) return { size, state: "ended" };
    if (length > LIMITS.maxChunkSize) return { size, state: "chunk too large" };
    if (announced + length > LIMITS.maxStreamSize) return { size, state: "stream too large" };
    at += 4 + length;
    if (at > input.length) {
      return { size: announced + length - (at - input.length), state: "more" };
    }
    announced += length;
  }
}

const cuts = fc.array(fc.nat(450), { maxLength: 30 });

const enough = fc.integer({ min: 1, max: 400 });

Deno.test("INSTREAM: the content of valid streams passes whole, whatever the fragmentation", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 3 });
  fc.assert(fc.property(sizes, cuts, enough, (sizes, cuts, enough) => {
    const { size, state } = parse(stream(sizes), cuts, enough);
    const expected = sizes.reduce((sum, size) => sum + size, 0);
    assertEquals({ size, state }, { size: expected, state: "ended" });
  }));
});

Deno.test("INSTREAM: agrees with the reference for streams within, at and beyond the limits", () => {
  const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 101 }), fc.constant(100)));
  // Behind the stream, or where it was cut off: lengths of any kind, and sevens as all content is.
  const tail = fc.oneof(
    fc.array(fc.constant(7), { maxLength: 20 }),
    fc.array(fc.constantFrom(0, 255, 101, 7), { maxLength: 4 }),
  );
  fc.assert(
    fc.property(
      sizes,
      tail,
      fc.nat(450),
      cuts,
      enough,
      (sizes, tail, length, cuts, enough) => {
        const whole = [...stream(sizes)];
        const isCut = length < whole.length;
        const input = Uint8Array.from([
          ...whole.slice(0, length),
          ...(isCut ? tail.map(() => 7) : tail),
        ]);
        const { size, state } = parse(input, cuts, enough);
        assertEquals({ size, state }, parseReference(input));
      },
    ),
    { numRuns: 2000 },
  );
});

Deno.test("INSTREAM: nothing behind the end mark passes", () => {
  const input = Uint8Array.from([...stream([5]), ...bytes("zSHUTDOWN\0")]);
  assertEquals(parse(input, []), { size: 5, chunks: 1, state: "ended" });
  assertEquals(parse(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 9), []).state, "ended");
});

Deno.test("INSTREAM: a length of 4 GiB is one that is too large, not a small or negative one", () => {
  const excess = { size: 0, chunks: 0, state: "chunk too large" };
  assertEquals(parse(Uint8Array.of(255, 255, 255, 255, 1), []), excess);
  assertEquals(parse(Uint8Array.of(128, 0, 0, 0), []), excess);
});

Deno.test("I7: INSTREAM's chunks of a byte become one, as large as it is wanted", () => {
  const input = stream(new Array<number>(300).fill(1));
  assertEquals(parse(input, [], 10_000), { size: 300, chunks: 1, state: "ended" });
  const everyByte = input.keys().toArray();
  assertEquals(parse(input, everyByte, 10_000), { size: 300, chunks: 1, state: "ended" });
  assertEquals(parse(input, everyByte, 110).chunks, 3, "96 behind the command, 106, 98");
});

Deno.test("I7: a buffer full of tiny chunks is not read in one go", () => {
  const input = stream(new Array<number>(300).fill(1));
  const buffer = new Uint8Array(4096);
  const gathered = new GatheredStream(commandOf(COMMAND), buffer, COMMAND.length, LIMITS);
  gathered.room.set(input);
  gathered.received(input.length);
  let turns = 1;
  while (gathered.advance() === "unfinished") turns++;
  assertEquals(turns, 4);
  assertEquals(gathered.size, 300);
});

Deno.test("INSTREAM: a limit's answer is in clamd's words and ends as the command's form asks", () => {
  const z = commandOf("zINSTREAM\0");
  const n = commandOf("nINSTREAM\n");
  assertEquals(
    fromBytes(excessAnswer("stream too large", z)) as string,
    "INSTREAM size limit exceeded. ERROR\0",
  );
  assertEquals(
    fromBytes(excessAnswer("chunk too large", n)) as string,
    "INSTREAM chunk size limit exceeded. ERROR\n",
  );
});

Deno.test("clamd's reply: whole in any pieces, with its end and nothing behind it", () => {
  const reply = fc.stringMatching(/^[a-z: ]{0,40}$/);
  fc.assert(fc.property(reply, fc.constantFrom("\0", "\n"), cuts, (text, end, cuts) => {
    const all = bytes(`${text}${end}garbage`);
    const collector = new ReplyCollector();
    let at = 0;
    for (const cut of [...cuts.sort((a, b) => a - b), all.length]) {
      const result = collector.push(all.subarray(at, cut));
      at = Math.max(at, cut);
      if (typeof result === "string") assertEquals(result, "more");
      else return assertEquals(fromBytes(result) as string, text + end);
    }
    throw new Error("no reply");
  }));
});

Deno.test("clamd's reply: without end it is no reply, and memory stays bounded", () => {
  const collector = new ReplyCollector();
  const piece = bytes("x".repeat(1000));
  let result = collector.push(piece);
  for (let i = 0; i < 100 && result === "more"; i++) result = collector.push(piece);
  assertEquals(result, "too long");
});

Deno.test("I7: no guest holds more places than its share, nor all together more than there are", () => {
  const limits = { maxConnections: 5, maxConnectionsPerGuest: 2 };
  const step = fc.record({ guest: fc.constantFrom("a", "b", "c", "d"), leaves: fc.boolean() });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const admission = new Admission(limits);
    const held = new Map<string, { release(): void }[]>();
    for (const { guest, leaves } of steps) {
      const places = held.get(guest) ?? [];
      held.set(guest, places);
      if (leaves) {
        const place = places.pop();
        place?.release();
        place?.release(); // a second time changes nothing
        continue;
      }
      const total = [...held.values()].reduce((sum, some) => sum + some.length, 0);
      const place = admission.enter(guest);
      assertEquals(place !== undefined, total < 5 && places.length < 2);
      if (place !== undefined) places.push(place);
    }
  }));
});
