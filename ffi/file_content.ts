/** Content and attributes of open files: reflink, copy, ownership, times. */

import { nextData } from "./data_range.ts";
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
  const run = () => libc.ioctlBlocking(target.fd, FICLONE, BigInt(source.fd));
  const result = await onThreadPool(run, statusOf(source).blocks);
  // errno of another thread is out of reach: the repetition fails in the same way, or succeeds.
  if (result < 0) cloneNow(source, target);
}

const COPY_PIECE = 8 * 1024 * 1024;

/**
 * Copies everything but holes, for filesystems and files that cannot be cloned, and flushes it, so that a name given
 * to it later never shows less after a power failure. Shared extents are used where the kernel can. Throws EFBIG beyond
 * 2^53 bytes.
 *
 * The source is flushed first, as by FICLONE: only then does what is written to it by mmap(2) later change its times.
 */
export async function copy(source: Descriptor, target: Descriptor): Promise<void> {
  const { size } = statusOf(source);
  if (size > Number.MAX_SAFE_INTEGER) throw new SystemError("copy", ERRNO.EFBIG);
  check(libc.ftruncate(target.fd, 0n), "ftruncate");
  await flush(source);
  for (let done = 0; done < size;) {
    const range = nextData(source, done);
    if (range === undefined) break;
    done = await copyRange(source, target, range.start, Math.min(range.end, size));
  }
  const end = Math.min(size, statusOf(source).size); // it may have become shorter meanwhile
  // A hole at the end.
  if (statusOf(target).size < end) check(libc.ftruncate(target.fd, BigInt(end)), "ftruncate");
  await flush(target);
}

async function flush(file: Descriptor): Promise<void> {
  const run = () => libc.fdatasyncBlocking(file.fd);
  if (await onThreadPool(run, statusOf(file).blocks) < 0) {
    throw new SystemError("fdatasync", ERRNO.EIO);
  }
}

/** Copies from `start` up to `end`, or to where the source ends by now; `end`, or beyond. */
async function copyRange(
  source: Descriptor,
  target: Descriptor,
  start: number,
  end: number,
): Promise<number> {
  const from = new BigInt64Array(1);
  const to = new BigInt64Array(1);
  const fromBytes = new Uint8Array(from.buffer);
  const toBytes = new Uint8Array(to.buffer);
  for (let done = start; done < end;) {
    const piece = BigInt(Math.min(COPY_PIECE, end - done));
    from[0] = to[0] = BigInt(done);
    const run = () =>
      libc.copyFileRangeBlocking(source.fd, fromBytes, target.fd, toBytes, piece, 0);
    const copied = Number(await onThreadPool(run));
    if (copied === 0) return Infinity;
    done += copied < 0 ? copyPieceByHand(source, target, done) : copied;
  }
  return end;
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
  return length === 0 ? Infinity : length;
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

/** Sets owner, then permissions (12 bits): chown(2) clears SUID and SGID. */
export function setOwnerAndMode(file: Descriptor, uid: number, gid: number, mode: number): void {
  check(libc.fchown(file.fd, uid, gid), "fchown");
  setMode(file, mode);
}

/** Sets permissions (12 bits). */
export function setMode(file: Descriptor, mode: number): void {
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

/** As a key of a Map: the same for all that `sameInode` holds of. */
export function inodeKey({ device, inode }: FileStatus): string {
  return `${device}:${inode}`;
}

/** Whether both are of one inode, whatever it holds. */
export function sameInode(a: FileStatus, b: FileStatus): boolean {
  return a.device === b.device && a.inode === b.inode;
}

/** A snapshot's status may only be believed if nothing happened while it was taken. */
export function sameVersion(a: FileStatus, b: FileStatus): boolean {
  return sameInode(a, b) && a.ctimeNs === b.ctimeNs && a.mtimeNs === b.mtimeNs && a.size === b.size;
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

const PIECE = 1024 * 1024;

/** All of a file, one piece after the other; each is overwritten by the next. */
export function* readPieces(file: Descriptor): Generator<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(PIECE);
  for (let at = 0;;) {
    const count = check(libc.pread(file.fd, buffer, BigInt(PIECE), BigInt(at)), "pread");
    if (count === 0) return;
    at += count;
    yield buffer.subarray(0, count);
  }
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
