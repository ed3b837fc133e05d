/**
 * Reads a directory tree in every replica at once, directory by directory, and tells which paths are not as
 * the index knows them: at startup, after lost events, and for trees that were moved. A large directory is read part by
 * part, so that memory is bounded, but for the names of the directories that are still to be read.
 */

import { type FileName, join, type RelativePath } from "../../ffi/byte_string.ts";
import { pause } from "../../ffi/clock.ts";
import { lacksDescriptors, SystemError } from "../../ffi/errno.ts";
import { DirectoryComparison, type Finding } from "./directory_comparison.ts";
import type { FileIndex } from "./file_index.ts";
import { FoundRenames, type FoundRenamesParts } from "./found_renames.ts";
import { confirmed } from "./index_confirmation.ts";
import { KnownDirectory, MOST_PAGES, PAGE_NAMES } from "./known_directory.ts";
import { DirectoryTurn, type LargeDirectories } from "./large_directories.ts";
import { Pace } from "./pace.ts";
import type { Replica } from "./replica.ts";
import { authorsOf, sightsOf } from "./sight.ts";

export interface TreeReaderParts extends FoundRenamesParts {
  readonly index: FileIndex;
  readonly replicas: readonly Replica[];
  /** Shared by all readings of the channel. */
  readonly large: LargeDirectories;
  isIgnored(path: RelativePath): boolean;
  isIgnoredDirectory(path: RelativePath): boolean;
  /** A path that is to be looked at closely; the authors have changed it, as far as can be told. */
  lookAt(path: RelativePath, authors?: readonly Replica[]): void;
  isStopped(): boolean;
  /** There were no descriptors to read a directory with; it is tried again. */
  onShortage(error: SystemError): void;
  /** A directory could not be read, with what is below it: it is to be read again later. */
  onFailure(directory: RelativePath, error: SystemError): void;
  /** Settles when there is room for more paths; nothing if there is. */
  room(): Promise<void> | undefined;
}

/** Names that nobody knows of, in one directory, that are kept in mind at a time (I6). */
const MOST_UNKNOWN = MOST_PAGES * PAGE_NAMES;
/** Others will be done with their descriptors by then. */
const AFTER_SHORTAGE_MS = 100;

export interface Reading {
  files: number;
  directories: number;
  /** Paths that were not as known. */
  differing: number;
  /** Directories of which nothing is known. */
  unknown: number;
}

/**
 * What waits for its turn, and has its path only then: a directory holds as many others, and lies as deep, as a guest
 * likes (I6).
 */
export interface Entry {
  readonly above: RelativePath;
  readonly name: FileName;
}

export function pathOf({ above, name }: Entry): RelativePath {
  return join(above, name);
}

type Task =
  | Entry & { readonly what: "enter"; readonly isNew: boolean }
  | Entry & { readonly what: "lookAt"; readonly authors: readonly Replica[] };

/**
 * Reads `directory` and everything below, directories of which nothing is known last: however many there are, all that is
 * known has been read by then. `onProgress` hears the counts now and then.
 */
export async function readTree(
  parts: TreeReaderParts,
  directory: RelativePath,
  onProgress?: (reading: Readonly<Reading>) => void,
): Promise<Reading> {
  const reading: Reading = { files: 0, directories: 0, differing: 0, unknown: 0 };
  const renames = new FoundRenames(parts);
  const pace = new Pace();
  const tasks: Task[] = [];
  const news: Task[] = [];
  const next = () => tasks.pop() ?? news.pop();
  const enter = async (at: RelativePath) => {
    const read = () => readDirectory(parts, at, renames, reading, pace);
    // Not spread into one call: a directory has as many children as a guest likes.
    for (const below of await readPatiently(parts, at, read)) {
      (below.what === "enter" && below.isNew ? news : tasks).push(below);
    }
    onProgress?.(reading);
    if (pace.isDue()) await pace.rest();
    await parts.room();
  };
  await enter(directory);
  for (let task = next(); task && !parts.isStopped(); task = next()) {
    if (task.what === "lookAt") parts.lookAt(pathOf(task), task.authors);
    else {
      if (task.isNew) reading.unknown++;
      await enter(pathOf(task));
    }
  }
  return reading;
}

