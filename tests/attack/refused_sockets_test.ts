/**
 * The kernel refuses system calls of scans and connections: they come to an end all the same, nothing stays open, and
 * what we lack is not taken for a scanner that gave no verdict, which permissive channels let pass.
 */

import { intercept, mayFail, opensDescriptor, ownDescriptors } from "./support/libc_hook.ts"; // before everything that opens the C library
// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertFalse } from "@std/assert";
import { Connection, Listener } from "../../ffi/connection.ts";
import { ERRNO, isErrno, lacksDescriptors } from "../../ffi/errno.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { socketPair } from "../../ffi/socket.ts";
import { startListening } from "../../ffi/socket_file.ts";
import { ClamdControl } from "../../src/scanning/clamd_control.ts";
import type { Verdict } from "../../src/scanning/scanner.ts";
import { FakeClamd } from "../support/fake_clamd.ts";
import { fileOf, ScannerBench, type Way, WAYS } from "../support/scanner_bench.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { endsStream, RawClamd } from "../support/stream_peer.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { report } from "./support/size.ts";

const PATIENCE_MS = 10_000;
/** More than an OK of clamd's is believed for without a probe. */
const SIZE = 300 * 1024;

/** Not refused: the machinery of this process, and what has no good reason to fail. */
const NEVER: ReadonlySet<string> = new Set([
  "close",
  "epoll_wait",
  "shutdown",
  "timerfd_settime",
  "umask",
  "write",
]);

/** Refuses call number `from` (of those that it may), and returns the list of all that were made. */
function refuse(from: number, errno: number): string[] {
  const calls: string[] = [];
  intercept({
    before(name, args) {
      if (!mayFail(name, args, NEVER)) return undefined;
      if (errno === ERRNO.EMFILE && !opensDescriptor(name, args)) return undefined;
      return calls.push(name) - 1 === from ? errno : undefined;
    },
  });
  return calls;
}

interface Peer extends AsyncDisposable {
  readonly socket: string;
}

/** Says OK to a file, and finds what is in each probe. */
function startPeer(way: Way): Peer {
  let scans = 0;
  const isProbe = () => scans++ % 3 > 0;
  const answer = () => isProbe() ? "Test.Signature FOUND" : "OK";
  if (way === "FILDES") {
    return FakeClamd.start(({ name, id }) => {
      if (name === "FILDES") return `${id}: fd[10]: ${answer()}\0`;
      if (name === "STATS") return "THREADS: live 1 idle 0 max 4\nEND\0";
      return name === "PING" ? "PONG\0" : "ClamAV 1.4\0";
    });
  }
  return RawClamd.start(async (connection) => {
    const isPing = (received: string) => received === "zPING\0";
    await connection.receive((received) => isPing(received) || endsStream(received));
    if (isPing(connection.received)) await connection.reply("PONG\0");
    else await connection.reply(`stream: ${answer()}\0`);
  });
}

type End = Verdict["kind"] | "thrown for want of descriptors";

async function scan(bench: ScannerBench): Promise<End> {
  using file = fileOf(new Uint8Array(1), SIZE);
  try {
    return (await bench.scanner.scan(file, SIZE)).kind;
  } catch (error) {
    if (lacksDescriptors(error)) return "thrown for want of descriptors";
    throw error;
  }
}

/** One scan, of which a call is refused. */
async function play(way: Way, from: number, errno: number): Promise<readonly string[]> {
  const before = new Set(ownDescriptors());
  let calls: readonly string[] = [];
  {
    await using peer = startPeer(way);
    await using bench = new ScannerBench(peer.socket, { way });
    try {
      let end: End | undefined;
      using file = fileOf(new Uint8Array(1), SIZE);
      calls = refuse(from, errno);
      bench.scanner.scan(file, SIZE).then(
        ({ kind }) => end = kind,
        (error) => {
          if (!lacksDescriptors(error)) throw error;
          end = "thrown for want of descriptors";
        },
      );
      await waitFor("an end", () => end, PATIENCE_MS);
      intercept(undefined);
      if (end === "error" && errno === ERRNO.EMFILE) throw new Error("it counts as tried");
      await waitFor("a verdict", async () => await scan(bench) === "clean", PATIENCE_MS);
    } finally {
      intercept(undefined);
    }
  }
  const left = ownDescriptors().difference(before).size;
  if (left > 0) throw new Error(`${left} descriptors stay open`);
  return calls;
}

const ERRNOS = { EIO: ERRNO.EIO, ENOMEM: ERRNO.ENOMEM, EMFILE: ERRNO.EMFILE } as const;

