/** What a replica has at a path, beside what the index knows of it. */

import type { RelativePath } from "../../ffi/byte_string.ts";
import type { Seen } from "./planning/situation.ts";
import type { Replica } from "./replica.ts";
import { type IndexEntry, matches, recordIn, type ReplicaRecord } from "./replica_record.ts";

export interface Sight {
  readonly replica: Replica;
  readonly seen: Seen;
}

export function sightsOf(path: RelativePath, replicas: readonly Replica[]): readonly Sight[] {
  return replicas.map((replica) => ({ replica, seen: replica.glance(path) }));
}

/** Whether what is there is what the record tells of. */
export function isAsRecorded(seen: Seen, record: ReplicaRecord): boolean {
  return (seen.kind === "file" || seen.kind === "directory") && matches(record, seen.status);
}

/**
 * The replicas that have changed something since it was last known, or are not done with. Whose it is that several have, and
 * of which nothing is known, nobody can say.
 */
export function authorsOf(sights: readonly Sight[], entry: IndexEntry): readonly Replica[] {
  const authors = sights.filter(({ replica, seen }) => {
    const record = recordIn(entry, replica.id);
    if (record === undefined) return seen.kind === "file" || seen.kind === "directory";
    return record.status === "held" || !isAsRecorded(seen, record);
  });
  const isKnown = entry.records.length > 0;
  return isKnown || authors.length === 1 ? authors.map(({ replica }) => replica) : [];
}
