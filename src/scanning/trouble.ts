/** Why a scanner cannot be reached, in words for whoever can change it. */

import { display } from "../../ffi/byte_string.ts";
import { isErrno, messageOf } from "../../ffi/errno.ts";
import { LONGEST_SOCKET_PATH } from "../../ffi/platform.ts";
import { type Address, showAddress } from "../../ffi/socket.ts";

/** An address, escaped. */
export function name(address: Address): string {
  return display(showAddress(address));
}

/** What a failed call on a connection to `address` means. */
export function inWords(error: unknown, address: Address): string {
  const at = name(address);
  const onVsock = address.family === "vsock" ? onVsockInWords(error, at) : undefined;
  if (onVsock !== undefined) return onVsock;
  if (isErrno(error, "ENOENT")) {
    return `there is no socket ${at}: is clamd running, and is this the LocalSocket of its configuration?`;
  }
  if (isErrno(error, "ECONNREFUSED")) {
    return `nobody listens at ${at}: clamd does not run, is still starting, or that is no socket`;
  }
  if (isErrno(error, "EACCES", "EPERM")) {
    return `no permission for ${at}: join its group, or change LocalSocketMode in clamd's configuration`;
  }
  if (isErrno(error, "EAGAIN")) {
    return `clamd at ${at} takes no more connections: it hangs, or too many clients use it`;
  }
  if (isErrno(error, "ETIMEDOUT")) return `clamd at ${at} does not answer`;
  if (isErrno(error, "ECONNRESET", "EPIPE", "ENOTCONN")) {
    return `clamd at ${at} ended the connection: did it crash, or was it restarted?`;
  }
  if (isErrno(error, "ENAMETOOLONG")) {
    return `${at} is too long for the path of a socket (at most ${LONGEST_SOCKET_PATH} bytes)`;
  }
  return `clamd at ${at}: ${messageOf(error)}`;
}

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
