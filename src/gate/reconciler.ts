/**
 * Brings one path to rest: looks at it in every replica, asks the planner for the next step, performs it,
 * and looks again. Whatever raised the question (an event, a start, a retry), the disk has the answer.
 */

import { nameOf, type RelativePath } from "../../ffi/byte_string.ts";
import { isErrno, SystemError } from "../../ffi/errno.ts";
import { sameContent } from "../../ffi/file_content.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import type { FileIndex } from "./file_index.ts";
import type { Judge, Judgement } from "./judge.ts";
import type { MoveMemory } from "./move_memory.ts";
import { type Findings, type Observation, plan, type Seen, type Step } from "./planner.ts";
import { type Attributes, type Publisher, type PublishOutcome, showPlace } from "./publisher.ts";
import type { Replica, View } from "./replica.ts";
import {
  type IndexEntry,
  matches,
  recordOf,
  type ReplicaId,
  sameIdentity,
  withoutRecord,
  withRecord,
} from "./replica_record.ts";
import type { Snapshot, Stager } from "./snapshot.ts";

/** Rounds after which a path that never comes to rest lets the others pass. */
const MOST_ROUNDS = 24;
/** Attempts to remove a directory that is not empty yet, before it is kept. */
const REMOVAL_ATTEMPTS = 6;

/** Whether the path is at rest, or wants to be looked at again after a while. */
export type Rest =
  | { readonly kind: "settled" }
  | { readonly kind: "later"; readonly delayMs: number };

const AT_REST: Rest = { kind: "settled" };
const SOON: Rest = { kind: "later", delayMs: 100 };
/** After a failure that will not go away by itself at once: disk full, read-only. */
const AFTER_FAILURE: Rest = { kind: "later", delayMs: 10_000 };

export interface ReconcilerParts {
  readonly replicas: readonly Replica[];
  readonly index: FileIndex;
  readonly stager: Stager;
  readonly publisher: Publisher;
  readonly judge: Judge;
  readonly conflictCopies: boolean;
  /** Renames inside a producer's share. */
  moves(replica: Replica): MoveMemory | undefined;
  /** Files that stay where they are; a directory of that name is none of them. */
  isIgnored(path: RelativePath): boolean;
  orphansMayGo(): boolean;
  /** What a share has at a path, and whether the index knew; for files with several names. */
  onSeen(replica: Replica, path: RelativePath, seen: Seen, isKnown: boolean): void;
  /** Another path, or everything below a directory, is to be looked at. */
  lookAt(path: RelativePath): void;
  reread(directory: RelativePath): void;
  /** Something changed in a share or the export. */
  onPublished(path: RelativePath, what: "file" | "directory" | "removal", from: Replica): void;
  onTrouble(message: string): void;
}

/** What one run has found out so far. */
class Job implements Findings, Disposable {
  readonly postponed = new Set<ReplicaId>();
  directoryStays = false;
  rest: Rest = AT_REST;
  readonly #equal = new Map<string, boolean>();
  readonly #snapshots = new Map<ReplicaId, Snapshot>();

  constructor(readonly path: RelativePath, readonly retryHeld: boolean) {}

  equal(a: ReplicaId, b: ReplicaId): boolean | undefined {
    return this.#equal.get(a < b ? `${a} ${b}` : `${b} ${a}`);
  }

  setEqual(a: ReplicaId, b: ReplicaId, equal: boolean): void {
    this.#equal.set(a < b ? `${a} ${b}` : `${b} ${a}`, equal);
  }

  snapshot(replica: ReplicaId, status: FileStatus): Snapshot | undefined {
    const snapshot = this.#snapshots.get(replica);
    return snapshot !== undefined && sameIdentity(snapshot.source, status) ? snapshot : undefined;
  }

  keep(replica: ReplicaId, snapshot: Snapshot): void {
    this.#snapshots.get(replica)?.[Symbol.dispose]();
    this.#snapshots.set(replica, snapshot);
  }

  [Symbol.dispose](): void {
    for (const snapshot of this.#snapshots.values()) snapshot[Symbol.dispose]();
  }
}

type StepOf<K extends Step["kind"]> = Extract<Step, { kind: K }>;

export class Reconciler {
  readonly #parts: ReconcilerParts;
  /** How often the removal of a directory has met something inside. */
  readonly #removals = new Map<RelativePath, number>();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /**
   * Whether what `replica` has at `path` is what the index says: then an event was the echo of the daemon's own
   * work, or came to nothing.
   */
  isKnown(replica: Replica, path: RelativePath): boolean {
    using view = replica.view(path);
    const record = this.#parts.index.get(path).records.find((one) => one.replica === replica.id);
    switch (view.seen.kind) {
      case "absent":
      case "obstacle":
        return record === undefined;
      case "file":
      case "directory":
        return record !== undefined && matches(record, view.seen.status);
    }
  }

