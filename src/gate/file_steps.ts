/** The steps that files go through: offered and scanned, distributed, kept beside a winner, removed. */

import { nameOf, type RelativePath } from "../../ffi/byte_string.ts";
import { isErrno, SystemError } from "../../ffi/errno.ts";
import { hasWriters } from "../../ffi/file_content.ts";
import { ageMs } from "../../ffi/file_status.ts";
import {
  AT_REST,
  type Job,
  type Look,
  note,
  onHindrance,
  postpone,
  type ReconcilerParts,
  type Rest,
  SOON,
  type StepOf,
  UNREAD,
} from "./job.ts";
import { RenamedNames } from "./renamed_names.ts";
import type { Replica, View } from "./replica.ts";
import {
  type IndexEntry,
  matches,
  recordIn,
  recordOf,
  type ReplicaId,
  sameIdentity,
  withDeletion,
  withoutRecord,
  withoutRecords,
  withRecord,
} from "./replica_record.ts";
import type { Snapshot } from "./snapshot.ts";
import { VerdictSteps } from "./verdict_steps.ts";

/** Its closing is told; this is for a writer that never closes it. */
const WHILE_WRITTEN: Rest = { kind: "later", delayMs: 5000 };
/** Since it was scanned: the next scan is not to follow at once, over and over. */
const WHILE_CHANGED: Rest = { kind: "later", delayMs: 1000 };
/** A writer that has done nothing for so long counts as done. */
const IDLE_WRITER_MS = 60_000;
export class FileSteps {
  readonly #parts: ReconcilerParts;
  readonly #verdicts: VerdictSteps;
  readonly #names: RenamedNames;

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
    this.#verdicts = new VerdictSteps(parts);
    this.#names = new RenamedNames(parts, (version) => this.#verdicts.isClean(version));
  }

  /** A change of somebody's own: snapshot, verdict, and on to the others. */
  async offer(
    step: StepOf<"offer">,
    look: Look,
    entry: IndexEntry,
    job: Job,
  ): Promise<Rest | undefined> {
    const author = look.view(step.author);
    // What others take of a diode's is what they keep: no later version follows.
    const isForGood = author.replica.role === "diode" && step.targets.length > 0;
    if (isForGood && isBeingWritten(author, job.path)) return WHILE_WRITTEN;
    const snapshot = await this.#snapshot(author, job);
    if (snapshot === undefined) return undefined; // gone, or postponed: look again
    const judging = this.#verdicts.judge(snapshot, author, look, entry, job);
    // At once, so that it is done while a scanner works.
    const copying = Promise.try(() => this.#copyAhead(snapshot, step.targets.length));
    const [judgement] = await Promise.all([judging, copying]);
    if (judgement !== "clean") return undefined;
    if (this.#wasForgotten(author.replica, entry, job)) return undefined;
    const waits = this.#names.waitForReplaced(author, entry, job);
    if (waits !== undefined) return waits;

    if (author.replica.root === undefined) return undefined;
    using source = author.replica.view(job.path);
    // Removed or renamed away meanwhile: the name's new state is another event.
    if (source.seen.kind !== "file") return undefined;
    if (isForGood) {
      if (!isSeen(source, snapshot)) return WHILE_CHANGED;
      if (isBeingWritten(source, job.path)) return WHILE_WRITTEN;
    }

    const kept = await this.#keepLosers(step.setAside.map((loser) => look.view(loser)), job);
    if (kept === undefined) return undefined;
    // What a diode has of its own, where the name is taken, is no version of the channel.
    const isVersion = author.replica.role !== "diode" || step.targets.length > 0;
    const version = isVersion ? entry.version + 1 : entry.version;
    const offered = withRecord(
      withoutRecords(entry, kept.union(new Set(step.forgotten))),
      recordOf(author.replica.id, snapshot.source, author.replica.noted, version),
    );
    // What was kept was renamed, and something else may have taken its place: another look is needed.
    const targets = step.targets.filter((id) => !kept.has(id)).map((id) => look.view(id));
    const updated = await this.#publish(targets, look, snapshot, author.replica, offered, job);
    // What a diode has is brought to nobody later: as long as nobody else has it, it is as new as before.
    if (isForGood && !hasTravelled(updated)) return undefined;
    note(this.#parts, job.path, updated, entry);
    this.#names.wakeFormer(author.replica, job);
    // Changed while it was scanned: the watcher tells, after its quiet time.
    if (!sameIdentity(source.seen.status, snapshot.source)) return job.rest;
    // What is done to a share from here on comes with an event of its own: no need for another look.
    if (!this.#isEverywhere(updated)) return undefined;
    this.#parts.unarrived.forget(author.replica, snapshot.source);
    return AT_REST;
  }

  /** See `RenamedNames`. */
  wakeFormer(replica: Replica, job: Job): void {
    this.#names.wakeFormer(replica, job);
  }

  /** What the name had before was found to be malware under another one meanwhile: others keep what they have of it. */
  #wasForgotten({ id }: Replica, entry: IndexEntry, { path }: Job): boolean {
    if (recordIn(entry, id) === undefined) return false;
    return recordIn(this.#parts.index.get(path), id) === undefined;
  }

  /** Whether all replicas that are there were just seen with the entry's version. */
  #isEverywhere(entry: IndexEntry): boolean {
    const present = this.#parts.replicas.filter(({ root }) => root !== undefined);
    return present.every(({ id, noted }) => {
      const record = recordIn(entry, id);
      return record?.version === entry.version && record.status === noted;
    });
  }

  async judge(
    step: StepOf<"judge">,
    look: Look,
    entry: IndexEntry,
    job: Job,
  ): Promise<undefined> {
    const author = look.view(step.author);
    const snapshot = await this.#snapshot(author, job);
    if (snapshot === undefined) return; // gone, or postponed: look again
    await this.#verdicts.judgeEarly(snapshot, author, look, entry, job);
    this.#names.keepClean(snapshot, author.replica, job);
    this.#names.wakeFormer(author.replica, job);
  }

  async distribute(
    step: StepOf<"distribute">,
    look: Look,
    entry: IndexEntry,
    job: Job,
  ): Promise<Rest | undefined> {
    const source = look.view(step.source);
    const snapshot = await this.#snapshot(source, job);
    // Another file has the name by now: it is no version of the channel yet.
    if (snapshot === undefined || !isSeen(source, snapshot)) return undefined;
    // Nor is it a proof that it is known, or lies in the export: it may have come there without any scan (I1).
    const judgement = await this.#verdicts.judge(snapshot, source, look, entry, job);
    if (judgement !== "clean") return undefined;
    const { id } = source.replica;
    // It may have waited for that verdict.
    const judged = withRecord(entry, recordOf(id, snapshot.source, "current", entry.version));
    const targets = step.targets.map((target) => look.view(target));
    const updated = await this.#publish(targets, look, snapshot, source.replica, judged, job);
    note(this.#parts, job.path, updated, entry);
    // It may be anybody's rename that is complete now.
    for (const replica of this.#parts.replicas) this.#names.wakeFormer(replica, job);
    return undefined;
  }

  async #snapshot(view: View, job: Job): Promise<Snapshot | undefined> {
    const { replica, parent, seen } = view;
    if (parent === undefined || seen.kind !== "file") return undefined;
    const known = job.snapshot(replica.id, seen.status);
    if (known !== undefined) return known;
    try {
      const { early, stager } = this.#parts;
      const snapshot = early.claim(replica, job.path, seen.status) ??
        await stager.take(parent, nameOf(job.path));
      if (snapshot !== undefined) job.keep(replica.id, snapshot);
      return snapshot;
    } catch (error) {
      if (isErrno(error, "ENOENT", "ESTALE", "ENXIO")) return undefined;
      postpone(this.#parts, replica, error, "cannot be read", job);
      return undefined;
    }
  }

  #copyAhead(snapshot: Snapshot, count: number): void {
    if (!snapshot.isShared) return; // there is no scanner to wait for
    try {
      this.#parts.stager.copyAhead(snapshot, count);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error; // whoever needs them will meet the same
    }
  }

  /** Publishes to each target; the entry with what that made of them. */
  async #publish(
    targets: readonly View[],
    look: Look,
    snapshot: Snapshot,
    from: Replica,
    entry: IndexEntry,
    job: Job,
  ): Promise<IndexEntry> {
    const { publisher, onChanged, onPublished } = this.#parts;
    let updated = entry;
    for (const target of targets) {
      const { replica } = target;
      try {
        const isLast = target === targets.at(-1);
        // What a guest writes to a file that is its own as well is nothing to be put back into another's share.
        const keep = !look.hasElsewhere(target);
        const options = { isLast, model: from, keep };
        const outcome = await publisher.publish(target, job.path, snapshot, options);
        if (outcome.kind === "done") {
          const record = recordOf(replica.id, outcome.status, "current", entry.version);
          updated = withRecord(updated, record);
          onChanged(replica, job.path);
          this.#tellReplaced(target, entry, job);
          onPublished(job.path, "file", from);
        } else onHindrance(this.#parts, outcome, replica, job);
      } catch (error) {
        postpone(this.#parts, replica, error, "cannot be written", job);
      }
    }
    return updated;
  }

  /** Where conflict copies are off, a change that nobody else has seen may have been replaced. */
  #tellReplaced({ replica, seen }: View, entry: IndexEntry, job: Job): void {
    if (this.#parts.conflictCopies || replica.role === "export" || seen.kind !== "file") return;
    const known = recordIn(entry, replica.id);
    if (known !== undefined && matches(known, seen.status)) return;
    this.#parts.onConflict(replica, job.path, "replaced");
  }

  /** Whose files are kept beside the winner; `undefined` if one is not what was seen any more. */
  async #keepLosers(losers: readonly View[], job: Job): Promise<Set<ReplicaId> | undefined> {
    const kept = new Set<ReplicaId>();
    for (const view of losers) {
      try {
        const outcome = await this.#keepLoser(view, job);
        if (outcome === "changed") return undefined;
        if (outcome === "kept") kept.add(view.replica.id);
      } catch (error) {
        // The winner goes to the others without it.
        postpone(this.#parts, view.replica, error, "cannot be renamed", job);
        return undefined;
      }
    }
    return kept;
  }

  async #keepLoser(view: View, job: Job): Promise<"kept" | "discarded" | "changed"> {
    const { publisher, onConflict, moves } = this.#parts;
    // Told by the watcher only later, and it may have had another name before, whose deletion waits for this one.
    const onRenamed = (to: RelativePath) => {
      moves(view.replica)?.moved(job.path, to);
      if (view.replica.role === "export") this.#noteKept(view, to, job);
    };
    const outcome = await publisher.setAside(view, job.path, onRenamed);
    if (outcome === "changed") return "changed";
    const end = outcome === "too many" ? "discarded" : "kept";
    onConflict(view.replica, job.path, end);
    return end;
  }

  /** Nobody's event tells of it in the export: it goes to the shares as the channel's version of that name. */
  #noteKept({ replica, seen }: View, to: RelativePath, job: Job): void {
    if (seen.kind !== "file") return;
    const { index, lookAt } = this.#parts;
    const entry = index.get(to);
    index.put(
      to,
      withRecord(entry, recordOf(replica.id, seen.status, "current", entry.version + 1)),
    );
    lookAt(to, job.path);
  }

  async setAside(view: View, entry: IndexEntry, job: Job): Promise<undefined> {
    try {
      const outcome = await this.#keepLoser(view, job);
      if (outcome === "changed") return;
      if (outcome === "discarded" && view.seen.kind === "file") {
        this.#parts.publisher.remove(view, job.path, view.seen.status, true);
      }
      note(this.#parts, job.path, withoutRecord(entry, view.replica.id), entry);
    } catch (error) {
      postpone(this.#parts, view.replica, error, "cannot be renamed", job);
    }
  }

  remove(step: StepOf<"remove">, look: Look, entry: IndexEntry, job: Job): Rest | undefined {
    if (!step.orphan && !this.#parts.areTreesRead()) return UNREAD;
    const losers = step.replicas.map((id) => look.view(id).replica);
    const waits = step.orphan ? undefined : this.#names.waitForNew(losers, look, entry, job);
    if (waits !== undefined) return waits;
    const { publisher, onChanged, onPublished } = this.#parts;
    let complete = true;
    let updated = entry;
    for (const id of step.replicas) {
      const view = look.view(id);
      if (view.seen.kind !== "file") continue;
      try {
        if (publisher.remove(view, job.path, view.seen.status, true) === "done") {
          updated = withoutRecord(updated, id);
          onChanged(view.replica, job.path);
          onPublished(job.path, "removal", view.replica);
        } else complete = false;
      } catch (error) {
        complete = false;
        postpone(this.#parts, view.replica, error, "cannot be removed", job);
      }
    }
    if (!complete) {
      this.#parts.index.put(job.path, updated);
      return job.rest === AT_REST ? SOON : job.rest;
    }
    // Whoever deleted it has nothing left to be known; whoever is not there has yet to learn of it.
    // A diode's deletions and the others' are none of each other's.
    const aware = look.receivers;
    const records = updated.records.filter((record) =>
      !aware.has(record.replica) || record.status !== "current"
    );
    this.#parts.index.put(job.path, withDeletion({ ...entry, records }));
    return undefined;
  }
}

/** Whether the snapshot was made of the file that was looked at. */
function isSeen({ seen }: View, { source }: Snapshot): boolean {
  return seen.kind === "file" && sameIdentity(seen.status, source);
}

/** Whether somebody has the file open for writing, and has done something with it not long ago. */
function isBeingWritten({ parent, seen }: View, path: RelativePath): boolean {
  if (seen.kind !== "file") return false;
  if (ageMs(seen.status) > IDLE_WRITER_MS) return false;
  using file = parent?.openRegular(nameOf(path))?.file;
  return file !== undefined && hasWriters(file) === true;
}

/** Whether several replicas have the entry's version. */
function hasTravelled({ version, records }: IndexEntry): boolean {
  return records.filter((record) => record.version === version).length > 1;
}
