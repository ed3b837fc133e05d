/** The scanner against a clamd that misbehaves: nothing throws, nothing is taken for what it is not. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { clean, EICAR } from "../support/eicar.ts";
import { type FakeAnswer, FakeClamd, type FakeCommand } from "../support/fake_clamd.ts";
import { CLEAN, openSockets, reasonOf, ScannerBench, WAYS } from "../support/scanner_bench.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { waitFor } from "../support/wait.ts";

/** A clamd that is alive, and answers to scans as `answer` says. */
function fake(answer: (id: number) => FakeAnswer): FakeClamd {
  return FakeClamd.start(alive(answer));
}

function alive(answer: (id: number) => FakeAnswer): (command: FakeCommand) => FakeAnswer {
  return ({ name, id }) => name === "PING" ? "PONG\0" : id === undefined ? "hang" : answer(id);
}

Deno.test("answers in single bytes are read as they are", async () => {
  await using clamd = fake((id) => [...`${id}: fd[9]: Eicar FOUND\0`]);
  await using bench = new ScannerBench(clamd.socket);
  const found = { kind: "infected", signature: "Eicar" } as const;
  assertEquals(await Promise.all([1, 2, 3].map(() => bench.scan(EICAR))), [found, found, found]);
  assertEquals(await bench.scan(EICAR), found);
});

Deno.test("I1: garbage, wrong numbers and answers without end are errors", async () => {
  const answers: readonly ((id: number) => FakeAnswer)[] = [
    () => "fd[9]: OK\0",
    (id) => `${id + 1}: fd[9]: OK\0`,
    (id) => `${id}: OK\0`,
    (id) => `${id}: fd[9]: OK maybe\0`,
    () => "HTTP/1.1 400 Bad Request\r\n\r\n",
    () => "\x01\x02\xff\n",
    () => "x".repeat(200_000),
    (id) => `${id}: fd[9]: ERROR\0`,
    () => "UNKNOWN COMMAND\0",
  ];
  let next = 0;
  await using clamd = fake((id) => answers[next++ % answers.length]?.(id) ?? "hang");
  await using bench = new ScannerBench(clamd.socket, { concurrency: 1 });
  for (let i = 0; i < 2 * answers.length; i++) {
    const verdict = await bench.scan(EICAR);
    assertEquals(verdict.kind, "error", `answer ${i % answers.length}: ${JSON.stringify(verdict)}`);
  }
  assertEquals(bench.told, [], "it is alive, after all");
  clamd.answer = alive((id) => `${id}: fd[9]: OK\0`);
  assertEquals(await bench.scan(EICAR), CLEAN);
});

Deno.test("I1: a late second answer to an earlier file is not taken for this one's", async () => {
  await using clamd = fake((id) =>
    id === 1 ? "1: fd[9]: OK\0" : [`${id - 1}: fd[9]: Other FOUND\0`, `${id}: fd[9]: OK\0`]
  );
  await using bench = new ScannerBench(clamd.socket, { concurrency: 1 });
  for (let i = 0; i < 4; i++) assertEquals(await bench.scan(EICAR), CLEAN);
  assertEquals(clamd.count("IDSESSION"), 1);
});

/** Answers to a scan, and whether they are a verdict. */
const BEHAVIOURS: readonly {
  readonly right: boolean;
  answer(id: number, verdict: string): FakeAnswer;
}[] = [
  { right: true, answer: (id, verdict) => `${id}: ${verdict}\0` },
  { right: true, answer: (id, verdict) => [`${id}: fd`, `${verdict.slice(2)}\n`] },
  { right: true, answer: (id, verdict) => [`${id}: ${verdict}\0`, `${id}: ${verdict}\0`] },
  { right: false, answer: (id, verdict) => `${id - 1}: ${verdict}\0` },
  { right: false, answer: (id, verdict) => `${id}: ${verdict.replace(" FOUND", "")}\0` },
  { right: false, answer: (_, verdict) => `${verdict}\0` },
  { right: false, answer: () => "COMMAND READ TIMED OUT\n" },
  { right: false, answer: () => "close" },
];

