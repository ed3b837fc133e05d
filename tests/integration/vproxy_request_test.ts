/** One guest, one request, and a clamd that behaves as badly as it can: clamd-vproxy in this process. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import fc from "fast-check";
import { Reactor } from "../../ffi/reactor.ts";
import { logger } from "../../src/logging/logging.ts";
import { Proxy, type ProxyOptions } from "../../src/vproxy/proxy.ts";
import { scratchDirectory } from "../support/scratch.ts";
import {
  ask,
  bytes,
  chunksOf,
  endsStream,
  Guest,
  instream,
  RawClamd,
  type RawConnection,
} from "../support/stream_peer.ts";
import { sleep, waitFor } from "../support/wait.ts";

type Limits = ProxyOptions["limits"];

const LIMITS: Limits = {
  maxConnections: 10,
  maxConnectionsPerGuest: 10,
  maxChunkSize: 1024 * 1024,
  maxStreamSize: 4 * 1024 * 1024,
  commandTimeoutMs: 30_000,
  readTimeoutMs: 30_000,
  streamTimeoutMs: 30_000,
};

interface World extends AsyncDisposable {
  readonly clamd: RawClamd;
  readonly path: string;
  /** Another guest's socket. */
  readonly otherPath: string;
  readonly proxy: Proxy;
}

function start(
  serve: (connection: RawConnection) => Promise<void>,
  limits?: Partial<Limits>,
): World {
  const clamd = RawClamd.start(serve);
  const folder = scratchDirectory("vproxy");
  const reactor = new Reactor();
  const proxy = new Proxy(reactor, {
    clamd: { family: "unix", path: clamd.socket },
    limits: { ...LIMITS, ...limits },
    log: logger("vproxy"),
  });
  const [path, otherPath] = [`${folder}/guest`, `${folder}/other`];
  proxy.listen({ family: "unix", path });
  proxy.listen({ family: "unix", path: otherPath });
  return {
    clamd,
    path,
    otherPath,
    proxy,
    async [Symbol.asyncDispose]() {
      proxy.close();
      await reactor.stop();
      await clamd[Symbol.asyncDispose]();
    },
  };
}

/** A clamd that does its work. */
async function honest(connection: RawConnection): Promise<void> {
  await connection.receive((received) => received.startsWith("zI") || /[\0\n]$/.test(received));
  if (/^.PING/.test(connection.received)) return await connection.reply("PONG\0");
  if (/^.VERSION/.test(connection.received)) return await connection.reply("ClamAV 1.4.3\0");
  if (await connection.receive(endsStream)) await connection.reply("stream: OK\0");
}

/** Takes a whole stream, then says what it is told to. */
function saying(...pieces: readonly string[]): (connection: RawConnection) => Promise<void> {
  return async (connection) => {
    if (await connection.receive(endsStream)) await connection.reply(...pieces);
  };
}

const SOME = bytes("some content");

Deno.test("the six forms reach clamd byte for byte, and its answers come back whole", async () => {
  await using world = start(async (connection) => {
    await connection.receive((received) =>
      received.includes("INSTREAM") ? endsStream(received) : /.[\0\n]$/.test(received)
    );
    await connection.reply(`answer to ${connection.received.slice(1, 5)}\0`);
  });
  const requests = ["zPING\0", "nPING\n", "zVERSION\0", "nVERSION\n"];
  for (const request of requests) {
    assertEquals(await ask(world.path, request), `answer to ${request.slice(1, 5)}\0`);
  }
  for (const command of ["zINSTREAM\0", "nINSTREAM\n"]) {
    const request = instream(SOME, 5, command);
    requests.push(String.fromCharCode(...instream(SOME, SOME.length, command)));
    assertEquals(await ask(world.path, request), "answer to INST\0");
  }
  assertEquals(world.clamd.received, requests);
});

Deno.test("whatever a guest sends, in whatever pieces: only the six forms ever reach clamd", async () => {
  await using world = start(honest);
  const forms = ["zPING\0", "nPING\n", "zVERSION\0", "nVERSION\n"];
  const part = fc.oneof(
    fc.constantFrom(...forms, "zINSTREAM\0", "z", "n", "SCAN /\n", "zSHUTDOWN\0", "\0", "\n"),
    fc.string({ maxLength: 3 }).map((text) => text.replace(/[^\0-\xff]/g, "?")),
  );
  const request = fc.array(part, { maxLength: 3 }).map((parts) => parts.join(""));
  await fc.assert(
    fc.asyncProperty(request, fc.integer({ min: 1, max: 12 }), async (request, pieceSize) => {
      using guest = await Guest.connect(world.path);
      await guest.send(request, pieceSize).catch(() => {});
      await guest.endSending().catch(() => {});
      const answer = await guest.answer();
      assertMatch(answer, /^(PONG|ClamAV 1\.4\.3|ERROR: [ -~]+|[ -~]+ ERROR)[\0\n]$/);
    }),
    { numRuns: 300 },
  );
  for (const received of world.clamd.received) {
    assert(
      received === "" || forms.includes(received) || /^[zn]INSTREAM[\0\n]/.test(received),
      JSON.stringify(received),
    );
  }
});