  /** Rejects only for what nobody foresaw. */
  async run(path: RelativePath, retryHeld: boolean): Promise<Rest> {
    using job = new Job(path, retryHeld);
    for (let round = 0; round < MOST_ROUNDS; round++) {
      using look = new Look(this.#parts.replicas, path);
      const entry = this.#known(this.#parts.index.get(path));
      if (round === 0) this.#tellSeen(look, entry, path);
      const ignored = this.#parts.isIgnored(path);
      const step = plan(look.observations(ignored), entry, job, {
        conflictCopies: this.#parts.conflictCopies,
        nowNs: BigInt(Date.now()) * 1_000_000n,
        retryHeld: job.retryHeld,
        orphansMayGo: this.#parts.orphansMayGo(),
      });
      if (step.kind === "settled") return job.rest;
      const rest = await this.#perform(step, look, entry, job);
      if (rest !== undefined) return rest;
    }
    return SOON;
  }

  #tellSeen(look: Look, entry: IndexEntry, path: RelativePath): void {
    for (const { replica, seen } of look.views) {
      if (replica.role === "export") continue;
      const record = entry.records.find((one) => one.replica === replica.id);
      const isKnown = seen.kind === "file" && record !== undefined && matches(record, seen.status);
      this.#parts.onSeen(replica, path, seen, isKnown);
    }
  }

  /** Without what older configurations and lost shares left behind. */
  #known(entry: IndexEntry): IndexEntry {
    const ids = this.#parts.replicas.map(({ id }) => id);
    if (entry.records.every(({ replica }) => ids.includes(replica))) return entry;
    return { ...entry, records: entry.records.filter(({ replica }) => ids.includes(replica)) };
  }

