/**
 * Finds what went from a new directory before it was watched. The watcher tells of every entry that it finds there;
 * of one that was removed before, only the index can know.
 */

import { type FileName, join, type RelativePath } from "../../ffi/byte_string.ts";
import { Pace } from "./pace.ts";
import type { Replica } from "./replica.ts";
import { recordIn } from "./replica_record.ts";
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
    const known = knownIn(parts, replica, at);
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

function knownIn({ index }: TreeReaderParts, replica: Replica, directory: RelativePath) {
  const known = index.directory(directory);
  return new Map(
    known.names.flatMap((name, position) => {
      const record = recordIn(known.entryAt(position), replica.id);
      return record === undefined ? [] : [[name, record.kind] as const];
    }),
  );
}
