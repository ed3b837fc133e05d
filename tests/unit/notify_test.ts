/** virtiofs-notify's parts, without sockets. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type ByteString, fromBytes, fromText } from "../../ffi/byte_string.ts";
import { LineReader, LONGEST_LINE } from "../../src/notify/channel_lines.ts";
import { readMap } from "../../src/notify/options.ts";
import { Peers } from "../../src/notify/peers.ts";
import { toggleTrigger, TriggerBlocked } from "../../src/notify/refresh.ts";
import { portAskedFor } from "../../src/transport/hybrid_vsock.ts";
import { scratchDirectory } from "../support/scratch.ts";

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function readAll(input: string, cuts: readonly number[]): { lines: string[]; tooLong: number } {
  const reader = new LineReader();
  const lines: string[] = [];
  let tooLong = 0;
  let from = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), input.length]) {
    const found = reader.push(bytes(input.slice(from, cut)));
    lines.push(...found.lines);
    tooLong += found.tooLong;
    from = Math.max(from, Math.min(cut, input.length));
  }
  return { lines, tooLong };
}

Deno.test("lines: the same whatever the fragmentation; long ones are left out, the rest stands", () => {
  const line = fc.oneof(
    fc.stringMatching(/^[a-z]{0,8}$/),
    fc.integer({ min: 250, max: 600 }).map((length) => "x".repeat(length)),
    fc.uint8Array({ maxLength: 5 }).map((some) => fromBytes(some).replaceAll("\n", "?")),
  );
  const cuts = fc.array(fc.nat(2000), { maxLength: 20 });
  fc.assert(fc.property(fc.array(line, { maxLength: 6 }), cuts, (lines, cuts) => {
    const input = lines.map((one) => `${one}\n`).join("");
    assertEquals(readAll(input, cuts), {
      lines: lines.filter(({ length }) => length <= LONGEST_LINE),
      tooLong: lines.filter(({ length }) => length > LONGEST_LINE).length,
    });
  }));
});

Deno.test("lines: 256 bytes are a line, 257 are not", () => {
  assertEquals(readAll("x".repeat(256) + "\n", []).lines.length, 1);
  assertEquals(readAll("x".repeat(257) + "\nok\n", []), { lines: ["ok"], tooLong: 1 });
});

Deno.test("lines: a last one without its newline is none, for it may have been cut", () => {
  assertEquals(readAll("docs\ndo", []).lines, ["docs"]);
});

Deno.test("I6: a line without end takes no memory", () => {
  const reader = new LineReader();
  for (let i = 0; i < 1000; i++) {
    assertEquals(reader.push(bytes("x".repeat(1000))).tooLong, i === 0 ? 1 : 0);
  }
  assertEquals(reader.push(bytes("\ndocs\n")).lines, [fromText("docs")]);
});

Deno.test("I6: beyond the limit the longest silent peer goes, and no other", () => {
  const step = fc.record({ peer: fc.nat(9), does: fc.constantFrom("add", "heard", "remove") });
  fc.assert(fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
    const evicted: number[] = [];
    const peers = new Peers<number>(4, (peer) => evicted.push(peer));
    let model: number[] = []; // longest silent first
    const expected: number[] = [];
    for (const { peer, does } of steps) {
      const isThere = model.includes(peer);
      if (does === "add" && !isThere) {
        peers.add(peer);
        if (model.length === 4) expected.push(...model.splice(0, 1));
        model.push(peer);
      } else if (does === "heard") {
        peers.heard(peer);
        if (isThere) model = [...model.filter((one) => one !== peer), peer];
      } else if (does === "remove") {
        peers.remove(peer);
        model = model.filter((one) => one !== peer);
      }
      assertEquals([...peers], model);
    }
    assertEquals(evicted, expected);
  }));
});

Deno.test("--map is split at the first '='", () => {
  assertEquals(readMap(["docs=/mnt/a=b"]), {
    map: new Map([[fromText("docs"), fromText("/mnt/a=b")]]),
  });
  for (const wrong of ["docs", "=/mnt", "docs=", "a\nb=/mnt", `${"x".repeat(257)}=/mnt`]) {
    assert("problem" in readMap([wrong]), wrong);
  }
  assert("problem" in readMap(["docs=/a", "docs=/b"]));
});

Deno.test("CONNECT is taken for a request of the hybrid convention only in its exact form", () => {
  assertEquals(portAskedFor("CONNECT 3401" as ByteString), 3401);
  for (const other of ["CONNECT", "CONNECT ", "CONNECT x", "connect 3401", "CONNECT 3401 "]) {
    assertEquals(portAskedFor(other as ByteString), undefined, other);
  }
});

function names(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

Deno.test("the trigger comes and goes", () => {
  const folder = scratchDirectory("refresh");
  assertEquals(toggleTrigger(fromText(folder)), "created");
  assertEquals(names(folder), [".virtiofs-refresh"]);
  assertEquals(toggleTrigger(fromText(folder)), "removed");
  assertEquals(names(folder), []);
});

Deno.test("I2: a link, a directory or a FIFO of the trigger's name is neither followed nor removed", () => {
  const outside = scratchDirectory("outside");
  Deno.writeTextFileSync(`${outside}/canary`, "alive");
  const makers: Record<string, (path: string) => void> = {
    "a link to a file": (path) => Deno.symlinkSync(`${outside}/canary`, path),
    "a link to nothing": (path) => Deno.symlinkSync(`${outside}/missing`, path),
    "a directory": (path) => Deno.mkdirSync(path),
    "a FIFO": (path) => new Deno.Command("mkfifo", { args: [path] }).outputSync(),
  };
  for (const [kind, make] of Object.entries(makers)) {
    const folder = scratchDirectory("refresh");
    make(`${folder}/.virtiofs-refresh`);
    const before = Deno.lstatSync(`${folder}/.virtiofs-refresh`).ino;
    assertThrows(() => toggleTrigger(fromText(folder)), TriggerBlocked);
    assertEquals(Deno.lstatSync(`${folder}/.virtiofs-refresh`).ino, before, kind);
  }
  assertEquals(names(outside), ["canary"]);
  assertEquals(Deno.readTextFileSync(`${outside}/canary`), "alive");
});

Deno.test("a directory that vanished is an error, and works again when it is back", () => {
  const folder = scratchDirectory("refresh");
  Deno.renameSync(folder, `${folder}.away`);
  assertThrows(() => toggleTrigger(fromText(folder)), TriggerBlocked, "it is gone");
  Deno.renameSync(`${folder}.away`, folder);
  assertEquals(toggleTrigger(fromText(folder)), "created");
});
