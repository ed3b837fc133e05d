/** Stream sockets of two families, AF_UNIX (unix(7)) and AF_VSOCK (vsock(7)), never blocking. */

import { type ByteString, fromText, writeBytes } from "./byte_string.ts";
import { Descriptor } from "./descriptor.ts";
import { check, ERRNO, SystemError } from "./errno.ts";
import { addressOf, errno, libc } from "./libc.ts";
import { LONGEST_SOCKET_PATH } from "./platform.ts";

const AF_UNIX = 1;
const AF_VSOCK = 40;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_PEERCRED = 17;
const SCM_RIGHTS = 1;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
const SHUT_WR = 1;

/** Any context: a listener's own address on the host, whatever its number. */
export const VMADDR_CID_ANY = 0xffffffff;
/** Talks to itself: needs the vsock_loopback module. */
export const VMADDR_CID_LOCAL = 1;
export const VMADDR_CID_HOST = 2;

export type Address =
  /** A path, or `@name` for the abstract namespace. */
  | { readonly family: "unix"; readonly path: string }
  | { readonly family: "vsock"; readonly cid: number; readonly port: number };

/** How an address is named in messages. */
export function showAddress(address: Address): ByteString {
  return address.family === "unix"
    ? fromText(address.path)
    : fromText(`vsock ${address.cid}:${address.port}`);
}

/** The same few addresses are connected to again and again. */
const encodings = new WeakMap<Address, Uint8Array<ArrayBuffer>>();

function encode(address: Address): Uint8Array<ArrayBuffer> {
  let encoded = encodings.get(address);
  if (encoded === undefined) {
    encoded = address.family === "unix"
      ? encodeUnix(fromText(address.path))
      : encodeVsock(address.cid, address.port);
    encodings.set(address, encoded);
  }
  return encoded;
}

function encodeUnix(path: ByteString): Uint8Array<ArrayBuffer> {
  if (path.length === 0 || path.length > LONGEST_SOCKET_PATH) {
    throw new SystemError(
      `socket path (at most ${LONGEST_SOCKET_PATH} bytes)`,
      ERRNO.ENAMETOOLONG,
      path,
    );
  }
  const abstract = path.startsWith("@");
  // A path ends in NUL; an abstract name begins with it and ends with the structure.
  const bytes = new Uint8Array(2 + path.length + (abstract ? 0 : 1));
  new DataView(bytes.buffer).setUint16(0, AF_UNIX, true);
  writeBytes(path, bytes, 2);
  if (abstract) bytes[2] = 0;
  return bytes;
}

/** `struct sockaddr_vm`: family u16, reserved u16, port u32, cid u32, flags u8, three zero bytes. */
function encodeVsock(cid: number, port: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_VSOCK, true);
  view.setUint32(4, port, true);
  view.setUint32(8, cid, true);
  return bytes;
}

function newSocket(address: Address): StreamSocket {
  const family = address.family === "unix" ? AF_UNIX : AF_VSOCK;
  const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const number = libc.socket(family, type, 0);
  if (number < 0) throw new SystemError("socket", errno(), showAddress(address));
  return new StreamSocket(number);
}

const NOTHING = new Uint8Array(1);

/** Errors of a call that tell nothing of the peer. */
const NOBODY_KNOWS: ReadonlySet<number> = new Set([
  ERRNO.EAGAIN,
  ERRNO.EINTR,
  ERRNO.ENOMEM,
  ERRNO.ENOBUFS,
]);

/** What a call that may not wait had to say. */
export type NotNow = "again";

export class StreamSocket extends Descriptor {
  /** Bytes read into `buffer`; 0 when the peer has ended. ECONNRESET is thrown. */
  receive(buffer: Uint8Array<ArrayBuffer>): number | NotNow {
    return outcome(libc.recv(this.fd, buffer, BigInt(buffer.length), MSG_DONTWAIT), "recv");
  }

  /** Bytes sent, perhaps fewer than given. EPIPE and ECONNRESET are thrown, never a signal. */
  send(data: Uint8Array<ArrayBuffer>): number | NotNow {
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    return outcome(libc.send(this.fd, data, BigInt(data.length), flags), "send");
  }

  /** Sends `data` (at least one byte) with a copy of `file`'s descriptor (SCM_RIGHTS, unix(7)). */
  sendWithDescriptor(data: Uint8Array<ArrayBuffer>, file: Descriptor): number | NotNow {
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    return outcome(libc.sendmsg(this.fd, describeMessage(data, file), flags), "sendmsg", data);
  }

  /** Tells the peer that nothing more will come; reading goes on. */
  shutdownWrite(): void {
    libc.shutdown(this.fd, SHUT_WR); // ENOTCONN: the peer has gone already
  }

  /** The error that a connection attempt ended with (SO_ERROR); 0 if it succeeded. */
  connectError(): number {
    const value = new Int32Array(1);
    const length = new Uint32Array([4]);
    const bytes = new Uint8Array(value.buffer);
    const lengthBytes = new Uint8Array(length.buffer);
    check(libc.getsockopt(this.fd, SOL_SOCKET, SO_ERROR, bytes, lengthBytes), "getsockopt");
    return value[0] ?? 0;
  }

