/** Why nobody can listen at an address, in words for whoever can change it. */

import { display } from "../../ffi/byte_string.ts";
import { isErrno, messageOf } from "../../ffi/errno.ts";
import { LONGEST_SOCKET_PATH } from "../../ffi/platform.ts";
import { type Address, showAddress } from "../../ffi/socket.ts";

export function listenFailure(error: unknown, address: Address): string {
  return `cannot listen on ${display(showAddress(address))}: ${reason(error, address)}`;
}

function reason(error: unknown, address: Address): string {
  if (isErrno(error, "EADDRINUSE")) {
    return address.family === "unix"
      ? "another process listens there, or the path is something other than a socket"
      : "another process listens there";
  }
  if (isErrno(error, "EAFNOSUPPORT", "ENODEV", "EADDRNOTAVAIL") && address.family === "vsock") {
    return "there is no vsock with this CID here; load the kernel module vhost_vsock on a host, " +
      "give a guest a vsock device, or use a Unix socket (--uds)";
  }
  if (isErrno(error, "EACCES", "EPERM")) {
    // To find out whether the one that is there is in use, or to take its place.
    if (error.call === "connect" || error.call === "unlink") {
      return "another user's socket is there; remove it, if nobody listens, or give another path";
    }
    return address.family === "unix"
      ? "no permission; change the folder's owner, or run as another user"
      : "no permission; ports below 1024 need CAP_NET_BIND_SERVICE";
  }
  if (isErrno(error, "EROFS")) {
    return "its folder is read-only; a service may write there if its unit names it in ReadWritePaths=";
  }
  if (isErrno(error, "ENOENT", "ENOTDIR")) return "its folder does not exist; create it";
  if (isErrno(error, "ENAMETOOLONG")) {
    return `its path has more than ${LONGEST_SOCKET_PATH} bytes`;
  }
  return messageOf(error);
}
