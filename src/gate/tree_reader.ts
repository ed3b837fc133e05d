/**
 * Reads a directory tree in every replica at once, directory by directory, and tells which paths are not as
 * the index knows them: at startup, after lost events, and for trees that were moved. Memory is bounded
 * by the largest directory, not by the tree.
 */

import { type FileName, join, type RelativePath } from "../../ffi/byte_string.ts";
import type { Directory, DirectoryEntry } from "../../ffi/directory.ts";
import type { FileIndex } from "./file_index.ts";
import { Pace } from "./pace.ts";
import type { Replica } from "./replica.ts";
import { type IndexEntry, matches, UNKNOWN_ENTRY } from "./replica_record.ts";

export interface TreeReaderParts {
  readonly index: FileIndex;
  readonly replicas: readonly Replica[];
  isIgnored(path: RelativePath): boolean;
  isIgnoredDirectory(path: RelativePath): boolean;
  /** A path that is to be looked at closely. */
  lookAt(path: RelativePath): void;
  isStopped(): boolean;
  /** Settles when there is room for more paths. */
  room(): Promise<void>;
}

export interface Reading {
  files: number;
  directories: number;
  /** Paths that were not as known. */
  differing: number;
}

/** What was found of one name in all replicas. */
interface Found {
  asKnown: number;
  differs: boolean;
  /** Somewhere there is a directory of this name. */
  isDirectory: boolean;
  /** It is known, and a replica lacks it: what is in it is to go first. */
  vanished: boolean;
}

type Task = { readonly enter: RelativePath } | { readonly lookAt: RelativePath };

/** Reads `directory` and everything below. `onProgress` hears the counts now and then. */
export async function readTree(
  parts: TreeReaderParts,
  directory: RelativePath,
  onProgress?: (reading: Readonly<Reading>) => void,
): Promise<Reading> {
  const reading: Reading = { files: 0, directories: 0, differing: 0 };
  const pace = new Pace();
  const tasks: Task[] = [{ enter: directory }];
  for (let task = tasks.pop(); task && !parts.isStopped(); task = tasks.pop()) {
    if ("lookAt" in task) {
      parts.lookAt(task.lookAt);
      continue;
    }
    tasks.push(...await readDirectory(parts, task.enter, reading, pace));
    onProgress?.(reading);
    await parts.room();
  }
  return reading;
}

/** One directory: tells its differing entries, and returns what is to be done below. */
async function readDirectory(
  parts: TreeReaderParts,
  directory: RelativePath,
  reading: Reading,
  pace: Pace,
): Promise<Task[]> {
  const known = new Map(parts.index.children(directory).map(({ name, entry }) => [name, entry]));
  const found = new Map<FileName, Found>();
  const present = parts.replicas.filter(({ root }) => root !== undefined);
  for (const replica of present) {
    using held = replica.root?.openBeneath(directory);
    if (held === undefined) continue;
    for (const entry of held.entries()) {
      lookAtEntry(parts, replica, held, directory, entry, known, found);
      if (pace.isDue()) await pace.rest();
    }
  }
  reading.directories++;
  const receivers = present.filter(({ role }) => role !== "diode").length;
  const tasks: Task[] = [];
  for (const name of new Set([...found.keys(), ...known.keys()])) {
    const path = join(directory, name);
    const entry = known.get(name) ?? UNKNOWN_ENTRY;
    const what = found.get(name) ?? VANISHED;
    const wasDirectory = entry.records.some(({ kind }) => kind === "directory");
    if (parts.isIgnoredDirectory(path)) continue;
    const settled = !what.differs && what.asKnown === receivers;
    if (!settled) reading.differing++;
    if (!what.isDirectory && !wasDirectory) {
      reading.files++;
      if (!settled) parts.lookAt(path);
      continue;
    }
    if (!settled && (what.vanished || wasDirectory)) tasks.push({ lookAt: path });
    else if (!settled) parts.lookAt(path);
    tasks.push({ enter: path });
  }
  return tasks;
}

const VANISHED: Found = { asKnown: 0, differs: true, isDirectory: false, vanished: true };

function lookAtEntry(
  { isIgnored }: TreeReaderParts,
  replica: Replica,
  held: Directory,
  directory: RelativePath,
  { name, kind }: DirectoryEntry,
  known: ReadonlyMap<FileName, IndexEntry>,
  found: Map<FileName, Found>,
): void {
  const entry = known.get(name);
  const record = entry?.records.find((one) => one.replica === replica.id);
  // Links and special files are nobody's business unless something else stood there.
  if ((kind === "link" || kind === "other") && record === undefined) return;
  if (kind !== "directory" && isIgnored(join(directory, name))) return;
  const status = held.status(name);
  if (status === undefined) return;
  let what = found.get(name);
  if (what === undefined) {
    found.set(name, what = { asKnown: 0, differs: false, isDirectory: false, vanished: false });
  }
  if (status.kind === "directory") what.isDirectory = true;
  if (
    record !== undefined && entry !== undefined && matches(record, status) &&
    record.status === "current" && record.version === entry.version
  ) {
    if (replica.role !== "diode") what.asKnown++;
  } else if (replica.role === "diode" && record !== undefined && matches(record, status)) {
    // What a diode has of its own never gets a number of the channel's versions.
  } else what.differs = true;
}
