import { type ByteString, fromBytes, fromText, toBytes } from "./byte_string.ts";
import type { Descriptor } from "./descriptor.ts";
import { check } from "./errno.ts";
import { libc } from "./libc.ts";
import { AT } from "./platform.ts";

const PATH_MAX = 4096;

/**
 * The absolute path, without links, by which the kernel knows what `handle` holds (`/proc/self/fd`, proc(5)); it ends
 * in ` (deleted)` where there is none any more. Throws ENAMETOOLONG beyond 4095 bytes.
 */
export function canonicalPath(handle: Descriptor): ByteString {
  const link = toBytes(fromText(`/proc/self/fd/${handle.fd}\0`));
  const target = new Uint8Array(PATH_MAX);
  const length = libc.readlinkat(AT.FDCWD, link, target, BigInt(target.length));
  return fromBytes(target, 0, check(length, "readlink"));
}
