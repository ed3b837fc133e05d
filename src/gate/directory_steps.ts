/** The steps that directories go through: made alike everywhere, removed when they are empty. */

import { type FileName, join, nameOf, parentOf, type RelativePath } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { isErrno } from "../../ffi/errno.ts";
import { removeLeftovers } from "./ignored_leftovers.ts";
import {
  type Job,
  type Look,
  note,
  onHindrance,
  postpone,
  type ReconcilerParts,
  type Rest,
  type StepOf,
  WHILE_UNMET,
} from "./job.ts";
import { Pace } from "./pace.ts";
import { isOutdated } from "./planning/situation.ts";
import type { Replica, View } from "./replica.ts";
import { Removals } from "./removals.ts";
import {
  type IndexEntry,
  knownIn,
  recordIn,
  type ReplicaId,
  type ReplicaRecord,
  withMadeDirectory,
  withoutDirectory,
  withoutRecords,
} from "./replica_record.ts";

/** Entries among which one is looked for that is still to be looked at. */
const MOST_LOOKED_AT = 1_000;
/** How deep is looked below the directory: each level takes a descriptor, and is looked at for each one above. */
const MOST_LEVELS = 8;
/** Each may ask the index and the disk. */
const LOOKS_BETWEEN_CLOCKS = 8;

