/** Where a file has data, and where only holes: lseek(2), SEEK_DATA. A guest's file may be 8 EiB of nothing. */

import type { Descriptor } from "./descriptor.ts";
import { ERRNO } from "./errno.ts";
import { errno, libc } from "./libc.ts";

const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** From `start` up to, but not including, `end`; in bytes. */
export interface DataRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The next range, at or after `offset`, that is no hole; `undefined` if nothing but a hole follows. Where the filesystem
 * cannot tell, all the rest. The descriptor's own position moves.
 */
export function nextData(file: Descriptor, offset: number): DataRange | undefined {
  const start = libc.lseek(file.fd, BigInt(offset), SEEK_DATA);
  if (start < 0n) return errno() === ERRNO.ENXIO ? undefined : { start: offset, end: Infinity };
  const end = libc.lseek(file.fd, start, SEEK_HOLE);
  return { start: Number(start), end: end < 0n ? Infinity : Number(end) };
}