Deno.test("a property: whatever clamd does, each verdict is one that it gave, and given once", async () => {
  const behaviours = fc.array(fc.constantFrom(...BEHAVIOURS), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(behaviours, async (behaviours) => {
      const right = new Map<string, boolean>();
      await using clamd = fake((id) => {
        const name = `Signature${right.size}`;
        const behaviour = behaviours[right.size % behaviours.length];
        right.set(name, behaviour?.right ?? false);
        return behaviour?.answer(id, `fd[9]: ${name} FOUND`) ?? "hang";
      });
      await using bench = new ScannerBench(clamd.socket, { concurrency: 4, scanTimeoutMs: 500 });
      const verdicts = await Promise.all(Array.from({ length: 40 }, () => bench.scan(EICAR)));
      const names: string[] = [];
      for (const verdict of verdicts) {
        if (verdict.kind === "infected") names.push(verdict.signature);
        else assertEquals(verdict.kind, "error");
      }
      assertEquals(new Set(names).size, names.length, "none was given twice");
      for (const name of names) assertEquals(right.get(name), true, name);
    }),
    { numRuns: 15 },
  );
});

Deno.test("a connection that ends when it is used again is replaced once; a new one is not", async () => {
  await using clamd = fake((id) => id === 2 ? "close" : `${id}: fd[9]: OK\0`);
  await using bench = new ScannerBench(clamd.socket, { concurrency: 1 });
  for (let i = 0; i < 5; i++) assertEquals(await bench.scan(EICAR), CLEAN);
  clamd.answer = alive(() => "close");
  const before = clamd.count("FILDES");
  assertMatch(reasonOf(await bench.scan(EICAR)), /ended the connection/);
  assertMatch(reasonOf(await bench.scan(EICAR)), /ended the connection/);
  assertEquals(clamd.count("FILDES") - before, 3);
  assertEquals(bench.told, [], "it answers when it is asked");
});

Deno.test("an answer that has begun is not asked for again elsewhere", async () => {
  const path = `${scratchDirectory("cut-off")}/clamd.ctl`;
  using listener = Deno.listen({ transport: "unix", path });
  let connections = 0;
  const served = (async () => {
    using connection = await listener.accept();
    connections++;
    for (const answer of ["1: fd[9]: OK\0", "2: fd[9]: O"]) {
      await connection.read(new Uint8Array(100));
      await connection.write(new TextEncoder().encode(answer));
    }
  })();
  await using bench = new ScannerBench(path, { concurrency: 1 });
  assertEquals(await bench.scan(EICAR), CLEAN);
  assertMatch(reasonOf(await bench.scan(EICAR)), /ended the connection/);
  await served;
  assertEquals(connections, 1);
});

Deno.test("I6: connections that slow scans needed beyond the limit end, too", async () => {
  let scans = 0;
  const slowly = new Array<string>(250).fill(""); // one every 10 ms
  await using clamd = fake((id) => {
    const answer = `${id}: fd[9]: OK\0`;
    return scans++ < 4 ? [...slowly, answer] : answer;
  });
  const before = openSockets();
  await using bench = new ScannerBench(clamd.socket, { concurrency: 2 });
  await Promise.all(Array.from({ length: 4 }, () => bench.scan(EICAR)));
  assertEquals(clamd.count("IDSESSION"), 4);
  // Both ends of each are in this process.
  await waitFor("none is left", () => openSockets() === before);
});