/**
 * Reads one directory, and returns what is to be done below. To begin again from the top for want of descriptors would be
 * to never come to the end of a large tree, and one that is broken keeps nobody from reading the others (I7).
 */
export async function readPatiently<T>(
  parts: TreeReaderParts,
  directory: RelativePath,
  read: () => Promise<readonly T[]>,
): Promise<readonly T[]> {
  while (!parts.isStopped()) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (!lacksDescriptors(error)) {
        parts.onFailure(directory, error);
        return [];
      }
      parts.onShortage(error);
      await pause(AFTER_SHORTAGE_MS);
    }
  }
  return [];
}

/** One directory: tells its differing entries, and returns what is to be done below. */
async function readDirectory(
  parts: TreeReaderParts,
  directory: RelativePath,
  renames: FoundRenames,
  reading: Reading,
  pace: Pace,
): Promise<Task[]> {
  using turn = new DirectoryTurn(parts.large);
  const tasks: Task[] = [];
  const known = KnownDirectory.parts(parts.index, directory, pace, () => turn.take());
  for await (const part of known) {
    if (parts.isStopped()) break;
    await readPart(parts, { directory, known: part, turn, tasks, renames, reading, pace });
  }
  reading.directories++;
  return tasks;
}

/** A directory, or a part of it, and what comes of reading it. */
interface Part {
  readonly directory: RelativePath;
  readonly known: KnownDirectory;
  readonly turn: DirectoryTurn;
  readonly tasks: Task[];
  readonly renames: FoundRenames;
  readonly reading: Reading;
  readonly pace: Pace;
}

async function readPart(parts: TreeReaderParts, part: Part): Promise<void> {
  const { directory, known, turn, reading, pace } = part;
  const comparison = new DirectoryComparison(directory, known, parts.isIgnored);
  const present = parts.replicas.filter(({ root }) => root !== undefined);
  for (const replica of present) {
    using held = replica.root?.openBeneath(directory);
    if (held === undefined) continue;
    for (const entry of held.entries()) {
      if (known.covers(entry.name)) comparison.see(replica, held, entry);
      if (comparison.size >= PAGE_NAMES && !turn.isTaken) await turn.take();
      if (pace.isDue()) await pace.rest();
      if (comparison.unknownNames < MOST_UNKNOWN) continue;
      await tell(parts, part, present, comparison.unknown());
    }
  }
  const receivers = present.filter(({ role }) => role !== "diode").length;
  await tell(parts, part, present, comparison.known(receivers));
  await tell(parts, part, present, comparison.unknown());
  reading.files += comparison.size;
}

async function tell(
  parts: TreeReaderParts,
  { directory, tasks, renames, reading, pace }: Part,
  present: readonly Replica[],
  findings: Iterable<Finding>,
): Promise<void> {
  for (const finding of findings) {
    const { name, path, entry, settled, isDirectory, wasDirectory } = finding;
    if (pace.isDue()) await pace.rest();
    if (isDirectory || wasDirectory) reading.files--;
    if (parts.isIgnoredDirectory(path)) continue;
    if (!settled) {
      reading.differing++;
      const sights = sightsOf(path, present);
      const authors = authorsOf(sights, entry);
      renames.see(path, confirmed(parts.index, path, entry, () => sights), sights);
      if (wasDirectory) tasks.push({ above: directory, name, what: "lookAt", authors });
      else parts.lookAt(path, authors);
    }
    if (!isDirectory && !wasDirectory) continue;
    tasks.push({ above: directory, name, what: "enter", isNew: !wasDirectory });
  }
}
