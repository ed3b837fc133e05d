/**
 * Producers that were taken out of the configuration, and whose shares are still there. They may be put in again, and are
 * then to learn what was deleted meanwhile, as a share does that was away.
 */

import { asFileName, type ByteString } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { SystemError } from "../../ffi/errno.ts";
import type { FileIndex } from "./file_index.ts";
import type { ReplicaId } from "./replica_record.ts";

const IN_SHARE = "share/";

/** Their numbers in the index. `present`: the names of the replicas that take part. */
export function formerProducers(
  index: FileIndex,
  share: Directory,
  present: ReadonlySet<ByteString>,
): ReadonlySet<ReplicaId> {
  const found = new Set<ReplicaId>();
  for (const { id, name, rootInode } of index.replicas()) {
    if (present.has(name) || !name.startsWith(IN_SHARE)) continue;
    const producer = asFileName(name.slice(IN_SHARE.length) as ByteString);
    if (producer === undefined) continue; // by damage: none was ever written
    try {
      const root = share.status(producer);
      if (root?.inode === rootInode) found.add(id);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error; // what it had is forgotten, and news if it comes back
    }
  }
  return found;
}