Deno.test("I7: a scan without an answer poisons its own connection only, and blocks nobody", async () => {
  let scans = 0;
  await using clamd = fake((id) => scans++ < 2 ? "hang" : `${id}: fd[9]: OK\0`);
  await using bench = new ScannerBench(clamd.socket, { concurrency: 2, scanTimeoutMs: 6000 });
  let ended = 0;
  const stuck = [1, 2].map(() => bench.scan(EICAR).finally(() => ended++));
  const others = await Promise.all(Array.from({ length: 20 }, () => bench.scan(EICAR)));
  assertEquals(ended, 0, "they did not wait for the others' end");
  assert(others.every(({ kind }) => kind === "clean"));
  for (const verdict of await Promise.all(stuck)) {
    assertMatch(reasonOf(verdict), /no verdict within 6 s/);
  }
  assert(clamd.count("PING") >= 1, "it was asked whether it is alive");
  assertEquals(bench.told, []);
});

Deno.test("I6: a clamd that fails every scan and does not answer is not stormed", async () => {
  await using clamd = FakeClamd.start(() => "close");
  await using bench = new ScannerBench(clamd.socket, { concurrency: 4 });
  const verdicts = await Promise.all(Array.from({ length: 1000 }, () => bench.scan(EICAR)));
  assert(verdicts.every(({ kind }) => kind === "error"));
  assert(clamd.commands.length < 40, `${clamd.commands.length} commands for 1000 files`);
  assertEquals(bench.told.length, 1);
});

Deno.test("a listener that takes connections and never answers is told as such", async () => {
  await using clamd = FakeClamd.start(() => "hang");
  await using bench = new ScannerBench(clamd.socket);
  const answer = await bench.scanner.check();
  assert(!answer.available);
  assertMatch(answer.reason, /clamd at .* does not answer/);
});

Deno.test("a listener that is something else is told as such", async () => {
  await using clamd = FakeClamd.start(() => "220 mail.example ESMTP\r\n");
  await using bench = new ScannerBench(clamd.socket);
  const answer = await bench.scanner.check();
  assert(!answer.available);
  assertMatch(answer.reason, /makes no sense: 220 mail\.example ESMTP\\x0d$/);
});

Deno.test("a stream that is refused while nobody reads it ends with the refusal", async () => {
  const path = `${scratchDirectory("refuses")}/clamd.ctl`;
  using listener = Deno.listen({ transport: "unix", path });
  const accepted = listener.accept();
  await using bench = new ScannerBench(path, { way: "INSTREAM", concurrency: 1 });
  const scan = bench.scan(clean(1, 10), 200 * 1024 * 1024);
  using connection = await accepted;
  await connection.write(new TextEncoder().encode("INSTREAM size limit exceeded. ERROR\n"));
  assertEquals((await scan).kind, "unscannable");
});

for (const KiB of [8192, 250]) {
  Deno.test(`I1: an OK before the whole of ${KiB} KiB is there is none`, async () => {
    const path = `${scratchDirectory("hasty")}/clamd.ctl`;
    using listener = Deno.listen({ transport: "unix", path });
    await using bench = new ScannerBench(path, { way: "INSTREAM", concurrency: 1 });
    const scan = bench.scan(clean(1, 10), KiB * 1024);
    const connection = await listener.accept();
    await connection.write(new TextEncoder().encode("stream: OK\0"));
    connection.close();
    assertMatch(reasonOf(await scan), /said OK before/);
  });
}

for (const way of WAYS) {
  Deno.test(`a scanner that is closed ends its scans as errors, and leaves nothing, by ${way}`, async () => {
    await using clamd = FakeClamd.start(() => "hang");
    const bench = new ScannerBench(clamd.socket, { way, concurrency: 2 });
    const scans = Array.from({ length: 5 }, () => bench.scan(EICAR));
    await waitFor("they are under way", () => clamd.commands.length >= 2);
    await bench[Symbol.asyncDispose]();
    for (const verdict of await Promise.all(scans)) assertMatch(reasonOf(verdict), /closed/);
    assertMatch(reasonOf(await bench.scan(EICAR)), /closed/);
  });
}