Deno.test("a refused request leaves no byte at clamd, and no connection", async () => {
  await using world = start(honest);
  for (const request of ["zSHUTDOWN\0", "PING\n", "zPING\0zPING\0", "zping\0", "nSTATS\n"]) {
    assertEquals(await ask(world.path, request), "ERROR: Command not allowed\n");
  }
  assertEquals(world.clamd.received, []);
});

Deno.test("a second command that comes while clamd answers the first is refused with it", async () => {
  const sent = Promise.withResolvers<void>();
  await using world = start(async (connection) => {
    await connection.receive((received) => received.endsWith("\0"));
    await sent.promise;
    await connection.reply("PONG\0");
  });
  using guest = await Guest.connect(world.path);
  await guest.send("zPING\0");
  await waitFor("clamd has it", () => world.clamd.received[0] === "zPING\0");
  await guest.send("zSHUTDOWN\0");
  sent.resolve();
  assertEquals(await guest.answer(), "ERROR: Command not allowed\n");
  assertEquals(world.clamd.received, ["zPING\0"]);
});

Deno.test("bytes behind a PING or VERSION are refused with it, also when they come one by one", async () => {
  await using world = start(honest);
  for (const form of ["zPING\0", "nPING\n", "zVERSION\0", "nVERSION\n"]) {
    for (const more of ["\0", "\n", "zSHUTDOWN\0"]) {
      using guest = await Guest.connect(world.path);
      for (const byte of form + more) {
        await guest.send(byte).catch(() => {}); // it may be refused by then
        await sleep(2);
      }
      assertEquals(await guest.answer(), "ERROR: Command not allowed\n", form + more);
    }
  }
  assertEquals(world.clamd.received, [], "nothing of a refused request reaches clamd");
});

Deno.test("an answer is not lost to a guest that goes on sending when it comes", async () => {
  await using world = start(honest);
  const more = new Uint8Array(4 * 1024 * 1024);
  for (
    const [first, answer] of [["zPING\0", "PONG\0"], [instream(SOME), "stream: OK\0"]] as const
  ) {
    const guest = await Deno.connect({ transport: "unix", path: world.path });
    using _ = guest;
    await guest.write(typeof first === "string" ? bytes(first) : first);
    const buffer = new Uint8Array(100);
    const count = await guest.read(buffer);
    assertEquals(new TextDecoder().decode(buffer.subarray(0, count ?? 0)), answer);
    if (first === "zPING\0") await guest.write(more); // a reset would make this fail
    assertEquals(await guest.read(buffer), null, "the end is an orderly one");
  }
});

Deno.test("a request is refused before it is complete, as soon as it cannot be allowed", async () => {
  await using world = start(honest);
  using guest = await Guest.connect(world.path);
  await guest.send("zSHU"); // and then silence
  assertEquals(await guest.answer(), "ERROR: Command not allowed\n");
});

Deno.test("a guest that is refused while it sends 8 MiB still gets to know why", async () => {
  await using world = start(honest);
  const request = new Uint8Array(8 * 1024 * 1024).fill(0x41);
  assertEquals(await ask(world.path, request), "ERROR: Command not allowed\n");
});

Deno.test("I4: every stream's content reaches clamd unchanged, whatever its chunks and pieces", async () => {
  await using world = start(honest);
  const content = fc.uint8Array({ maxLength: 3000, size: "max" });
  const some = fc.integer({ min: 1, max: 4000 });
  await fc.assert(
    fc.asyncProperty(content, some, some, async (content, chunkSize, pieceSize) => {
      const request = instream(content, chunkSize);
      assertEquals(await ask(world.path, request, pieceSize), "stream: OK\0");
      const received = world.clamd.received.at(-1) ?? "";
      assertEquals(chunksOf(received).join(""), String.fromCharCode(...content));
      assert(received.startsWith("zINSTREAM\0") && received.endsWith("\0\0\0\0"));
    }),
    { numRuns: 100 },
  );
});

