/**
 * The kernel refuses a system call while a guest is served: the guest never hears that a file is clean that nobody
 * looked at, the next one is served, and nothing stays open.
 */

import { intercept, mayFail, ownDescriptors } from "./support/libc_hook.ts"; // before everything that opens the C library
// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { fromText } from "../../ffi/byte_string.ts";
import { ERRNO } from "../../ffi/errno.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { logger } from "../../src/logging/logging.ts";
import { NotificationServer } from "../../src/notify/server.ts";
import { Proxy } from "../../src/vproxy/proxy.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { ask, endsStream, Guest, instream, RawClamd } from "../support/stream_peer.ts";
import { waitFor } from "../support/wait.ts";

const PATIENCE_MS = 10_000;

/** Not refused: the machinery of this process, and what has no good reason to fail. */
const NEVER: ReadonlySet<string> = new Set(["close", "epoll_wait", "shutdown"]);

/** Call number `from` fails, with an errno that nobody expects, while `what` runs; the calls that were made. */
async function refused(from: number, what: () => Promise<void>): Promise<string[]> {
  const calls: string[] = [];
  intercept({
    before: (name, args) =>
      mayFail(name, args, NEVER) && calls.push(name) - 1 === from ? ERRNO.ENOMEM : undefined,
  });
  try {
    await what();
  } finally {
    intercept(undefined);
  }
  return calls;
}

/** Asks again and again: one time a call fails, and another time none. */
async function tryAll(
  asks: () => Promise<string>,
  right: string,
  mayBe: (answer: string) => boolean,
): Promise<void> {
  const faults: string[] = [];
  const before = ownDescriptors().size;
  const calls = await refused(Infinity, async () => assertEquals(await asks(), right));
  for (const [from, call] of calls.entries()) {
    let answer = "";
    await refused(from, async () => {
      answer = await asks();
    });
    if (!mayBe(answer)) faults.push(`${call} (${from}): ${answer}`);
    const next = await asks();
    if (next !== right) faults.push(`${call} (${from}), and then: ${next}`);
  }
  assertEquals(faults, []);
  await waitFor("everything is closed", () => ownDescriptors().size === before, PATIENCE_MS);
}

Deno.test("I1, I6: a request of which a call fails gets an error or no answer; the proxy serves the next", async () => {
  const reactor = new Reactor();
  let hasAll = false;
  await using clamd = RawClamd.start(async (connection) => {
    hasAll = await connection.receive(endsStream);
    if (hasAll) await connection.reply("stream: OK\0");
  });
  const path = `${scratchDirectory("proxy")}/socket`;
  const second = 1000;
  using proxy = new Proxy(reactor, {
    clamd: { family: "unix", path: clamd.socket },
    limits: {
      maxConnections: 8,
      maxConnectionsPerGuest: 8,
      maxStreamSize: 1e6,
      maxChunkSize: 1e6,
      commandTimeoutMs: 10 * second,
      readTimeoutMs: 10 * second,
      streamTimeoutMs: 10 * second,
    },
    log: logger("test"),
  });
  proxy.listen({ family: "unix", path });
  const asks = () => {
    hasAll = false;
    return ask(path, instream(new Uint8Array(1000)));
  };
  const mayBe = (answer: string) =>
    answer === "" || answer.startsWith("ERROR: ") || (answer === "stream: OK\0" && hasAll);
  await tryAll(asks, "stream: OK\0", mayBe);
  proxy.close();
  await reactor.stop();
  reactor[Symbol.dispose]();
});

Deno.test("a notification of which a call fails is lost at most; the next one is served", async () => {
  const reactor = new Reactor();
  const folder = scratchDirectory("notified");
  const path = `${scratchDirectory("notify")}/socket`;
  const channels = new Map([[fromText("docs"), fromText(folder)]]);
  using server = new NotificationServer(reactor, {
    channels,
    allowedCids: new Set(),
    log: logger("test"),
  });
  const port = 1;
  server.listen({ family: "unix", path }, port);
  const asks = async () => {
    const before = [...Deno.readDirSync(folder)].length;
    using guest = await Guest.connect(path);
    await guest.send("CONNECT 1\ndocs\n").catch(() => {}); // it may be dropped at once
    await guest.endSending().catch(() => {});
    await guest.answer();
    return [...Deno.readDirSync(folder)].length === before ? "as before" : "refreshed";
  };
  await tryAll(asks, "refreshed", () => true);
  server[Symbol.dispose]();
  await reactor.stop();
  reactor[Symbol.dispose]();
});
