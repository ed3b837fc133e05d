/**
 * Where a listener listens. A Unix listener's file outlives a crash of its process, and nobody could listen there
 * again: what a dead process left is replaced, and nothing else ever is.
 */

import { asFileName, type FileName, fromText } from "./byte_string.ts";
import type { Descriptor } from "./descriptor.ts";
import { Directory } from "./directory.ts";
import { check, ERRNO, ignoringRefusal, isErrno, SystemError } from "./errno.ts";
import { sameInode } from "./file_content.ts";
import { statusOf } from "./file_status.ts";
import { libc } from "./libc.ts";
import { AT, S_IFMT, STATX_BASIC_AND_MOUNT, STATX_SIZE } from "./platform.ts";
import {
  type Address,
  listenOn,
  showAddress,
  startConnecting,
  type StreamSocket,
} from "./socket.ts";

const S_IFSOCK = 0o140000;

/** The owner and the group may connect. */
const SOCKET_MODE = 0o660;

export interface Listening {
  readonly socket: StreamSocket;
  /** Whether who connects to the address comes here: not, where it is seen that somebody has removed or replaced the file. */
  isReachable(): boolean;
  /** Closes the socket and removes its file, if it still is ours. */
  close(): void;
}

/**
 * Listens. EADDRINUSE if somebody listens there already, or the path is no socket; EACCES or EPERM from connect(2) or
 * unlink(2) where another user's socket is there.
 */
export function startListening(address: Address): Listening {
  if (address.family === "vsock" || address.path.startsWith("@")) {
    const socket = listenOn(address);
    return { socket, isReachable: () => true, close: () => socket.close() };
  }
  const slash = address.path.lastIndexOf("/");
  const name = asFileName(fromText(address.path.slice(slash + 1)));
  if (name === undefined) throw new SystemError("listen", ERRNO.EISDIR, showAddress(address));
  const folder = slash < 0 ? "." : address.path.slice(0, slash) || "/";
  const open = () => Directory.openTrusted(fromText(folder));
  const parent = open();
  try {
    return listenIn(parent, name, address, open);
  } catch (error) {
    parent.close();
    throw error;
  }
}

/** `parent` is closed with the listener; `open` opens what has its path by then. */
function listenIn(
  parent: Directory,
  name: FileName,
  address: Address,
  open: () => Directory,
): Listening {
  if (isAbandoned(parent, name, address)) parent.removeFile(name);
  using owned = new DisposableStack();
  const socket = owned.use(listenOn(address, SOCKET_MODE));
  // Held open, or another file could get its number.
  const ours = owned.use(parent.openHandle(name));
  owned.move(); // to the listener
  return {
    socket,
    isReachable() {
      try {
        using there = open();
        return isAt(ours, there, name);
      } catch (error) {
        // Whoever cannot look, as without a descriptor left, knows of no change.
        if (error instanceof SystemError) return !isErrno(error, "ENOENT", "ENOTDIR", "ELOOP");
        throw error;
      }
    },
    close() {
      using _ = parent;
      using _ours = ours;
      socket.close();
      // Whoever listens there next replaces it.
      ignoringRefusal(() => isAt(ours, parent, name) && parent.removeFile(name));
    },
  };
}

function isAt(file: Descriptor | undefined, directory: Directory, name: FileName): boolean {
  using there = directory.openHandle(name);
  return file !== undefined && there !== undefined && sameInode(statusOf(file), statusOf(there));
}

/** Whether `name` is a socket that nobody listens on. */
function isAbandoned(parent: Directory, name: FileName, address: Address): boolean {
  using file = parent.openHandle(name);
  if (file === undefined || !isSocket(file)) return false;
  try {
    startConnecting(address).close();
    return false;
  } catch (error) {
    if (isErrno(error, "EACCES", "EPERM")) throw error; // nobody but its owner can tell
    return isErrno(error, "ECONNREFUSED");
  }
}

function isSocket(file: Descriptor): boolean {
  const status = new Uint8Array(STATX_SIZE);
  const path = new Uint8Array(1);
  check(libc.statx(file.fd, path, AT.EMPTY_PATH, STATX_BASIC_AND_MOUNT, status), "statx");
  return (new DataView(status.buffer).getUint16(28, true) & S_IFMT) === S_IFSOCK;
}