for (const way of WAYS) {
  Deno.test(`I1, I6: a scan by ${way} ends whatever call fails, leaves nothing open, and a missing descriptor is no error`, async () => {
    const faults: string[] = [];
    let cases = 0;
    for (const [name, errno] of Object.entries(ERRNOS)) {
      const calls = await play(way, Infinity, errno);
      for (const [from, call] of calls.entries()) {
        cases++;
        await play(way, from, errno).catch((error) => {
          faults.push(`${name} of ${call} (${from}): ${error.message}`);
        });
      }
    }
    report(`scans by ${way}: ${cases} cases, ${faults.length} faults`, faults);
    assertEquals(faults, []);
  });
}

Deno.test("I1: a question to clamd that no descriptor is left for tells nothing of clamd", async () => {
  const reactor = new Reactor();
  await using peer = startPeer("FILDES");
  const control = new ClamdControl(reactor, { family: "unix", path: peer.socket }, 100);
  intercept({ before: (name) => name === "socket" ? ERRNO.EMFILE : undefined });
  const error = await control.ping().catch((error) => error).finally(() => intercept(undefined));
  assert(lacksDescriptors(error), String(error));
  await control.ping();
  control.close();
  await reactor.stop();
  reactor[Symbol.dispose]();
});

Deno.test("I3, I6: a listener that cannot look at its socket's file does not take it for removed", () => {
  const path = `${scratchDirectory("refused")}/socket`;
  const listening = startListening({ family: "unix", path });
  const isReachableWithout = (from: number, errno: number) => {
    const calls = refuse(from, errno);
    try {
      return { calls, isReachable: listening.isReachable() };
    } finally {
      intercept(undefined);
    }
  };
  try {
    for (const [name, errno] of Object.entries(ERRNOS)) {
      const { calls } = isReachableWithout(Infinity, errno);
      for (const [from, call] of calls.entries()) {
        assert(isReachableWithout(from, errno).isReachable, `${name} of ${call} (${from})`);
      }
    }
    Deno.removeSync(path);
    assertFalse(listening.isReachable());
  } finally {
    listening.close();
  }
});

Deno.test("a connection that cannot be waited for is closed, and others are served", async () => {
  const reactor = new Reactor();
  const address = { family: "unix", path: `${scratchDirectory("refused")}/socket` } as const;
  using listener = new Listener(reactor, address, (connection) => connection.close());
  const before = new Set(ownDescriptors());
  const ends = async () => {
    using connection = await Connection.connect(reactor, address, PATIENCE_MS);
    return await connection.read(new Uint8Array(1), PATIENCE_MS);
  };
  const endsWithout = async (from: number) => {
    const calls = refuse(from, ERRNO.ENOMEM);
    await ends().catch(() => {}).finally(() => intercept(undefined));
    return calls;
  };
  for (const [from] of (await endsWithout(Infinity)).entries()) {
    await endsWithout(from);
    assertEquals(await ends(), 0);
  }
  await sleep(0);
  assertEquals(ownDescriptors().difference(before).size, 0);
  listener.close();
  await reactor.stop();
  reactor[Symbol.dispose]();
});

Deno.test("a peer that cannot be asked for want of memory is not gone", () => {
  const [ours, theirs] = socketPair();
  for (const errno of [ERRNO.ENOMEM, ERRNO.ENOBUFS, ERRNO.EAGAIN]) {
    intercept({ before: () => errno });
    const isGone = ours.peerIsGone;
    intercept(undefined);
    assert(!isGone, `${errno}`);
  }
  theirs.close();
  assert(ours.peerIsGone);
  ours.close();
});

Deno.test("a listener that cannot listen leaves nothing open, and nothing in the way of the next", async () => {
  const reactor = new Reactor();
  const address = { family: "unix", path: `${scratchDirectory("refused")}/socket` } as const;
  const before = ownDescriptors().size;
  const listen = () => new Listener(reactor, address, () => {}).close();
  const listenWithout = (from: number) => {
    const calls = refuse(from, ERRNO.ENOMEM);
    try {
      listen();
    } catch (error) {
      assert(isErrno(error, "ENOMEM"), String(error));
    } finally {
      intercept(undefined);
    }
    return calls;
  };
  for (const [from, call] of listenWithout(Infinity).entries()) {
    listenWithout(from);
    assertEquals(ownDescriptors().size, before, `${call} (${from})`);
    listen();
  }
  await reactor.stop();
  reactor[Symbol.dispose]();
});
