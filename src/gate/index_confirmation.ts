/**
 * What still counts of the index after a power failure, when the disk may have lost some of what the index tells of. A
 * version that never reached the disk would look like a deletion there, and the older one in its place like a change that
 * somebody made since. So what is known of a path counts only where every replica is as it says; otherwise nothing is known
 * of it, and the replicas are compared.
 */

import type { RelativePath } from "../../ffi/byte_string.ts";
import type { FileIndex } from "./file_index.ts";
import { type IndexEntry, recordIn, UNKNOWN_ENTRY } from "./replica_record.ts";
import { isAsRecorded, type Sight } from "./sight.ts";

/** `entry`, if it may be believed, beside what is at `path` in the replicas that are there. Otherwise it is forgotten. */
export function confirmed(
  index: FileIndex,
  path: RelativePath,
  entry: IndexEntry,
  sights: () => readonly Sight[],
): IndexEntry {
  if (!index.isAhead || entry.records.length === 0) return entry;
  const isConfirmed = sights().every(({ replica, seen }) => {
    const record = recordIn(entry, replica.id);
    return record === undefined || isAsRecorded(seen, record);
  });
  if (isConfirmed) return entry;
  index.put(path, UNKNOWN_ENTRY);
  return UNKNOWN_ENTRY;
}
