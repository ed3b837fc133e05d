/** Why a scanner cannot be reached, in words for whoever can change it. */

import { display } from "../../ffi/byte_string.ts";
import { isErrno, messageOf } from "../../ffi/errno.ts";
import { LONGEST_SOCKET_PATH } from "../../ffi/platform.ts";
import { type Address, showAddress } from "../../ffi/socket.ts";

/** An address, escaped. */
export function name(address: Address): string {
  return display(showAddress(address));
}

/** Where a scanner is reached: clamd itself listens there, or clamd-vproxy. */
export type ScannerAddress = Address & { readonly isProxy?: boolean };

/** What a failed call on a connection to `address` means. */
export function inWords(error: unknown, address: ScannerAddress): string {
  const at = name(address);
  const onVsock = address.family === "vsock" ? onVsockInWords(error, at) : undefined;
  if (onVsock !== undefined) return onVsock;
  const { listener, missing, refused } = address.isProxy ? PROXY : CLAMD;
  if (isErrno(error, "ENOENT")) return `there is no socket ${at}: ${missing}`;
  if (isErrno(error, "ECONNREFUSED")) {
    return `nobody listens at ${at}: ${listener} does not run, is still starting, or that is no socket`;
  }
  if (isErrno(error, "EACCES", "EPERM")) return `no permission for ${at}: ${refused}`;
  if (isErrno(error, "EAGAIN")) {
    return `${listener} at ${at} takes no more connections: it hangs, or too many clients use it`;
  }
  if (isErrno(error, "ETIMEDOUT")) return `${listener} at ${at} does not answer`;
  if (isErrno(error, "ECONNRESET", "EPIPE", "ENOTCONN")) {
    return `${listener} at ${at} ended the connection: did it crash, or was it restarted?`;
  }
  if (isErrno(error, "ENAMETOOLONG")) {
    return `${at} is too long for the path of a socket (at most ${LONGEST_SOCKET_PATH} bytes)`;
  }
  return `${listener} at ${at}: ${messageOf(error)}`;
}

const CLAMD = {
  listener: "clamd",
  missing: "is clamd running, and is this the LocalSocket of its configuration?",
  refused: "join its group, or change LocalSocketMode in clamd's configuration",
};

const PROXY = {
  listener: "clamd-vproxy",
  missing: "does clamd-vproxy listen there, with the same --uds and --port?",
  refused: "join the group of clamd-vproxy's socket, or run as its user",
};

/** What differs where no file stands for the other side. */
function onVsockInWords(error: unknown, at: string): string | undefined {
  if (isErrno(error, "ENODEV", "EAFNOSUPPORT", "ENETUNREACH")) {
    return `there is no way to ${at}: give this machine a vsock device, and its kernel the module ` +
      "vmw_vsock_virtio_transport";
  }
  // A vsock refuses by a reset.
  if (isErrno(error, "ECONNRESET") && error.call === "connect") {
    return `nobody listens at ${at}: does clamd-vproxy run there?`;
  }
  return undefined;
}
