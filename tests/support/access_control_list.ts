/** Access control lists as setfacl(1) makes them and getfacl(1) finds them; neither is needed. */

import { type ByteString, fromText, toBytes } from "../../ffi/byte_string.ts";

const { symbols: libc } = Deno.dlopen("libc.so.6", {
  lgetxattr: { parameters: ["buffer", "buffer", "buffer", "usize"], result: "i64" },
  setxattr: { parameters: ["buffer", "buffer", "buffer", "usize", "i32"], result: "i32" },
});

const KINDS = ["access", "default"] as const;
export type Kind = (typeof KINDS)[number];

/** Of linux/posix_acl.h. */
const VERSION = 2;
const OWNER = 0x01;
const USER = 0x02;
const GROUP = 0x04;
const MASK = 0x10;
const OTHER = 0x20;
const NOBODY = 0xffffffff;

/** Which lists there are at `path`, in words; `""` if none. */
export function listsAt(path: ByteString): string {
  const name = zeroEnded(path);
  return KINDS.filter((kind) => libc.lgetxattr(name, attribute(kind), null, 0n) >= 0).join(" and ");
}

/** `setfacl [-d] -m u:USER:rwx`: the owning group may do nothing then. */
export function allowEverything(path: string, kind: Kind, user: number): void {
  const entries = [[OWNER, 7, NOBODY], [USER, 7, user], [GROUP, 0, NOBODY], [MASK, 7, NOBODY], [
    OTHER,
    0,
    NOBODY,
  ]] as const;
  const list = new DataView(new ArrayBuffer(4 + 8 * entries.length));
  list.setUint32(0, VERSION, true);
  for (const [i, [tag, permissions, id]] of entries.entries()) {
    list.setUint16(4 + 8 * i, tag, true);
    list.setUint16(6 + 8 * i, permissions, true);
    list.setUint32(8 + 8 * i, id, true);
  }
  const value = new Uint8Array(list.buffer);
  const name = zeroEnded(fromText(path));
  if (libc.setxattr(name, attribute(kind), value, BigInt(value.length), 0) !== 0) {
    throw new Error(`${path} can have no access control list`);
  }
}

function attribute(kind: Kind): Uint8Array<ArrayBuffer> {
  return zeroEnded(fromText(`system.posix_acl_${kind}`));
}

function zeroEnded(text: ByteString): Uint8Array<ArrayBuffer> {
  return toBytes(`${text}\0` as ByteString);
}
