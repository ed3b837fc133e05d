/** Waiting for sockets, on real ones. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import fc from "fast-check";
import { Connection, Listener } from "../../ffi/connection.ts";
import { SystemError } from "../../ffi/errno.ts";
import { nextTurn, Reactor, type ReactorOptions } from "../../ffi/reactor.ts";
import {
  acceptFrom,
  type Address,
  listenOn,
  socketPair,
  startConnecting,
} from "../../ffi/socket.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { sleep, waitFor } from "../support/wait.ts";

async function withPair(
  test: (left: Connection, right: Connection) => Promise<void>,
  options: ReactorOptions = {},
): Promise<void> {
  const reactor = new Reactor(options);
  const [left, right] = socketPair();
  try {
    await test(new Connection(reactor, left), new Connection(reactor, right));
  } finally {
    left.close();
    right.close();
    await reactor.stop();
  }
}

function newAddress(): Address {
  return { family: "unix", path: `${scratchDirectory("connection")}/s` };
}

Deno.test("all bytes arrive in order, whatever the sizes of reads and writes", async () => {
  const size = fc.integer({ min: 1, max: 300_000 });
  await fc.assert(
    fc.asyncProperty(fc.array(size, { maxLength: 8 }), size, fc.boolean(), async (
      writes,
      readSize,
      lingers,
    ) => {
      await withPair(async (left, right) => {
        const total = writes.reduce((sum, some) => sum + some, 0);
        let written = 0;
        const writing = (async () => {
          for (const length of writes) {
            await left.write(Uint8Array.from({ length }, () => written++ % 251));
          }
          left.shutdownWrite();
        })();
        const buffer = new Uint8Array(readSize);
        let read = 0;
        for (let count; (count = await right.read(buffer)) > 0;) {
          for (let i = 0; i < count; i++) {
            if (buffer[i] !== read++ % 251) throw new Error(`wrong byte at ${read - 1}`);
          }
        }
        assertEquals(read, total);
        await writing;
      }, { lingers });
    }),
    { numRuns: 20 },
  );
});

Deno.test("a read and a write wait side by side on the same connection", async () => {
  await withPair(async (left, right) => {
    const big = left.write(new Uint8Array(2_000_000)); // more than the buffers hold
    const reading = left.read(new Uint8Array(8));
    await right.write(Uint8Array.of(1, 2, 3));
    assertEquals(await reading, 3);
    const sink = new Uint8Array(100_000);
    for (let got = 0; got < 2_000_000;) got += await right.read(sink);
    await big;
  });
});

Deno.test("a wait that takes too long is ETIMEDOUT, and the connection goes on", async () => {
  await withPair(async (left, right) => {
    const error = await assertRejects(() => left.read(new Uint8Array(1), 20), SystemError);
    assertEquals(error.code, "ETIMEDOUT");
    await right.write(Uint8Array.of(7));
    assertEquals(await left.read(new Uint8Array(1), 5000), 1);
  });
});

Deno.test("a reactor that lingers hears what comes at once, and what comes much later", async () => {
  await withPair(async (left, right) => {
    for (const pauseMs of [0, 0, 0, 50, 0, 5]) {
      const reading = left.read(new Uint8Array(1));
      await sleep(pauseMs);
      await right.write(Uint8Array.of(1));
      assertEquals(await reading, 1);
    }
  }, { lingers: true });
});

Deno.test("closing ends every wait with ECONNABORTED", async () => {
  await withPair(async (left) => {
    const waits = [left.readable(), left.write(new Uint8Array(2_000_000))];
    await nextTurn();
    left.close();
    for (const wait of waits) {
      assertEquals((await assertRejects(() => wait, SystemError)).code, "ECONNABORTED");
    }
    const later = [left.read(new Uint8Array(1)), left.write(new Uint8Array(1)), left.writable()];
    for (const wait of later) {
      assertEquals((await assertRejects(() => wait, SystemError)).code, "ECONNABORTED");
    }
  });
});

Deno.test("a woken wait settles; a woken read goes on waiting", async () => {
  await withPair(async (left, right) => {
    const waiting = left.readable();
    left.wake();
    await waiting;
    const reading = left.read(new Uint8Array(1));
    left.wake();
    await nextTurn();
    await right.write(Uint8Array.of(1));
    assertEquals(await reading, 1);
  });
});

Deno.test("a peer that ends or vanishes wakes whoever waits", async () => {
  await withPair(async (left, right) => {
    const reading = left.read(new Uint8Array(1));
    right.shutdownWrite();
    assertEquals(await reading, 0);
    const writing = left.write(new Uint8Array(2_000_000));
    await nextTurn();
    right.close();
    assertEquals((await assertRejects(() => writing, SystemError)).code, "EPIPE");
  });
});

Deno.test("nobody waits: neither data nor a vanished peer makes the process spin", async () => {
  await withPair(async (left, right) => {
    await right.write(Uint8Array.of(1));
    await left.readable();
    assertEquals(await left.read(new Uint8Array(1)), 1); // there was interest once
    await right.write(Uint8Array.of(2)); // ready, and nobody asks
    let before = cpuTimeMs();
    await sleep(400);
    assertLess(cpuTimeMs() - before, 200);
    right.close();
    before = cpuTimeMs();
    await sleep(400);
    assertLess(cpuTimeMs() - before, 200);
    assertEquals(await left.read(new Uint8Array(1)), 1, "what had come is still there");
    assertEquals(await left.read(new Uint8Array(1)), 0);
  });
});

/** User and system time of this process. */
function cpuTimeMs(): number {
  const fields = Deno.readTextFileSync("/proc/self/stat").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

Deno.test("connecting: ENOENT and ECONNREFUSED name the path", async () => {
  const reactor = new Reactor();
  const address = newAddress();
  const path = address.family === "unix" ? address.path : "";
  const missing = await assertRejects(
    () => Connection.connect(reactor, address, 1000),
    SystemError,
    path,
  );
  assertEquals(missing.code, "ENOENT");
  Deno.writeTextFileSync(path, "");
  const refused = await assertRejects(
    () => Connection.connect(reactor, address, 1000),
    SystemError,
    path,
  );
  assertEquals(refused.code, "ECONNREFUSED");
  await reactor.stop();
});

Deno.test("a listener whose queue is full is waited for, up to the limit", async () => {
  const reactor = new Reactor();
  const address = newAddress();
  using listener = listenOn(address, 0o600, 0);
  using _first = startConnecting(address); // takes the only place
  const error = await assertRejects(() => Connection.connect(reactor, address, 100), SystemError);
  assertEquals(error.code, "ETIMEDOUT");
  const connecting = Connection.connect(reactor, address, 30_000);
  await sleep(50);
  using _accepted = acceptFrom(listener)?.socket;
  using connection = await connecting;
  assert(connection.isOpen);
  connection.close();
  await reactor.stop();
});

Deno.test("I7: a listener serves a flood of peers without keeping others waiting", async () => {
  const reactor = new Reactor();
  const address = newAddress();
  const accepted: Connection[] = [];
  using _listener = new Listener(reactor, address, (connection) => accepted.push(connection));
  const clients = Array.from({ length: 100 }, () => startConnecting(address));
  await waitFor("all are accepted", () => accepted.length === 100);
  for (const one of [...clients, ...accepted]) one.close();
  assert(accepted.every(({ isOpen }) => !isOpen));
  await reactor.stop();
});
