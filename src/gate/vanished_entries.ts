/**
 * Finds what went from a new directory before it was watched. The watcher tells of every entry that it finds there;
 * of one that was removed before, only the index can know.
 */

import { type FileName, join, type RelativePath } from "../../ffi/byte_string.ts";
import { KnownDirectory } from "./known_directory.ts";
import { DirectoryTurn } from "./large_directories.ts";
import { Pace } from "./pace.ts";
import type { Replica } from "./replica.ts";
import { recordIn, type ReplicaRecord } from "./replica_record.ts";
import { type Entry, pathOf, readPatiently, type TreeReaderParts } from "./tree_reader.ts";

/** Tells the entries at any depth below `directory` that are known in `replica`, and not there. */
export async function findVanished(
  parts: TreeReaderParts,
  replica: Replica,
  directory: RelativePath,
): Promise<void> {
  const pace = new Pace();
  const rest: Entry[] = [];
  const enter = async (at: RelativePath) => {
    const read = () => look(parts, replica, at, pace);
    for (const name of await readPatiently(parts, at, read)) rest.push({ above: at, name });
    if (pace.isDue()) await pace.rest();
    await parts.room();
  };
  await enter(directory);
  for (let next = rest.pop(); next !== undefined && !parts.isStopped(); next = rest.pop()) {
    await enter(pathOf(next));
  }
}

/** One directory: tells what is not there any more, and returns the names of the directories in it. */
async function look(
  parts: TreeReaderParts,
  replica: Replica,
  directory: RelativePath,
  pace: Pace,
): Promise<FileName[]> {
  using turn = new DirectoryTurn(parts.large);
  const below: FileName[] = [];
  const known = KnownDirectory.parts(parts.index, directory, pace, () => turn.take());
  for await (const part of known) {
    if (parts.isStopped()) break;
    const kinds = await kindsIn(part, replica, pace);
    if (kinds.size === 0) continue;
    if (replica.root === undefined) return [];
    const present = new Set<FileName>();
    using held = replica.root.openBeneath(directory);
    for (const { name } of held?.entries() ?? []) {
      if (kinds.has(name)) present.add(name);
      if (pace.isDue()) await pace.rest();
    }
    for (const [name, kind] of kinds) {
      const path = join(directory, name);
      if (kind === "directory" && !parts.isIgnoredDirectory(path)) below.push(name);
      if (!present.has(name)) parts.lookAt(path);
      if (pace.isDue()) await pace.rest();
    }
  }
  return below;
}

/** What is known of `replica`. */
async function kindsIn(
  known: KnownDirectory,
  replica: Replica,
  pace: Pace,
): Promise<Map<FileName, ReplicaRecord["kind"]>> {
  const kinds = new Map<FileName, ReplicaRecord["kind"]>();
  for (const [position, name] of known.names.entries()) {
    const record = recordIn(known.entryAt(position), replica.id);
    if (record !== undefined) kinds.set(name, record.kind);
    if (pace.isDue()) await pace.rest();
  }
  return kinds;
}
