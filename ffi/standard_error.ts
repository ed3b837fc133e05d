/** Standard error, written to without ever waiting for its reader. */

import { type ByteString, toBytes } from "./byte_string.ts";
import { Descriptor } from "./descriptor.ts";
import { check, ERRNO, SystemError } from "./errno.ts";
import { statusOf } from "./file_status.ts";
import { errno, libc } from "./libc.ts";
import { AT, O } from "./platform.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL } from "./socket.ts";

/** As `Deno.stderr`; 0 where nothing can be written for now. */
export interface UnblockedStream {
  writeSync(bytes: Uint8Array<ArrayBuffer>): number;
}

type Write = (bytes: Uint8Array<ArrayBuffer>, length: bigint) => number;

const STANDARD_ERROR = 2;
const NAME = toBytes(`/proc/self/fd/${STANDARD_ERROR}\0` as ByteString);

/**
 * Standard error, if it is one of the kinds that can keep a writer waiting: a pipe, a terminal or a socket. Its flags are
 * shared with other processes, and stay as they are.
 */
export function unblockedStandardError(): UnblockedStream | undefined {
  try {
    const inherited = new Descriptor(STANDARD_ERROR); // which nobody closes
    if (statusOf(inherited).kind !== "other") return undefined;
    const own = reopened();
    return stream((bytes, length) => libc.write(own.fd, bytes, length));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.errno !== ERRNO.ENXIO) return undefined; // closed, or another user's
  }
  // A socket cannot be opened again, nor need it be.
  return stream((bytes, length) =>
    libc.send(STANDARD_ERROR, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL)
  );
}

/** The same pipe or terminal with flags of its own. */
function reopened(): Descriptor {
  const flags = O.WRONLY | O.NONBLOCK | O.NOCTTY | O.CLOEXEC;
  return new Descriptor(check(libc.openat(AT.FDCWD, NAME, flags, 0), "open"));
}

function stream(write: Write): UnblockedStream {
  return {
    writeSync(bytes) {
      for (;;) {
        const written = write(bytes, BigInt(bytes.length));
        if (written >= 0) return written;
        const number = errno();
        if (number === ERRNO.EAGAIN) return 0;
        if (number !== ERRNO.EINTR) throw new SystemError("write", number);
      }
    },
  };
}