Deno.test("I7: a stream in chunks of one byte reaches clamd in large ones", async () => {
  await using world = start(honest);
  const content = new Uint8Array(300_000).fill(65);
  assertEquals(await ask(world.path, instream(content, 1)), "stream: OK\0");
  const chunks = chunksOf(world.clamd.received[0] ?? "");
  assertEquals(chunks.join("").length, content.length);
  assertLess(chunks.length, 20); // 5, and one for each half a second that it took
});

Deno.test("I7: also a stream of one byte now and then, of which clamd hears all the time", async () => {
  const heardMs: number[] = [];
  await using world = start(async (connection) => {
    let length = 0;
    await connection.receive((received) => {
      if (received.length > length) heardMs.push(performance.now());
      length = received.length;
      return endsStream(received);
    });
    await connection.reply("stream: OK\0");
  });
  const request = instream(bytes("a slow one ".repeat(10)), 1);
  const startMs = performance.now();
  using guest = await Guest.connect(world.path);
  for (let at = 0; at < request.length; at += 5) {
    await guest.send(request.subarray(at, at + 5));
    await sleep(20);
  }
  assertEquals(await guest.answer(), "stream: OK\0");
  const endMs = performance.now();
  const chunks = chunksOf(world.clamd.received[0] ?? "").length;
  assertLess(chunks, (endMs - startMs) / 500 + 3);
  const pauses = [...heardMs, endMs].map((ms, i) => ms - (heardMs[i - 1] ?? startMs));
  assertLess(Math.max(...pauses), 2000); // half a second, on a machine that has nothing else to do
});

Deno.test("a guest that sends byte by byte, and one that ends its sending, are served", async () => {
  await using world = start(honest);
  assertEquals(await ask(world.path, instream(SOME), 1), "stream: OK\0");
  using guest = await Guest.connect(world.path);
  await guest.send(instream(SOME));
  await guest.endSending();
  assertEquals(await guest.answer(), "stream: OK\0");
});

Deno.test("nothing behind the end mark of a stream reaches clamd", async () => {
  await using world = start(async (connection) => {
    await connection.receive(endsStream);
    await sleep(100);
    await connection.reply("stream: OK\0");
    await connection.receive();
  });
  const request = instream(SOME);
  const all = new Uint8Array([...request, ...bytes("zSHUTDOWN\0")]);
  assertEquals(await ask(world.path, all), "stream: OK\0");
  assertEquals(world.clamd.received, [String.fromCharCode(...request)]);
});

Deno.test("limits of a stream have answers of their own, in clamd's words", async () => {
  await using world = start(honest, { maxChunkSize: 100, maxStreamSize: 250 });
  const content = new Uint8Array(300);
  assertEquals(
    await ask(world.path, instream(content, 101)),
    "INSTREAM chunk size limit exceeded. ERROR\0",
  );
  assertEquals(
    await ask(world.path, instream(content, 100)),
    "INSTREAM size limit exceeded. ERROR\0",
  );
  assertEquals(
    await ask(world.path, instream(content, 100, "nINSTREAM\n")),
    "INSTREAM size limit exceeded. ERROR\n",
  );
  assertEquals(await ask(world.path, instream(content.subarray(50), 100)), "stream: OK\0");
  assertEquals(
    await ask(world.path, "zINSTREAM\0\xff\xff\xff\xffxyz"),
    "INSTREAM chunk size limit exceeded. ERROR\0",
  );
});

Deno.test("clamd's reply in pieces is relayed whole", async () => {
  await using world = start(saying("str", "eam: Some.Vi", "rus FOU", "ND", "\0"));
  assertEquals(await ask(world.path, instream(SOME)), "stream: Some.Virus FOUND\0");
});

Deno.test("a reply that ends in the middle is an error, never a verdict", async () => {
  await using world = start(saying("stream: Some.Virus", " FOU"));
  assertMatch(await ask(world.path, instream(SOME)), /^ERROR: [^\0\n]+\n$/);
});

Deno.test("even a whole-looking reply without its end is none: OK may go on", async () => {
  await using world = start(saying("stream: OK"));
  assertMatch(await ask(world.path, instream(SOME)), /^ERROR: [^\0\n]+\n$/);
});

Deno.test("no reply at all, or one without end, is an error too", async () => {
  for (const clamd of [saying(), saying("x".repeat(100_000))]) {
    await using world = start(clamd);
    assertMatch(await ask(world.path, instream(SOME)), /^ERROR: [^\0\n]+\n$/);
  }
});

