import type { Descriptor } from "./descriptor.ts";
import { ERRNO, SystemError } from "./errno.ts";
import { errno, libc } from "./libc.ts";
import type { NotNow, StreamSocket } from "./socket.ts";
import { onThreadPool } from "./thread_pool.ts";

/** Reading so much from a file that was just written is quicker than a way over the thread pool. */
const SMALL = 256 * 1024;

const smallOffset = new BigInt64Array(1);
const smallOffsetBytes = new Uint8Array(smallOffset.buffer);

/**
 * Sends up to `length` bytes of `file`, from `offset` on, without their passing through this process (sendfile(2)).
 * The descriptor's own position stays. Returns how many were sent, 0 where the file ends, "again" if the
 * socket takes nothing now. EPIPE and ECONNRESET are thrown (SIGPIPE is ignored by the runtime).
 */
export async function sendFile(
  socket: StreamSocket,
  file: Descriptor,
  offset: number,
  length: number,
): Promise<number | NotNow> {
  if (length > SMALL) {
    const position = new BigInt64Array([BigInt(offset)]);
    const bytes = new Uint8Array(position.buffer);
    const sent = await onThreadPool(() =>
      libc.sendfileBlocking(socket.fd, file.fd, bytes, BigInt(length))
    );
    if (sent >= 0n) return Number(sent);
    // errno of another thread is out of reach: a repetition here fails in the same way, or sends.
  }
  smallOffset[0] = BigInt(offset);
  const least = BigInt(Math.min(length, SMALL));
  const sent = libc.sendfile(socket.fd, file.fd, smallOffsetBytes, least);
  if (sent >= 0) return sent;
  const number = errno();
  if (number === ERRNO.EAGAIN || number === ERRNO.EINTR) return "again";
  throw new SystemError("sendfile", number);
}
