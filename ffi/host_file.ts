/** Files of the host that an administrator names: configurations, and what the kernel tells in /proc. */

import { fromText, toBytes } from "./byte_string.ts";
import { Descriptor } from "./descriptor.ts";
import { check, ERRNO, SystemError } from "./errno.ts";
import { libc } from "./libc.ts";
import { AT, O } from "./platform.ts";

const LARGEST = 64 * 1024 * 1024;
const PIECE = 64 * 1024;

/**
 * All of a file's bytes. Needs no permission of Deno's, so it works after they were given up. The path may lead
 * through links: never for a path that a guest has a say in. Throws SystemError; EFBIG beyond 64 MiB.
 */
export function readHostFile(path: string): Uint8Array<ArrayBuffer> {
  const name = fromText(path);
  if (path.includes("\0")) throw new SystemError("open", ERRNO.ENOENT, name);
  using file = new Descriptor(
    check(libc.openat(AT.FDCWD, toBytes(fromText(`${path}\0`)), O.CLOEXEC, 0), "open", name),
  );
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (let total = 0; total <= LARGEST;) {
    const piece = new Uint8Array(PIECE);
    const count = check(libc.read(file.fd, piece, BigInt(PIECE)), "read", name);
    if (count === 0) return joined(pieces, total);
    pieces.push(piece.subarray(0, count));
    total += count;
  }
  throw new SystemError("read", ERRNO.EFBIG, name);
}

/** The same as text; what is not UTF-8 is replaced. */
export function readHostText(path: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(readHostFile(path));
}

function joined(
  pieces: readonly Uint8Array<ArrayBuffer>[],
  length: number,
): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
