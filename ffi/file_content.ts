/** Content and attributes of open files: reflink, copy, compare, ownership, times. */

import type { Descriptor } from "./descriptor.ts";
import { check, ERRNO, isErrno, SystemError } from "./errno.ts";
import { type FileStatus, statusOf } from "./file_status.ts";
import { errno, libc } from "./libc.ts";
import { FICLONE } from "./platform.ts";
import { onThreadPool } from "./thread_pool.ts";

/**
 * FICLONE (ioctl_ficlonerange(2)) here and now: for small sources on a quick disk. A dirty source is
 * flushed first, which takes as long as the disk takes.
 * Throws EOPNOTSUPP or EXDEV where the filesystem cannot, EINVAL from a NOCOW file.
 */
export function cloneNow(source: Descriptor, target: Descriptor): void {
  check(libc.ioctl(target.fd, FICLONE, BigInt(source.fd)), "ioctl(FICLONE)");
}

/** The same on the thread pool: the event loop goes on meanwhile. Both descriptors stay open until it is done. */
export async function clone(source: Descriptor, target: Descriptor): Promise<void> {
  const result = await onThreadPool(() =>
    libc.ioctlBlocking(target.fd, FICLONE, BigInt(source.fd))
  );
  // errno of another thread is out of reach: the repetition fails in the same way, or succeeds.
  if (result < 0) cloneNow(source, target);
}

const COPY_PIECE = 8 * 1024 * 1024;

/**
 * Copies everything, for filesystems and files that cannot be cloned, and flushes it, so that a name given
 * to it later never shows less after a power failure. Shared extents are used where the kernel can.
 */
export async function copy(source: Descriptor, target: Descriptor): Promise<void> {
  const { size } = statusOf(source);
  const from = new BigInt64Array(1);
  const to = new BigInt64Array(1);
  const fromBytes = new Uint8Array(from.buffer);
  const toBytes = new Uint8Array(to.buffer);
  check(libc.ftruncate(target.fd, 0n), "ftruncate");
  for (let done = 0; done < size;) {
    const piece = BigInt(Math.min(COPY_PIECE, size - done));
    from[0] = to[0] = BigInt(done);
    const run = () =>
      libc.copyFileRangeBlocking(source.fd, fromBytes, target.fd, toBytes, piece, 0);
    const copied = Number(await onThreadPool(run));
    if (copied === 0) break; // the source became shorter
    if (copied < 0) {
      done += copyPieceByHand(source, target, done);
      continue;
    }
    done += copied;
  }
  if (await onThreadPool(() => libc.fdatasyncBlocking(target.fd)) < 0) {
    throw new SystemError("fdatasync", ERRNO.EIO);
  }
}

const copyBuffer = new Uint8Array(256 * 1024);

/** One piece by read and write: its errors are right, so it also tells why copy_file_range failed. */
function copyPieceByHand(source: Descriptor, target: Descriptor, offset: number): number {
  const at = BigInt(offset);
  const length = check(
    libc.pread(source.fd, copyBuffer, BigInt(copyBuffer.length), at),
    "pread",
  );
  for (let done = 0; done < length;) {
    const rest = copyBuffer.subarray(done, length);
    done += check(
      libc.pwrite(target.fd, rest, BigInt(rest.length), at + BigInt(done)),
      "pwrite",
    );
  }
  return length === 0 ? Number.MAX_SAFE_INTEGER : length;
}

/** FICLONE, or a copy where the source or the filesystem cannot be cloned. */
export async function cloneOrCopy(source: Descriptor, target: Descriptor): Promise<void> {
  try {
    await clone(source, target);
  } catch (error) {
    if (!isErrno(error, "EINVAL", "EOPNOTSUPP", "EXDEV", "ENOTTY", "ETXTBSY")) throw error;
    await copy(source, target);
  }
}

const COMPARE_PIECE = 1024 * 1024;
/** Files up to this size are compared in place: a guest may have thousands of them compared. */
const COMPARE_INLINE = 64 * 1024;
/** One byte more, so that a file that grows is noticed. */
const inlineLeft = new Uint8Array(COMPARE_INLINE + 1);
const inlineRight = new Uint8Array(COMPARE_INLINE + 1);

/** Whether two files hold the same bytes. Reads large ones on the thread pool, at most `COMPARE_PIECE` at a time. */
export async function sameContent(a: Descriptor, b: Descriptor): Promise<boolean> {
  const { size } = statusOf(a);
  if (size !== statusOf(b).size) return false;
  if (size <= COMPARE_INLINE) {
    const length = readStart(a, inlineLeft);
    return length === readStart(b, inlineRight) && startsAlike(inlineLeft, inlineRight, length);
  }
  const left = new Uint8Array(COMPARE_PIECE);
  const right = new Uint8Array(COMPARE_PIECE);
  for (let offset = 0;;) {
    const [readLeft, readRight] = await Promise.all([
      readPiece(a, left, offset),
      readPiece(b, right, offset),
    ]);
    const length = Math.min(readLeft, readRight);
    if (length === 0) return readLeft === readRight;
    if (!startsAlike(left, right, length)) return false;
    offset += length;
  }
}

