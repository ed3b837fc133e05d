/**
 * vsock without vsock: the Unix sockets by which Firecracker and cloud-hypervisor stand in for it on the host.
 *
 * Towards a guest: connect to the machine's socket, send `CONNECT {port}\n`, expect `OK {number}\n`.
 * From a guest: its connection to port P of the host arrives at the socket `{uds}_{P}`.
 * Source: Firecracker, docs/vsock.md.
 */

import {
  type ByteString,
  display,
  displayText,
  fromBytes,
  fromText,
  toBytes,
} from "../../ffi/byte_string.ts";
import { Connection } from "../../ffi/connection.ts";
import { ERRNO, SystemError } from "../../ffi/errno.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { Address } from "../../ffi/socket.ts";

/** Where connections to port `port` of the host arrive from the guest whose socket is `uds`. */
export function hostSideAddress(uds: string, port: number): Address {
  return { family: "unix", path: `${uds}_${port}` };
}

/** Connects to port `port` of the guest behind the socket at `path`. ETIMEDOUT, ECONNREFUSED … with the path. */
export async function connectThroughHybrid(
  reactor: Reactor,
  path: string,
  port: number,
  timeoutMs: number,
): Promise<Connection> {
  const deadline = performance.now() + timeoutMs;
  const connection = await Connection.connect(reactor, { family: "unix", path }, timeoutMs);
  try {
    const leftMs = () => Math.max(0, deadline - performance.now());
    await connection.write(toBytes(fromText(`CONNECT ${port}\n`)), leftMs());
    const answer = await readLine(connection, leftMs);
    if (answer === undefined) throw new SystemError("connect", ERRNO.ECONNREFUSED, fromText(path));
    if (!/^OK( |$)/.test(answer)) {
      throw new Error(`${displayText(path)} answers CONNECT with "${display(answer)}"`);
    }
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

const LONGEST_ANSWER = 64;

/** One line without its end, and nothing of what follows; `undefined` if the peer ends before. */
async function readLine(
  connection: Connection,
  leftMs: () => number,
): Promise<ByteString | undefined> {
  const byte = new Uint8Array(1);
  let line = "" as ByteString;
  while (line.length < LONGEST_ANSWER) {
    if (await connection.read(byte, leftMs()) === 0) return undefined;
    if (byte[0] === 0x0a) return line;
    line = (line + fromBytes(byte)) as ByteString;
  }
  return line;
}

/** The port that a peer asks for, if `line` is the request of this convention. */
export function portAskedFor(line: ByteString): number | undefined {
  const [, digits] = /^CONNECT (\d{1,10})$/.exec(line) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