  /** `undefined`: look again at once. */
  #perform(
    step: Exclude<Step, { kind: "settled" }>,
    look: Look,
    entry: IndexEntry,
    job: Job,
  ): Promise<Rest | undefined> | Rest | undefined {
    switch (step.kind) {
      case "compare":
        return this.#compare(step, look, job);
      case "adopt":
        return this.#adopt(step, look, entry, job);
      case "offer":
        return this.#offer(step, look, entry, job);
      case "distribute":
        return this.#distribute(step, look, entry, job);
      case "set-aside":
        return this.#setAside(look.view(step.replica), entry, job);
      case "remove":
        return this.#remove(step, look, entry, job);
      case "forget":
        return this.#forget(step.replicas, entry, job);
      case "make-directory":
        return this.#makeDirectory(step, look, job);
      case "remove-directory":
        return this.#removeDirectory(step, look, entry, job);
    }
  }

  async #compare(step: StepOf<"compare">, look: Look, job: Job): Promise<undefined> {
    const [a, b] = [look.view(step.a), look.view(step.b)];
    using left = a.parent?.openRegular(nameOf(job.path))?.file;
    using right = b.parent?.openRegular(nameOf(job.path))?.file;
    if (left === undefined || right === undefined) return undefined; // gone: look again
    job.setEqual(step.a, step.b, await sameContent(left, right));
  }

  #adopt(step: StepOf<"adopt">, look: Look, entry: IndexEntry, job: Job): undefined {
    const version = step.newVersion ? entry.version + 1 : entry.version;
    let adopted = entry;
    for (const replica of step.replicas) {
      const { seen } = look.view(replica);
      if (seen.kind !== "file" && seen.kind !== "directory") continue;
      adopted = withRecord(adopted, recordOf(replica, seen.status, "current", version));
    }
    this.#parts.index.put(job.path, adopted);
  }

  /** A change of somebody's own: snapshot, verdict, and on to the others. */
  async #offer(
    step: StepOf<"offer">,
    look: Look,
    entry: IndexEntry,
    job: Job,
  ): Promise<Rest | undefined> {
    const author = look.view(step.author);
    const snapshot = await this.#snapshot(author, job);
    if (snapshot === undefined) return undefined; // gone, or postponed: look again
    const judgement = await this.#judge(snapshot, author, entry, job);
    if (judgement !== "clean") return undefined;

    if (author.replica.root === undefined) return undefined;
    using source = author.replica.view(job.path);
    // Removed or renamed away meanwhile: the name's new state is another event.
    if (source.seen.kind !== "file") return undefined;

    const aside = new Set<ReplicaId>();
    for (const loser of step.setAside) {
      const outcome = this.#keepLoser(look.view(loser), job);
      if (outcome === "changed") return undefined;
      if (outcome === "kept") aside.add(loser);
    }
    let updated = withRecord(
      aside.size > 0 ? without(entry, aside) : entry,
      recordOf(author.replica.id, snapshot.source, "current", entry.version + 1),
    );
    // The losers were renamed, and something else may have taken their place: another look is needed.
    const targets = step.targets.filter((target) => !aside.has(target)).map((target) =>
      look.view(target)
    );
    updated = await this.#publish(targets, snapshot, author.replica, updated, job);
    this.#parts.index.put(job.path, updated);
    // Changed while it was scanned: the watcher tells, after its quiet time.
    return sameIdentity(source.seen.status, snapshot.source) ? undefined : job.rest;
  }

  async #distribute(
    step: StepOf<"distribute">,
    look: Look,
    entry: IndexEntry,
    job: Job,
  ): Promise<Rest | undefined> {
    const source = look.view(step.source);
    const snapshot = await this.#snapshot(source, job);
    if (snapshot === undefined) return undefined;
    // What lies in the export was published by us and is out of guests' reach: its verdict stands.
    const record = entry.records.find(({ replica }) => replica === step.source);
    const proven = source.replica.role === "export" && snapshot.stable && record !== undefined &&
      sameIdentity(record, snapshot.source);
    if (!proven && await this.#judge(snapshot, source, entry, job) !== "clean") return undefined;
    const targets = step.targets.map((target) => look.view(target));
    const updated = await this.#publish(targets, snapshot, source.replica, entry, job);
    this.#parts.index.put(job.path, updated);
    return undefined;
  }

  async #snapshot(view: View, job: Job): Promise<Snapshot | undefined> {
    const { replica, parent, seen } = view;
    if (parent === undefined || seen.kind !== "file") return undefined;
    const known = job.snapshot(replica.id, seen.status);
    if (known !== undefined) return known;
    try {
      const snapshot = await this.#parts.stager.take(parent, nameOf(job.path));
      if (snapshot !== undefined) job.keep(replica.id, snapshot);
      return snapshot;
    } catch (error) {
      if (isErrno(error, "ENOENT", "ESTALE", "ENXIO")) return undefined;
      this.#postpone(replica, error, "cannot be read", job);
      return undefined;
    }
  }

  /** The verdict and what follows from it for the author's file. */
  async #judge(
    snapshot: Snapshot,
    author: View,
    entry: IndexEntry,
    job: Job,
  ): Promise<Judgement["kind"]> {
    const { judge, index } = this.#parts;
    const { replica } = author;
    const before = entry.records.find((record) => record.replica === replica.id);
    const told = before?.status === "held" && sameIdentity(before, snapshot.source);
    const judgement = await judge.judge(snapshot, replica, job.path, { told });
    switch (judgement.kind) {
      case "clean":
        break;
      case "held":
        index.put(
          job.path,
          withRecord(entry, recordOf(replica.id, snapshot.source, "held", before?.version ?? 0)),
        );
        job.postponed.add(replica.id);
        break;
      case "infected":
        await this.#dealWith(snapshot, author, judgement.signature, entry, job);
        break;
    }
    return judgement.kind;
  }

  async #dealWith(
    snapshot: Snapshot,
    author: View,
    signature: string,
    entry: IndexEntry,
    job: Job,
  ): Promise<void> {
    const { index, judge, publisher } = this.#parts;
    const { replica } = author;
    const before = entry.records.find((record) => record.replica === replica.id);
    if (judge.action === "log") {
      const record = recordOf(replica.id, snapshot.source, "infected", before?.version ?? 0);
      index.put(job.path, withRecord(entry, record));
      return;
    }
    // Our removal is nobody's deletion: forget first, and for good, that the author had the file.
    index.put(job.path, withoutRecord(entry, replica.id));
    this.#keepFormerName(replica, job.path);
    if (!index.commit() && entry.records.some((record) => record.replica !== replica.id)) {
      index.put(job.path, entry);
      this.#postpone(replica, new Error("the index cannot be written"), "stays for now", job);
      return;
    }
    await judge.keepEvidence(snapshot, replica, job.path, signature);
    const outcome = publisher.remove(author, job.path, snapshot.source, false);
    // Another file took its place: the author still has something, made on what it had before.
    if (outcome === "changed" && before !== undefined) index.put(job.path, entry);
  }

  /** What became malware under a new name is not deleted under its old one. */
  #keepFormerName(replica: Replica, path: RelativePath): void {
    const { index, moves, lookAt } = this.#parts;
    const from = moves(replica)?.sourceOf(path);
    if (from === undefined) return;
    index.put(from, withoutRecord(index.get(from), replica.id));
    lookAt(from);
  }

  /** Publishes to each target; the entry with what that made of them. */
  async #publish(
    targets: readonly View[],
    snapshot: Snapshot,
    from: Replica,
    entry: IndexEntry,
    job: Job,
  ): Promise<IndexEntry> {
    let updated = entry;
    const attributes: Attributes = snapshot.source;
    for (const target of targets) {
      const { replica } = target;
      try {
        const { publisher } = this.#parts;
        const { staged, size } = snapshot;
        const outcome = await publisher.publish(target, job.path, staged, size, attributes, from);
        if (outcome.kind === "done") {
          const record = recordOf(replica.id, outcome.status, "current", entry.version);
          updated = withRecord(updated, record);
          this.#parts.onPublished(job.path, "file", from);
        } else this.#onHindrance(outcome, replica, job);
      } catch (error) {
        this.#postpone(replica, error, "cannot be written", job);
      }
    }
    return updated;
  }

  #onHindrance(outcome: Exclude<PublishOutcome, { kind: "done" }>, replica: Replica, job: Job) {
    if (outcome.kind === "changed") return;
    this.#parts.lookAt(outcome.at);
    job.postponed.add(replica.id);
    job.rest = SOON;
  }

  #postpone(replica: Replica, error: unknown, what: string, job: Job): void {
    if (!(error instanceof Error)) throw error;
    job.postponed.add(replica.id);
    job.rest = AFTER_FAILURE;
    const hint = error instanceof SystemError ? "" : " (unexpected)";
    this.#parts.onTrouble(
      `${showPlace(replica, job.path)} ${what}: ${error.message}${hint}; it is tried again`,
    );
  }

  #keepLoser(view: View, job: Job): "kept" | "discarded" | "changed" {
    const { publisher, onTrouble } = this.#parts;
    const outcome = publisher.setAside(view, job.path);
    if (outcome === "changed") return "changed";
    const place = showPlace(view.replica, job.path);
    if (outcome === "too many") {
      onTrouble(
        `${place} lost a conflict and is replaced: it has too many conflict copies already`,
      );
      return "discarded";
    }
    onTrouble(`${place} was changed on two sides: the earlier one is kept beside it`);
    return "kept";
  }

  #setAside(view: View, entry: IndexEntry, job: Job): undefined {
    try {
      const outcome = this.#keepLoser(view, job);
      if (outcome === "changed") return;
      if (outcome === "discarded" && view.seen.kind === "file") {
        this.#parts.publisher.remove(view, job.path, view.seen.status, true);
      }
      this.#parts.index.put(job.path, withoutRecord(entry, view.replica.id));
    } catch (error) {
      this.#postpone(view.replica, error, "cannot be renamed", job);
    }
  }

  #remove(step: StepOf<"remove">, look: Look, entry: IndexEntry, job: Job): Rest | undefined {
    const waits = step.orphan ? undefined : this.#waitsForNewName(look, entry, job);
    if (waits !== undefined) return waits;
    let complete = true;
    let updated = entry;
    for (const id of step.replicas) {
      const view = look.view(id);
      if (view.seen.kind !== "file") continue;
      try {
        const { publisher, onPublished } = this.#parts;
        if (publisher.remove(view, job.path, view.seen.status, true) === "done") {
          updated = withoutRecord(updated, id);
          onPublished(job.path, "removal", view.replica);
        } else complete = false;
      } catch (error) {
        complete = false;
        this.#postpone(view.replica, error, "cannot be removed", job);
      }
    }
    if (!complete) {
      this.#parts.index.put(job.path, updated);
      return job.rest === AT_REST ? SOON : job.rest;
    }
    // Whoever deleted it has nothing left to be known; whoever is not there has yet to learn of it.
    // A diode's deletions and the others' are none of each other's.
    const unaware = this.#parts.replicas.filter(({ root, role }) =>
      root === undefined || role === "diode"
    ).map(({ id }) => id);
    const records = updated.records.filter((record) =>
      unaware.includes(record.replica) || record.status !== "current"
    );
    this.#parts.index.put(job.path, {
      version: entry.version + 1,
      deleted: records.length > 0,
      records,
    });
    return undefined;
  }

  /** A rename is told as a new file first, and as a deletion when that has arrived. */
  #waitsForNewName(look: Look, entry: IndexEntry, job: Job): Rest | undefined {
    const { index, moves, isIgnored } = this.#parts;
    for (const { replica, seen } of look.views) {
      const record = entry.records.find((known) => known.replica === replica.id);
      if (seen.kind === "file" || record === undefined) continue;
      const to = moves(replica)?.targetOf(job.path);
      if (to === undefined || isIgnored(to)) continue;
      using target = replica.view(to);
      if (target.seen.kind !== "file") continue;
      const known = index.get(to).records.find((one) => one.replica === replica.id);
      if (known === undefined || !matches(known, target.seen.status)) return SOON;
      if (known.status === "held") return { kind: "later", delayMs: 5000 };
      if (known.status === "infected") {
        index.put(job.path, withoutRecord(entry, replica.id));
        return { kind: "later", delayMs: 0 };
      }
    }
    return undefined;
  }

  #forget(replicas: readonly ReplicaId[], entry: IndexEntry, job: Job): undefined {
    this.#parts.index.put(job.path, without(entry, new Set(replicas)));
  }

  #makeDirectory(step: StepOf<"make-directory">, look: Look, job: Job): undefined {
    const model = look.view(step.model);
    if (model.seen.kind !== "directory") return;
    for (const id of step.targets) {
      const target = look.view(id);
      try {
        const { publisher, onPublished } = this.#parts;
        const like = model.seen.status;
        const outcome = publisher.makeDirectory(target, job.path, model.replica, like);
        if (outcome.kind === "done") onPublished(job.path, "directory", model.replica);
        else this.#onHindrance(outcome, target.replica, job);
      } catch (error) {
        this.#postpone(target.replica, error, "cannot be made", job);
      }
    }
  }

  #removeDirectory(
    step: StepOf<"remove-directory">,
    look: Look,
    entry: IndexEntry,
    job: Job,
  ): Rest | undefined {
    let notEmpty = false;
    for (const id of step.replicas) {
      const { replica, parent } = look.view(id);
      try {
        const removed = parent?.removeDirectory(nameOf(job.path));
        if (removed) this.#parts.onPublished(job.path, "removal", replica);
      } catch (error) {
        if (!isErrno(error, "ENOTEMPTY", "EEXIST", "ENOTDIR")) {
          this.#postpone(replica, error, "cannot be removed", job);
          return job.rest;
        }
        notEmpty = true;
      }
    }
    if (!notEmpty) {
      this.#removals.delete(job.path);
      const receivers = this.#parts.replicas.filter(({ role }) => role !== "diode");
      this.#forget(receivers.map(({ id }) => id), entry, job);
      return undefined;
    }
    // Its entries are still to be deleted, or are news from elsewhere.
    const attempts = (this.#removals.get(job.path) ?? 0) + 1;
    if (attempts > REMOVAL_ATTEMPTS) {
      this.#removals.delete(job.path);
      job.directoryStays = true;
      return undefined;
    }
    this.#removals.set(job.path, attempts);
    if (attempts > 1) this.#parts.reread(job.path);
    return { kind: "later", delayMs: 50 * 2 ** attempts };
  }
}

