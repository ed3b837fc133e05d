/**
 * The names of what lies in recovery. They tell what was to be taken out, and so what is to become of it: a name is on the
 * disk whenever the file is there under it, while a power failure may take the journal's last lines away.
 */

import { type FileName, fileName } from "../../ffi/byte_string.ts";
import type { ContentIdentity } from "./replica_record.ts";

export interface Taken {
  /** What was meant to be taken out. */
  readonly expected: ContentIdentity;
  /** The inode of our own clone that waits to be exchanged; 0 for a removal. */
  readonly clone: number;
}

const NAME = /^taken-\d+\.(\d+)\.(\d+)\.(\d+)\.(-?\d+)$/;

/** A name that no other has, if no other has `sequence`. */
export function nameOfTaken(sequence: number, { expected, clone }: Taken): FileName {
  const { inode, size, mtimeNs } = expected;
  return fileName(`taken-${[sequence, clone, inode, size, mtimeNs].join(".")}`);
}

/** `undefined` for a name that is none of ours. */
export function takenUnder(name: FileName): Taken | undefined {
  const [, clone, inode, size, mtimeNs] = NAME.exec(name) ?? [];
  if (mtimeNs === undefined) return undefined;
  return {
    expected: { inode: Number(inode), size: Number(size), mtimeNs: BigInt(mtimeNs) },
    clone: Number(clone),
  };
}