export class DirectorySteps {
  readonly #parts: ReconcilerParts;
  readonly #removals = new Removals();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /** `path` has come to rest: its removal is done, or nobody's wish any more. */
  settled(path: RelativePath): void {
    if (!this.#removals.end(path)) return;
    const above = parentOf(path);
    if (this.#removals.has(above)) this.#parts.lookAt(above, path);
  }

  /** Where another directory like it has taken the name of one that is known, it is known instead; see `FoundRenames`. */
  noteOthers({ views }: Look, path: RelativePath): void {
    if (!views.some(({ seen }) => seen.kind === "directory")) return;
    const entry = this.#parts.index.get(path);
    const present = (record: ReplicaRecord): ReplicaRecord => {
      const seen = views.find(({ replica }) => replica.id === record.replica)?.seen;
      const isOther = record.kind === "directory" && seen?.kind === "directory" &&
        record.inode !== seen.status.inode;
      return isOther ? { ...record, inode: seen.status.inode } : record;
    };
    const records = entry.records.map(present);
    const isNews = records.some((record, at) => record !== entry.records[at]);
    if (isNews) this.#parts.index.put(path, { ...entry, records });
  }

  make(step: StepOf<"make-directory">, look: Look, entry: IndexEntry, job: Job): undefined {
    const model = look.view(step.model);
    if (model.seen.kind !== "directory") return;
    let noted = entry;
    for (const id of step.targets) {
      const target = look.view(id);
      try {
        const { publisher, onChanged, onPublished } = this.#parts;
        const like = model.seen.status;
        const outcome = publisher.makeDirectory(target, job.path, model.replica, like);
        if (outcome.kind !== "done") {
          onHindrance(this.#parts, outcome, target.replica, job);
          continue;
        }
        const made = { id: target.replica.id, status: outcome.status };
        noted = withMadeDirectory(noted, model.replica.directoryAt(like), made);
        onChanged(target.replica, job.path);
        onPublished(job.path, "directory", model.replica);
      } catch (error) {
        postpone(this.#parts, target.replica, error, "cannot be made", job);
      }
    }
    if (noted !== entry) this.#parts.index.put(job.path, noted);
  }

  async remove(
    step: StepOf<"remove-directory">,
    look: Look,
    entry: IndexEntry,
    job: Job,
  ): Promise<Rest | undefined> {
    // Whatever has come of it may still be found, and is told by what is known of this name.
    const { mayBeMet } = this.#parts;
    if (
      look.views.some(({ replica, seen }) =>
        seen.kind !== "directory" && mayBeMet(replica, job.path)
      )
    ) {
      return WHILE_UNMET;
    }
    const left: View[] = [];
    for (const id of step.replicas) {
      const view = look.view(id);
      const { replica, parent } = view;
      try {
        const removed = parent?.removeDirectory(nameOf(job.path));
        if (!removed) continue;
        this.#parts.onChanged(replica, job.path);
        this.#parts.onPublished(job.path, "removal", replica);
      } catch (error) {
        if (!isErrno(error, "ENOTEMPTY", "EEXIST", "ENOTDIR")) {
          postpone(this.#parts, replica, error, "cannot be removed", job);
        } else {
          left.push(view);
        }
      }
    }
    if (step.replicas.some((id) => job.postponed.has(id))) {
      this.#removals.failed(job.path);
      return job.rest;
    }
    if (left.length === 0) {
      this.#parts.index.put(job.path, withoutDirectory(entry, look.receivers));
      return undefined;
    }
    const rest = await this.#notEmpty(left, look, job);
    if (job.directoryStays) this.#noteStays(look, entry, job);
    return rest;
  }

  /** Those who removed it get it again as if they had never had it: a removal that came to nothing is over. */
  #noteStays({ views }: Look, entry: IndexEntry, job: Job): void {
    const without = views.filter(({ replica, seen }) =>
      replica.role !== "diode" && seen.kind !== "directory"
    );
    const ids = new Set(without.map(({ replica }) => replica.id));
    note(this.#parts, job.path, { ...withoutRecords(entry, ids), deleted: false }, entry);
  }

  /** Its entries are still to be deleted, are news from elsewhere, or stay. */
  async #notEmpty(left: readonly View[], look: Look, job: Job): Promise<Rest | undefined> {
    const pace = new Pace(LOOKS_BETWEEN_CLOCKS);
    const isPending = (view: View) => this.#holdsPending(view, job.path, pace);
    if (await anyOf(left, (view) => this.#holdsNews(view, look, job.path, pace))) {
      job.directoryStays = true;
      return undefined;
    }
    // What is below goes first: a renamed file, say, waits until its new name was scanned.
    if (this.#parts.isStillToBeRead(job.path) || await anyOf(left, isPending)) {
      return { kind: "later", delayMs: this.#removals.wait(job.path) };
    }
    if (await this.#removeLeftovers(left, job)) return undefined;
    const wasTried = this.#removals.has(job.path);
    const delayMs = this.#removals.attempt(job.path);
    if (delayMs === undefined) {
      job.directoryStays = true;
      return undefined;
    }
    if (wasTried) this.#parts.reread(job.path);
    return { kind: "later", delayMs };
  }

  /** Where only the export still has the directory. Whether there were any: then it may be empty by now. */
  async #removeLeftovers(left: readonly View[], job: Job): Promise<boolean> {
    const [only, ...others] = left;
    if (only?.replica.role !== "export" || others.length > 0) return false;
    try {
      return await removeLeftovers(this.#parts, only.replica, job.path);
    } catch (error) {
      postpone(this.#parts, only.replica, error, "cannot be emptied", job);
      return false;
    }
  }

  /** Whether something in the directory is still to be looked at. */
  async #holdsPending({ parent }: View, path: RelativePath, pace: Pace): Promise<boolean> {
    using directory = parent?.openSubdirectory(nameOf(path));
    return await some(directory, (name) => this.#parts.isPending(join(path, name)), pace);
  }

  /**
   * Whether a share has a file in the directory, or some levels below, that nobody who lacks the directory had, in the
   * channel's version of it or a later one: so it is not deleted, and stays.
   */
  async #holdsNews(
    { replica, parent }: View,
    { views }: Look,
    path: RelativePath,
    pace: Pace,
  ): Promise<boolean> {
    if (replica.role !== "producer") return false;
    const lacking = views.filter(({ replica: { role }, seen }) =>
      role === "producer" && seen.kind !== "directory"
    ).map(({ replica }) => replica);
    let left = MOST_LOOKED_AT;
    const holds = async (
      above: Directory,
      directory: RelativePath,
      levels: number,
    ): Promise<boolean> => {
      using held = above.openBeneath(nameOf(directory));
      for (const { name, kind } of held?.entries() ?? []) {
        if (left-- <= 0) return false;
        if (pace.isDue()) await pace.rest();
        const below = join(directory, name);
        const type = kind ?? held?.status(name)?.kind;
        if (type === "file" && this.#isNews(below, replica.id, lacking)) return true;
        if (type !== "directory" || held === undefined || levels === 1) continue;
        if (await holds(held, below, levels - 1)) return true;
      }
      return false;
    };
    return parent !== undefined && await holds(parent, path, MOST_LEVELS);
  }

  #isNews(path: RelativePath, holder: ReplicaId, lacking: readonly Replica[]): boolean {
    const entry = this.#parts.index.get(path);
    const had = recordIn(entry, holder);
    if (had?.kind !== "file" || had.status !== "current" || isOutdated(had, entry)) return false;
    if (this.#parts.isIgnored(path)) return false;
    return lacking.every((replica) => {
      const record = knownIn(entry, replica);
      return record === undefined || isOutdated(record, entry);
    });
  }
}

/** Whether one of the directory's first entries is such. Others get their turn meanwhile (I7). */
async function some(
  directory: Directory | undefined,
  isSuch: (name: FileName) => boolean,
  pace: Pace,
): Promise<boolean> {
  let looked = 0;
  for (const { name } of directory?.entries() ?? []) {
    if (isSuch(name)) return true;
    if (++looked >= MOST_LOOKED_AT) break;
    if (pace.isDue()) await pace.rest();
  }
  return false;
}

async function anyOf(
  views: readonly View[],
  isSuch: (view: View) => Promise<boolean>,
): Promise<boolean> {
  for (const view of views) if (await isSuch(view)) return true;
  return false;
}