function without(entry: IndexEntry, replicas: ReadonlySet<ReplicaId>): IndexEntry {
  return { ...entry, records: entry.records.filter(({ replica }) => !replicas.has(replica)) };
}

/** One look at a path in every replica that is there. */
class Look implements Disposable {
  readonly views: readonly View[];

  constructor(replicas: readonly Replica[], path: RelativePath) {
    const views: View[] = [];
    try {
      for (const replica of replicas) {
        if (replica.root !== undefined) views.push(replica.view(path));
      }
    } catch (error) {
      for (const view of views) view[Symbol.dispose]();
      throw error;
    }
    this.views = views;
  }

  /** An ignored file is as good as absent, and a rename to an ignored name as good as a deletion. */
  observations(filesIgnored: boolean): Observation[] {
    return this.views.map(({ replica, seen }) => ({
      replica: replica.id,
      role: replica.role,
      seen: filesIgnored && seen.kind === "file" ? { kind: "absent" } : seen,
    }));
  }

  view(id: ReplicaId): View {
    const view = this.views.find(({ replica }) => replica.id === id);
    if (view === undefined) throw new Error(`no replica ${id}`);
    return view;
  }

  [Symbol.dispose](): void {
    for (const view of this.views) view[Symbol.dispose]();
  }
}
