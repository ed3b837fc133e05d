/** How a file gets to whatever listens at a Unix socket: as a descriptor where that is understood, as a stream elsewhere. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { Reactor } from "../../ffi/reactor.ts";
import type { Verdict } from "../../src/scanning/scanner.ts";
import { SocketScanner } from "../../src/scanning/socket_scanner.ts";
import { clean } from "../support/eicar.ts";
import {
  answering,
  type FakeAnswer,
  FakeClamd,
  type FakeCommand,
  prefix,
} from "../support/fake_clamd.ts";
import { CLEAN, fileOf } from "../support/scanner_bench.ts";
import { sleep } from "../support/wait.ts";

class SocketBench implements AsyncDisposable {
  readonly #reactor = new Reactor();
  readonly scanner: SocketScanner;

  constructor(socket: string, concurrency = 1, streamingMs?: number) {
    const options = { reactor: this.#reactor, socket, concurrency, onTrouble: () => undefined };
    this.scanner = new SocketScanner(options, streamingMs);
  }

  async scan(): Promise<Verdict> {
    using file = fileOf(clean(0, 100));
    return await this.scanner.scan(file, 100);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.scanner.close();
    await this.#reactor.stop();
    this.#reactor[Symbol.dispose]();
  }
}

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
  await using bench = new SocketBench(clamd.socket, 1, streamingMs);
  const verdicts: Verdict["kind"][] = [];
  for (let i = 0; i < count; i++) verdicts.push((await bench.scan()).kind);
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

const TOO_LARGE = "INSTREAM size limit exceeded. ERROR\0";

/** Answers descriptors after longer than silence may last. */
const slowly = (answer: string) => async ({ name, id }: FakeCommand): Promise<FakeAnswer> => {
  if (name !== "FILDES") return TOO_LARGE;
  await sleep(2_500);
  return `${prefix(id)}${answer}`;
};

Deno.test("I1: what takes longer than silence may last, and is too large for a stream, has its verdict in the end", async () => {
  await using clamd = FakeClamd.start(answering(slowly("fd[9]: Eicar FOUND\0")));
  await using bench = new SocketBench(clamd.socket);
  assertEquals((await bench.scan()).kind, "infected");
  clamd.answer = answering(({ name, id }) => name === "FILDES" ? `${prefix(id)}${OK}` : TOO_LARGE);
  assertEquals((await bench.scan()).kind, "clean", "descriptors are understood");
  assertEquals(clamd.count("INSTREAM"), 1);
});

Deno.test("where a slow descriptor's verdict comes after the stream's, descriptors are passed on again", async () => {
  await using clamd = FakeClamd.start(
    answering(({ name, id }) => name === "FILDES" ? slowly(OK)({ name, id }) : STREAM_OK),
  );
  await using bench = new SocketBench(clamd.socket);
  assertEquals((await bench.scan()).kind, "clean");
  assertEquals((await bench.scan()).kind, "clean");
  assertEquals([clamd.count("FILDES"), clamd.count("INSTREAM")], [1, 2]);
  await sleep(1_000);
  clamd.answer = answering(({ id }) => `${prefix(id)}${OK}`);
  assertEquals((await bench.scan()).kind, "clean");
  assertEquals([clamd.count("FILDES"), clamd.count("INSTREAM")], [2, 2]);
});

Deno.test("I7: while the first file has no verdict yet, the others do not wait for it", async () => {
  let isFirst = true;
  await using clamd = FakeClamd.start(answering(({ name, id }) => {
    const answer = name === "FILDES" && !isFirst ? `${prefix(id)}${OK}` : "hang";
    if (name === "FILDES") isFirst = false;
    return answer;
  }));
  await using bench = new SocketBench(clamd.socket, 4);
  const [first, ...others] = Array.from({ length: 10 }, () => bench.scan());
  assertEquals((await Promise.all(others)).map(({ kind }) => kind), Array(9).fill(CLEAN.kind));
  bench.scanner.close();
  assertEquals((await first)?.kind, "error");
});

Deno.test("after a mishap descriptors are tried again, some time later", async () => {
  const mishaps = [OUT_OF_MEMORY];
  const answers = { FILDES: () => mishaps.pop() ?? OK, INSTREAM: STREAM_OK };
  const { verdicts, clamd } = await scanned(5, answers, 0);
  assertEquals(verdicts, Array(5).fill(CLEAN.kind));
  assertEquals([clamd.count("FILDES"), clamd.count("INSTREAM")], [5, 1]);
});
