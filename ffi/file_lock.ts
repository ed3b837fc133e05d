/** Locks that end with the open file, also when its process is killed: fcntl(2), F_OFD_SETLK. */

import type { Descriptor } from "./descriptor.ts";
import { ERRNO, SystemError } from "./errno.ts";
import { addressOf, errno, libc } from "./libc.ts";

const F_OFD_SETLK = 37;
const F_WRLCK = 1;
/** struct flock: l_type, l_whence (i16), l_start, l_len (i64 at 8 and 16), l_pid. All zeros: the whole file. */
const FLOCK_SIZE = 32;

/**
 * Locks a file that is open for writing, against every other opening of it, until it is closed. `false` where another
 * opening, of this process or any other, has the lock. Throws SystemError.
 */
export function lockFile(file: Descriptor): boolean {
  const lock = new Uint8Array(FLOCK_SIZE);
  new DataView(lock.buffer).setInt16(0, F_WRLCK, true);
  if (libc.fcntl(file.fd, F_OFD_SETLK, addressOf(lock)) === 0) return true;
  const number = errno();
  if (number === ERRNO.EAGAIN || number === ERRNO.EACCES) return false;
  throw new SystemError("fcntl", number);
}