Deno.test("clamd that refuses a stream while the guest still sends is heard", async () => {
  await using world = start(async (connection) => {
    await connection.receive((received) => received.length > 1000);
    await connection.reply("INSTREAM size limit exceeded. ERROR\0");
  }, { maxStreamSize: 64 * 1024 * 1024 });
  const request = instream(new Uint8Array(32 * 1024 * 1024), 512 * 1024);
  assertEquals(await ask(world.path, request), "INSTREAM size limit exceeded. ERROR\0");
});

Deno.test("clamd that refuses a stream while the guest sends nothing is heard at once", async () => {
  await using world = start(async (connection) => {
    await connection.receive((received) => received.length > 10);
    await connection.reply("INSTREAM: Can't write to temporary file. ERROR\0");
    await connection.receive();
  });
  using guest = await Guest.connect(world.path);
  await guest.send("zINSTREAM\0\0\0\0\x09abc");
  assertEquals(await guest.answer(), "INSTREAM: Can't write to temporary file. ERROR\0");
});

Deno.test("I1: a clean verdict on a part of a stream is not passed on", async () => {
  await using world = start(async (connection) => {
    await connection.receive((received) => received.length > 10);
    await connection.reply("stream: OK\0");
    await connection.receive();
  });
  using guest = await Guest.connect(world.path);
  await guest.send("zINSTREAM\0\0\0\0\x09abc");
  assertMatch(await guest.answer(), /^ERROR: /);
});

Deno.test("clamd that is gone: an error line, and service again when it is back", async () => {
  await using world = start(honest);
  const away = `${world.clamd.socket}.away`;
  await Deno.rename(world.clamd.socket, away);
  assertEquals(await ask(world.path, "zPING\0"), "ERROR: Scanner not available\n");
  assertEquals(await ask(world.path, instream(SOME)), "ERROR: Scanner not available\n");
  await Deno.rename(away, world.clamd.socket);
  assertEquals(await ask(world.path, "zPING\0"), "PONG\0");
});

Deno.test("a stream that stops in the middle is told so", async () => {
  await using world = start(honest);
  using guest = await Guest.connect(world.path);
  await guest.send("zINSTREAM\0\0\0\0\x09abc");
  await guest.endSending();
  assertMatch(await guest.answer(), /^ERROR: Stream ended before its end mark\n$/);
  await waitFor("clamd is let go", () => world.clamd.connections.every(({ isClosed }) => isClosed));
});

Deno.test("each timeout has its answer, and clamd is let go", async () => {
  const silent = async (connection: RawConnection) => void await connection.receive();
  await using world = start(silent, {
    commandTimeoutMs: 300,
    readTimeoutMs: 600,
    streamTimeoutMs: 1200,
  });
  const cases: [string, string][] = [
    ["", "ERROR: Command timed out\n"],
    ["zINST", "ERROR: Command timed out\n"],
    ["zINSTREAM\0\0\0\0\x09abc", "ERROR: Stream timed out: no data came for too long\n"],
    ["zPING\0", "ERROR: Scanner did not answer in time\n"],
    ["zINSTREAM\0\0\0\0\0", "ERROR: Stream timed out: it took too long as a whole\n"],
  ];
  await Promise.all(cases.map(async ([request, answer]) => {
    assertEquals(await ask(world.path, request), answer);
  }));
  await waitFor("clamd is let go", () => world.clamd.connections.every(({ isClosed }) => isClosed));
});

Deno.test("a guest that sends a byte now and then cannot stretch the time for its command or stream", async () => {
  await using world = start(honest, { commandTimeoutMs: 500, streamTimeoutMs: 1000 });
  /** Sends the bytes one by one, until there is an answer. */
  const trickle = async (request: string, pauseMs: number): Promise<string> => {
    using guest = await Guest.connect(world.path);
    let isAnswered = false;
    const answer = guest.answer().finally(() => isAnswered = true);
    for (let i = 0; i < request.length && !isAnswered; i++) {
      await guest.send(request.charAt(i)).catch(() => {});
      await sleep(pauseMs);
    }
    return await answer;
  };
  const [command, stream] = await Promise.all([
    trickle("zINSTREAM\0", 1000),
    trickle(`zINSTREAM\0\0\0\x01\0${"x".repeat(255)}`, 40),
  ]);
  assertEquals(command, "ERROR: Command timed out\n");
  assertMatch(stream, /^ERROR: Stream timed out: it took too long/);
});

Deno.test("a guest that vanishes lets clamd go: in its command, in its stream, waiting for a PONG", async () => {
  await using world = start(async (connection) => void await connection.receive());
  for (const request of ["zINST", "zINSTREAM\0\0\0\0\x09abc", "zPING\0"]) {
    const guest = await Guest.connect(world.path);
    await guest.send(request);
    await sleep(50);
    guest.close();
  }
  await waitFor("clamd is let go", () =>
    world.clamd.connections.length === 2 &&
    world.clamd.connections.every(({ isClosed }) => isClosed));
});

