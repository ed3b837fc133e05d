/**
 * What still counts of the index after a power failure, when the disk may have lost some of what the index tells of. A
 * version that never reached the disk would look like a deletion there, and the older one in its place like a change that
 * somebody made since. So what is known of a path counts only where every replica is as it says; otherwise nothing is known
 * of it, and the replicas are compared.
 */

import type { RelativePath } from "../../ffi/byte_string.ts";
import type { FileIndex } from "./file_index.ts";
import type { Seen } from "./planning/situation.ts";
import type { Replica } from "./replica.ts";
import { type IndexEntry, matches, recordIn, UNKNOWN_ENTRY } from "./replica_record.ts";

interface Sight {
  readonly replica: Replica;
  readonly seen: Seen;
}

/** `entry`, if it may be believed, beside what is at `path` in the replicas that are there. Otherwise it is forgotten. */
export function confirmed(
  index: FileIndex,
  path: RelativePath,
  entry: IndexEntry,
  sights: () => readonly Sight[],
): IndexEntry {
  if (!index.isAhead || entry.records.length === 0) return entry;
  if (sights().every((sight) => isAsKnown(sight, entry))) return entry;
  index.put(path, UNKNOWN_ENTRY);
  return UNKNOWN_ENTRY;
}

function isAsKnown({ replica, seen }: Sight, entry: IndexEntry): boolean {
  const record = recordIn(entry, replica.id);
  if (record === undefined) return true;
  return (seen.kind === "file" || seen.kind === "directory") && matches(record, seen.status);
}
