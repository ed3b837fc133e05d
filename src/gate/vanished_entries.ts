/**
 * Finds what went from a new directory before it was watched. The watcher tells of every entry that it finds there;
 * of one that was removed before, only the index can know.
 */

import { type FileName, join, type RelativePath } from "../../ffi/byte_string.ts";
import { KnownDirectory } from "./known_directory.ts";
import { Pace } from "./pace.ts";
import type { Replica } from "./replica.ts";
import { recordIn, type ReplicaRecord } from "./replica_record.ts";
import type { TreeReaderParts } from "./tree_reader.ts";

/** Tells the entries at any depth below `directory` that are known in `replica`, and not there. */
export async function findVanished(
  parts: TreeReaderParts,
  replica: Replica,
  directory: RelativePath,
): Promise<void> {
  const pace = new Pace();
  const rest = [directory];
  for (let at = rest.pop(); at !== undefined && !parts.isStopped(); at = rest.pop()) {
    const known = await knownIn(parts, replica, at, pace);
    if (known.size === 0 || replica.root === undefined) continue;
    const present = new Set<FileName>();
    using held = replica.root.openBeneath(at);
    for (const { name } of held?.entries() ?? []) {
      present.add(name);
      if (pace.isDue()) await pace.rest();
    }
    for (const [name, kind] of known) {
      const path = join(at, name);
      if (kind === "directory" && !parts.isIgnoredDirectory(path)) rest.push(path);
      if (!present.has(name)) parts.lookAt(path);
    }
    if (pace.isDue()) await pace.rest();
    await parts.room();
  }
}

async function knownIn(
  { index }: TreeReaderParts,
  replica: Replica,
  directory: RelativePath,
  pace: Pace,
): Promise<Map<FileName, ReplicaRecord["kind"]>> {
  const known = await KnownDirectory.read(index, directory, pace);
  const kinds = new Map<FileName, ReplicaRecord["kind"]>();
  for (const [position, name] of known.names.entries()) {
    const record = recordIn(known.entryAt(position), replica.id);
    if (record !== undefined) kinds.set(name, record.kind);
    if (pace.isDue()) await pace.rest();
  }
  return kinds;
}
