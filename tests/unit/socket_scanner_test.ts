/** How a file gets to whatever listens at a Unix socket: as a descriptor where that is understood, as a stream elsewhere. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { Reactor } from "../../ffi/reactor.ts";
import type { Verdict } from "../../src/scanning/scanner.ts";
import { SocketScanner } from "../../src/scanning/socket_scanner.ts";
import { clean } from "../support/eicar.ts";
import { answering, type FakeAnswer, FakeClamd, prefix } from "../support/fake_clamd.ts";
import { CLEAN, fileOf } from "../support/scanner_bench.ts";

/** Scans `count` files, one after the other, by a clamd that answers so. */
async function scanned(
  count: number,
  answers: { readonly FILDES: () => FakeAnswer; readonly INSTREAM: FakeAnswer },
  streamingMs?: number,
): Promise<{ readonly verdicts: Verdict["kind"][]; readonly clamd: FakeClamd }> {
  await using clamd = FakeClamd.start(({ name, id }) => {
    if (name === "FILDES") {
      const answer = answers.FILDES();
      return answer === "hang" ? answer : `${prefix(id)}${answer}`;
    }
    if (name === "INSTREAM") return answers.INSTREAM;
    return `${prefix(id)}PONG\0`;
  });
  const reactor = new Reactor();
  const scanner = new SocketScanner(
    { reactor, socket: clamd.socket, concurrency: 1, onTrouble: () => undefined },
    streamingMs,
  );
  const verdicts: Verdict["kind"][] = [];
  for (let i = 0; i < count; i++) {
    using file = fileOf(clean(i, 100));
    verdicts.push((await scanner.scan(file, 100)).kind);
  }
  scanner.close();
  await reactor.stop();
  reactor[Symbol.dispose]();
  return { verdicts, clamd };
}

const UNKNOWN = "UNKNOWN COMMAND\0";
const OUT_OF_MEMORY = "fd[9]: Can't allocate memory ERROR\0";
const OK = "fd[9]: OK\0";
const STREAM_OK = "stream: OK\0";

Deno.test("where only streams are understood, descriptors are not tried each time", async () => {
  const answers = { FILDES: () => UNKNOWN, INSTREAM: STREAM_OK };
  const { verdicts, clamd } = await scanned(5, answers);
  assertEquals(verdicts, Array(5).fill(CLEAN.kind));
  assertEquals([clamd.count("FILDES"), clamd.count("INSTREAM")], [1, 5]);
});

Deno.test("where nothing is said to descriptors, the content is streamed", async () => {
  const answers = { FILDES: () => "hang" as const, INSTREAM: STREAM_OK };
  const { verdicts, clamd } = await scanned(5, answers);
  assertEquals(verdicts, Array(5).fill(CLEAN.kind));
  assertEquals([clamd.count("FILDES"), clamd.count("INSTREAM")], [1, 5]);
});

Deno.test("I7: while the first file has no verdict yet, the others do not wait for it", async () => {
  let isFirst = true;
  await using clamd = FakeClamd.start(answering(({ name, id }) => {
    const answer = name === "FILDES" && !isFirst ? `${prefix(id)}${OK}` : "hang";
    if (name === "FILDES") isFirst = false;
    return answer;
  }));
  const reactor = new Reactor();
  const scanner = new SocketScanner(
    { reactor, socket: clamd.socket, concurrency: 4, onTrouble: () => undefined },
  );
  using file = fileOf(clean(0, 100));
  const [first, ...others] = Array.from({ length: 10 }, () => scanner.scan(file, 100));
  assertEquals((await Promise.all(others)).map(({ kind }) => kind), Array(9).fill(CLEAN.kind));
  assertEquals(clamd.count("INSTREAM"), 1);
  scanner.close();
  assertEquals((await first)?.kind, "error");
  await reactor.stop();
  reactor[Symbol.dispose]();
});

Deno.test("after a mishap descriptors are tried again, some time later", async () => {
  const mishaps = [OUT_OF_MEMORY];
  const answers = { FILDES: () => mishaps.pop() ?? OK, INSTREAM: STREAM_OK };
  const { verdicts, clamd } = await scanned(5, answers, 0);
  assertEquals(verdicts, Array(5).fill(CLEAN.kind));
  assertEquals([clamd.count("FILDES"), clamd.count("INSTREAM")], [5, 1]);
});