  /**
   * Whether the peer can no longer receive: it closed its end, or is gone. (One that only ended its own sending
   * still receives.) A zero-length send tells it for both families.
   */
  get peerIsGone(): boolean {
    if (libc.send(this.fd, NOTHING, 0n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return false;
    return !NOBODY_KNOWS.has(errno()); // EPIPE as a rule
  }

  /** The process id of a Unix socket's peer when it connected or listened (SO_PEERCRED). */
  peerProcess(): number {
    const value = new Int32Array(3);
    const length = new Uint32Array([12]);
    const bytes = new Uint8Array(value.buffer);
    const lengthBytes = new Uint8Array(length.buffer);
    check(libc.getsockopt(this.fd, SOL_SOCKET, SO_PEERCRED, bytes, lengthBytes), "getsockopt");
    return value[0] ?? 0;
  }
}

/** EAGAIN is an answer, EINTR and EWOULDBLOCK too. `_alive` keeps buffers referenced during the call. */
function outcome(result: number, call: string, _alive?: unknown): number | NotNow {
  if (result >= 0) return result;
  const number = errno();
  if (number === ERRNO.EAGAIN || number === ERRNO.EINTR) return "again";
  throw new SystemError(call, number);
}

/** `struct msghdr` with one iovec and one SCM_RIGHTS control message (cmsg(3)), 64-bit layout; there is one at a time. */
const header = new Uint8Array(56);
const vector = new Uint8Array(16);
const vectorView = new DataView(vector.buffer);
const control = new Uint8Array(24);
const controlView = new DataView(control.buffer);
{
  controlView.setBigUint64(0, 20n, true);
  controlView.setInt32(8, SOL_SOCKET, true);
  controlView.setInt32(12, SCM_RIGHTS, true);
  const view = new DataView(header.buffer);
  view.setBigUint64(16, addressOf(vector), true);
  view.setBigUint64(24, 1n, true);
  view.setBigUint64(32, addressOf(control), true);
  view.setBigUint64(40, BigInt(control.length), true);
}

/** The header of a message with `data`, which must stay referenced during the call, and `file`'s descriptor. */
function describeMessage(data: Uint8Array<ArrayBuffer>, file: Descriptor): Uint8Array<ArrayBuffer> {
  vectorView.setBigUint64(0, addressOf(data), true);
  vectorView.setBigUint64(8, BigInt(data.length), true);
  controlView.setInt32(16, file.fd, true);
  return header;
}

/** Starts a connection; it is made when the socket becomes writable and `connectError` is 0. */
export function startConnecting(address: Address): StreamSocket {
  const encoded = encode(address);
  const socket = newSocket(address);
  if (libc.connect(socket.fd, encoded, encoded.length) === 0) return socket;
  const number = errno();
  if (number === ERRNO.EINPROGRESS) return socket;
  socket.close();
  // A Unix listener whose backlog is full says EAGAIN at once: it does not take us now.
  throw new SystemError("connect", number, showAddress(address));
}

/** Listens; a Unix path gets the permission bits `mode`. EADDRINUSE if the path exists. */
export function listenOn(address: Address, mode = 0o600, backlog = 128): StreamSocket {
  const encoded = encode(address);
  const socket = newSocket(address);
  try {
    bindWithMode(socket, encoded, mode, showAddress(address));
    check(libc.listen(socket.fd, backlog), "listen", showAddress(address));
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** bind(2) gives a socket's file all bits but those of umask(2): so it never has more than it is to have. */
function bindWithMode(
  socket: StreamSocket,
  encoded: Uint8Array<ArrayBuffer>,
  mode: number,
  shown: ByteString,
): void {
  const before = libc.umask(0o777 & ~mode);
  const failure = libc.bind(socket.fd, encoded, encoded.length) < 0
    ? new SystemError("bind", errno(), shown)
    : undefined;
  libc.umask(before);
  if (failure !== undefined) throw failure;
}

/** ECONNABORTED: the peer left while it waited. */
const NOBODY_WAITS: ReadonlySet<number> = new Set([
  ERRNO.EAGAIN,
  ERRNO.EINTR,
  ERRNO.ECONNABORTED,
]);

export interface Accepted {
  readonly socket: StreamSocket;
  /** The peer's context id, for AF_VSOCK. */
  readonly cid: number | undefined;
}

const peerAddress = new Uint8Array(128);
const peerView = new DataView(peerAddress.buffer);
const peerLengthBytes = new Uint8Array(4);
const peerLength = new DataView(peerLengthBytes.buffer);

/** The next connection that waits; `undefined` if none does. EMFILE and ENFILE are thrown. */
export function acceptFrom(listener: StreamSocket): Accepted | undefined {
  peerLength.setUint32(0, peerAddress.length, true);
  const flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  const number = libc.accept4(listener.fd, peerAddress, peerLengthBytes, flags);
  if (number < 0) {
    const failure = errno();
    if (NOBODY_WAITS.has(failure)) return undefined;
    throw new SystemError("accept", failure);
  }
  const isVsock = peerView.getUint16(0, true) === AF_VSOCK;
  return {
    socket: new StreamSocket(number),
    cid: isVsock ? peerView.getUint32(8, true) : undefined,
  };
}

/** Two connected Unix sockets. */
export function socketPair(): [StreamSocket, StreamSocket] {
  const pair = new Int32Array(2);
  const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  check(libc.socketpair(AF_UNIX, type, 0, new Uint8Array(pair.buffer)), "socketpair");
  return [new StreamSocket(pair[0] ?? -1), new StreamSocket(pair[1] ?? -1)];
}

/** Kept open: signs of life for the service manager are due also when no descriptor is to be had. */
let datagrams: Descriptor | undefined;

/**
 * Sends one datagram to a Unix socket (a path, or `@name`), without waiting: a full or missing receiver is
 * an error. The service manager listens on one.
 */
export function sendDatagram(path: string, data: Uint8Array<ArrayBuffer>): void {
  const address = encodeUnix(fromText(path));
  const type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  datagrams ??= new Descriptor(check(libc.socket(AF_UNIX, type, 0), "socket"));
  const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  const size = BigInt(data.length);
  check(
    libc.sendto(datagrams.fd, data, size, flags, address, address.length),
    "sendto",
    fromText(path),
  );
}
