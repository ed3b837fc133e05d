/** Whether two open files hold the same bytes. */

import { type DataRange, nextData } from "./data_range.ts";
import type { Descriptor } from "./descriptor.ts";
import { check } from "./errno.ts";
import { statusOf } from "./file_status.ts";
import { libc } from "./libc.ts";
import { onThreadPool } from "./thread_pool.ts";

const PIECE = 1024 * 1024;
/** Files up to this size are compared in place: a guest may have thousands of them compared. */
const INLINE = 64 * 1024;
/** One byte more, so that a file that grows is noticed. */
const inlineLeft = new Uint8Array(INLINE + 1);
const inlineRight = new Uint8Array(INLINE + 1);

/**
 * Whether two files hold the same bytes. Reads large ones on the thread pool, 1 MiB at a time, and no holes that both
 * have. Those beyond 2^53 bytes are never the same.
 */
export async function sameContent(a: Descriptor, b: Descriptor): Promise<boolean> {
  const { size } = statusOf(a);
  if (size !== statusOf(b).size || size > Number.MAX_SAFE_INTEGER) return false;
  if (size <= INLINE) {
    const length = readStart(a, inlineLeft);
    return length === readStart(b, inlineRight) && startAlike(inlineLeft, inlineRight, length);
  }
  const left = new Uint8Array(PIECE);
  const right = new Uint8Array(PIECE);
  let inA = nextData(a, 0);
  let inB = nextData(b, 0);
  for (let offset = 0;;) {
    inA = dataFrom(a, inA, offset);
    inB = dataFrom(b, inB, offset);
    const range = inA === undefined || inB !== undefined && inB.start < inA.start ? inB : inA;
    if (range === undefined) return statusOf(a).size === statusOf(b).size;
    for (offset = range.start; offset < range.end;) {
      const most = Math.min(PIECE, range.end - offset);
      const [readLeft, readRight] = await Promise.all([
        readPiece(a, left, offset, most),
        readPiece(b, right, offset, most),
      ]);
      const length = Math.min(readLeft, readRight);
      if (length === 0) return readLeft === readRight;
      if (!startAlike(left, right, length)) return false;
      offset += length;
    }
  }
}

/**
 * What is left of `range` from `offset` on, or the next one. It is asked for only once, since the kernel goes through all
 * pieces of a range to find its end: a guest's other file may have a hundred thousand before that.
 */
function dataFrom(
  file: Descriptor,
  range: DataRange | undefined,
  offset: number,
): DataRange | undefined {
  if (range === undefined || range.end <= offset) return range && nextData(file, offset);
  return { start: Math.max(range.start, offset), end: range.end };
}

function startAlike(
  left: Uint8Array<ArrayBuffer>,
  right: Uint8Array<ArrayBuffer>,
  length: number,
): boolean {
  return libc.memcmp(left, right, BigInt(length)) === 0;
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
  most: number,
): Promise<number> {
  const length = BigInt(most);
  const read = await onThreadPool(() =>
    libc.preadBlocking(file.fd, buffer, length, BigInt(offset))
  );
  return read >= 0 ? read : check(libc.pread(file.fd, buffer, length, BigInt(offset)), "pread");
}
