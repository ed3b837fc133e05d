/** clamd-vproxy's decisions, without sockets. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { fromBytes } from "../../ffi/byte_string.ts";
import { Admission } from "../../src/vproxy/admission.ts";
import { excessAnswer } from "../../src/vproxy/answers.ts";
import { ReplyCollector } from "../../src/vproxy/clamd_reply.ts";
import { decide, LONGEST_COMMAND } from "../../src/vproxy/command_filter.ts";
import { StreamParser } from "../../src/vproxy/instream.ts";

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

/** What is let through of `input` given in pieces, as the relay gives it, and how it ended. */
function parse(input: Uint8Array, cuts: readonly number[]): { passed: number; state: string } {
  const parser = new StreamParser(LIMITS);
  const ends = [...cuts.filter((cut) => cut < input.length).sort((a, b) => a - b), input.length];
  let passed = 0;
  for (const end of ends) {
    const { valid, state } = parser.advance(input.subarray(passed, end));
    passed += valid;
    assert(passed <= end);
    if (state !== "more") return { passed, state };
  }
  return { passed, state: "more" };
}

/** The same of the whole, one chunk after the other. */
function parseReference(input: Uint8Array): { passed: number; state: string } {
  let at = 0;
  let size = 0;
  for (;;) {
    if (at + 4 > input.length) return { passed: at, state: "more" };
    const length = new DataView(input.buffer, input.byteOffset + at, 4).getUint32(0);
    if (length === 0) return { passed: at + 4, state: "ended" };
    if (length > LIMITS.maxChunkSize) return { passed: at, state: "chunk too large" };
    size += length;
    if (size > LIMITS.maxStreamSize) return { passed: at, state: "stream too large" };
    if (at + 4 + length > input.length) return { passed: input.length, state: "more" };
    at += 4 + length;
  }
}

const cuts = fc.array(fc.nat(450), { maxLength: 30 });

Deno.test("INSTREAM: valid streams pass whole, whatever the fragmentation", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 3 });
  fc.assert(fc.property(sizes, cuts, (sizes, cuts) => {
    const input = stream(sizes);
    assertEquals(parse(input, cuts), { passed: input.length, state: "ended" });
  }));
});

Deno.test("INSTREAM: agrees with the reference for streams within, at and beyond the limits", () => {
  const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 101 }), fc.constant(100)));
  const tail = fc.uint8Array({ maxLength: 20 });
  fc.assert(
    fc.property(sizes, tail, fc.nat(450), cuts, (sizes, tail, length, cuts) => {
      const input = Uint8Array.from([...stream(sizes).slice(0, length), ...tail]);
      assertEquals(parse(input, cuts), parseReference(input));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("INSTREAM: nothing behind the end mark passes", () => {
  const input = Uint8Array.from([...stream([5]), ...bytes("zSHUTDOWN\0")]);
  assertEquals(parse(input, []), { passed: 4 + 5 + 4, state: "ended" });
});

Deno.test("INSTREAM: a length of 4 GiB is one that is too large, not a small or negative one", () => {
  assertEquals(parse(Uint8Array.of(255, 255, 255, 255, 1), []), {
    passed: 0,
    state: "chunk too large",
  });
  assertEquals(parse(Uint8Array.of(128, 0, 0, 0), []).state, "chunk too large");
});

Deno.test("INSTREAM: a limit's answer is in clamd's words and ends as the command's form asks", () => {
  const z = decide(bytes("zINSTREAM\0"));
  const n = decide(bytes("nINSTREAM\n"));
  assert(typeof z !== "string" && typeof n !== "string");
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