function startsAlike(left: Uint8Array, right: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (left[i] !== right[i]) return false;
  return true;
}

/** How many bytes were there, at most as many as the buffer takes. */
function readStart(file: Descriptor, buffer: Uint8Array<ArrayBuffer>): number {
  for (let done = 0;;) {
    const rest = buffer.subarray(done);
    const read = check(libc.pread(file.fd, rest, BigInt(rest.length), BigInt(done)), "pread");
    done += read;
    if (read === 0 || done === buffer.length) return done;
  }
}

async function readPiece(
  file: Descriptor,
  buffer: Uint8Array<ArrayBuffer>,
  offset: number,
): Promise<number> {
  const length = BigInt(buffer.length);
  const read = await onThreadPool(() =>
    libc.preadBlocking(file.fd, buffer, length, BigInt(offset))
  );
  return read >= 0 ? read : check(libc.pread(file.fd, buffer, length, BigInt(offset)), "pread");
}

/** Sets owner, then permissions (12 bits): chown(2) clears SUID and SGID. */
export function setOwnerAndMode(file: Descriptor, uid: number, gid: number, mode: number): void {
  check(libc.fchown(file.fd, uid, gid), "fchown");
  check(libc.fchmod(file.fd, mode), "fchmod");
}

const times = new DataView(new ArrayBuffer(32));
const timesBytes = new Uint8Array(times.buffer);
const UTIME_OMIT = (1 << 30) - 2;
const NANOSECONDS = 1_000_000_000n;

/** Sets the time of last modification, nanoseconds since 1970, before 1970 included. */
export function setModificationTime(file: Descriptor, mtimeNs: bigint): void {
  const nanoseconds = ((mtimeNs % NANOSECONDS) + NANOSECONDS) % NANOSECONDS;
  times.setBigInt64(8, BigInt(UTIME_OMIT), true);
  times.setBigInt64(16, (mtimeNs - nanoseconds) / NANOSECONDS, true);
  times.setBigInt64(24, nanoseconds, true);
  check(libc.futimens(file.fd, timesBytes), "futimens");
}

/** Writes all of `data` at the descriptor's position. */
export function writeAll(file: Descriptor, data: Uint8Array<ArrayBuffer>): void {
  for (let done = 0; done < data.length;) {
    const rest = data.subarray(done);
    const written = libc.write(file.fd, rest, BigInt(rest.length));
    if (written < 0) {
      const number = errno();
      if (number === ERRNO.EINTR) continue;
      throw new SystemError("write", number);
    }
    done += written;
  }
}

/** Makes the file exactly `size` bytes long; new bytes are zero and take no room. */
export function truncate(file: Descriptor, size: number): void {
  check(libc.ftruncate(file.fd, BigInt(size)), "ftruncate");
}

/** A snapshot's status may only be believed if nothing happened while it was taken. */
export function sameVersion(a: FileStatus, b: FileStatus): boolean {
  return a.device === b.device && a.inode === b.inode && a.ctimeNs === b.ctimeNs &&
    a.mtimeNs === b.mtimeNs && a.size === b.size;
}

/** Writes all of `data` at `offset`. */
export function writeAt(file: Descriptor, data: Uint8Array<ArrayBuffer>, offset: number): void {
  for (let done = 0; done < data.length;) {
    const rest = data.subarray(done);
    const at = BigInt(offset + done);
    done += check(libc.pwrite(file.fd, rest, BigInt(rest.length), at), "pwrite");
  }
}

/** Everything in a file that is known to be small; throws EFBIG beyond `limit` bytes. */
export function readSmall(file: Descriptor, limit: number): Uint8Array<ArrayBuffer> {
  const { size } = statusOf(file);
  if (size > limit) throw new SystemError("read", ERRNO.EFBIG);
  const buffer = new Uint8Array(size);
  let length = 0;
  while (length < size) {
    const rest = buffer.subarray(length);
    const count = check(
      libc.pread(file.fd, rest, BigInt(rest.length), BigInt(length)),
      "pread",
    );
    if (count === 0) break;
    length += count;
  }
  return buffer.subarray(0, length);
}

const F_SETSIG = 10;
const F_SETLEASE = 1024;
/** Does nothing where nobody handles it; the same number on both architectures. */
const SIGURG = 23n;
const F_RDLCK = 0n;
const F_UNLCK = 2n;

/**
 * Whether somebody holds the file open for writing, found out by asking for a read lease (fcntl(2), F_SETLEASE);
 * `undefined` where that may not be asked (another's file, without CAP_LEASE) or the file system knows no leases.
 * `file` is open for reading only.
 */
export function hasWriters(file: Descriptor): boolean | undefined {
  // Whoever opens it for writing while we have the lease makes the kernel send us SIGIO, which ends a process.
  if (libc.fcntl(file.fd, F_SETSIG, SIGURG) !== 0) return undefined;
  if (libc.fcntl(file.fd, F_SETLEASE, F_RDLCK) === 0) {
    libc.fcntl(file.fd, F_SETLEASE, F_UNLCK);
    return false;
  }
  return errno() === ERRNO.EAGAIN ? true : undefined;
}