Deno.test("I7: a guest that vanishes has its place back when clamd has scanned for it, not before", async () => {
  const scanned = Promise.withResolvers<void>();
  await using world = start(async (connection) => {
    await connection.receive(endsStream);
    await scanned.promise;
    await connection.reply("stream: OK\0");
  }, { maxConnectionsPerGuest: 2 });
  for (let i = 0; i < 2; i++) {
    const guest = await Guest.connect(world.path);
    await guest.send(instream(SOME));
    await waitFor("clamd has it", () => endsStream(world.clamd.received[i] ?? ""));
    guest.close();
  }
  await sleep(1500);
  assertEquals(await ask(world.path, instream(SOME)), "ERROR: Too many connections\n");
  scanned.resolve();
  await waitFor(
    "its places are free",
    async () => await ask(world.path, instream(SOME)) === "stream: OK\0",
  );
});

Deno.test("I7: but no longer than a stream may take", async () => {
  const silent = async (connection: RawConnection) => void await connection.receive();
  await using world = start(silent, { maxConnectionsPerGuest: 1, streamTimeoutMs: 1000 });
  const guest = await Guest.connect(world.path);
  await guest.send(instream(SOME));
  guest.close();
  await waitFor(
    "its place is free",
    async () => /took too long/.test(await ask(world.path, instream(SOME))),
  );
  await waitFor("clamd is let go", () => world.clamd.connections.every(({ isClosed }) => isClosed));
});

Deno.test("when the proxy stops, a scan under way still gets its verdict", async () => {
  await using world = start(async (connection) => {
    await connection.receive(endsStream);
    await sleep(300);
    await connection.reply("stream: OK\0");
  });
  const scan = ask(world.path, instream(SOME));
  using idle = await Guest.connect(world.path);
  await waitFor("the scan is under way", () => world.clamd.connections.length === 1);
  await Promise.all([
    world.proxy.finish(),
    idle.answer().then((answer) => {
      assertEquals(answer, "ERROR: Proxy is stopping\n");
    }),
  ]);
  assertEquals(await scan, "stream: OK\0");
});

Deno.test("I7: a guest has its limit, all together have theirs, and places come back", async () => {
  await using world = start(honest, { maxConnections: 5, maxConnectionsPerGuest: 3 });
  const tooMany = "ERROR: Too many connections\n";
  const hogs = await Promise.all([1, 2, 3].map(() => Guest.connect(world.path)));
  assertEquals(await ask(world.path, "zPING\0"), tooMany);
  assertEquals(await ask(world.otherPath, "zPING\0"), "PONG\0");
  const others = await Promise.all([1, 2].map(() => Guest.connect(world.otherPath)));
  assertEquals(await ask(world.otherPath, "zPING\0"), tooMany, "five are served");
  hogs[0]?.close();
  await waitFor("the place is free", async () => await ask(world.path, "zPING\0") === "PONG\0");
  for (const guest of [...hogs, ...others]) guest.close();
});

Deno.test("I7: a guest that streams as fast as it can does not stop another", async () => {
  await using world = start(async (connection) => {
    await connection.receive((received) => received.length >= 6);
    if (connection.received === "zPING\0") return await connection.reply("PONG\0");
    while (await connection.receive((received) => received !== "")) connection.received = "";
  }, { maxStreamSize: 2 ** 40 });
  using hog = await Guest.connect(world.otherPath);
  const chunk = new Uint8Array(4 + 1024 * 1024);
  new DataView(chunk.buffer).setUint32(0, 1024 * 1024);
  let isOver = false;
  const hogging = (async () => {
    await hog.send("zINSTREAM\0");
    while (!isOver) await hog.send(chunk);
  })();
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    assertEquals(await ask(world.path, "zPING\0"), "PONG\0");
    times.push(performance.now() - start);
  }
  isOver = true;
  await hogging;
  assertLess(Math.max(...times), 5000);
});

Deno.test("I9: what a guest sends is not repeated to others, nor what clamd sends interpreted", async () => {
  await using world = start(saying("stream: \x1b[31mEvil\x07 FOUND\0"));
  const answer = await ask(world.path, instream(SOME));
  assertEquals(answer, "stream: \x1b[31mEvil\x07 FOUND\0");
  assertEquals(await ask(world.path, "z\x1b[31m\0"), "ERROR: Command not allowed\n");
});
