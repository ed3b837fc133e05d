/**
 * Brings one path to rest: looks at it in every replica, asks the planner for the next step, performs it,
 * and looks again. Whatever raised the question (an event, a start, a retry), the disk has the answer.
 */

import { nameOf, type RelativePath } from "../../ffi/byte_string.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { sameContent } from "../../ffi/same_content.ts";
import { DirectorySteps } from "./directory_steps.ts";
import { FileSteps } from "./file_steps.ts";
import { confirmed } from "./index_confirmation.ts";
import { Job, Look, type ReconcilerParts, type Rest, SOON, StaleLook, type StepOf } from "./job.ts";
import { Pace } from "./pace.ts";
import { plan } from "./planning/planner.ts";
import type { Step } from "./planning/situation.ts";
import type { Replica } from "./replica.ts";
import {
  type IndexEntry,
  knownIn,
  matches,
  recordIn,
  recordOf,
  type ReplicaId,
  sameIdentity,
  withDeletion,
  withoutRecords,
  withRecord,
} from "./replica_record.ts";
import { untilTimesTell } from "./snapshot.ts";

/**
 * Rounds after which a path that never comes to rest lets the others pass. One more for each comparison: what was found out
 * so far ends with the run, and the next one would come no further.
 */
const MOST_ROUNDS = 24;

export class Reconciler {
  readonly #parts: ReconcilerParts;
  readonly #files: FileSteps;
  readonly #directories: DirectorySteps;
  /** Comparisons of small files take no turn of the event loop, and there may be many in a row (I7). */
  readonly #pace = new Pace(1);

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
    this.#files = new FileSteps(parts);
    this.#directories = new DirectorySteps(parts);
  }

  /**
   * Whether what `replica` has at `path` is what the index says: then an event was the echo of the daemon's own
   * work, or came to nothing.
   */
  isKnown(replica: Replica, path: RelativePath): boolean {
    const seen = replica.glance(path);
    const entry = this.#parts.index.get(path);
    const record = knownIn(entry, replica);
    if (seen.kind === "file" || seen.kind === "directory") {
      return record !== undefined && record.inode === seen.status.inode &&
        matches(record, seen.status);
    }
    // Whatever kept from it what others have may just have gone.
    const isDue = replica.role !== "diode" && !entry.deleted &&
      entry.records.some(({ status }) => status === "current");
    return record === undefined && !isDue;
  }

  /** Rejects only for what nobody foresaw. */
  async run(path: RelativePath, retryHeld: boolean): Promise<Rest> {
    try {
      return await this.#run(path, retryHeld);
    } catch (error) {
      if (error instanceof StaleLook) return SOON;
      throw error;
    }
  }

  async #run(path: RelativePath, retryHeld: boolean): Promise<Rest> {
    using job = new Job(path, retryHeld);
    const most = this.#parts.replicas.length;
    const pairs = most * (most - 1) / 2;
    for (let round = 0; round < MOST_ROUNDS + Math.min(job.comparisons, pairs); round++) {
      using look = new Look(this.#parts.replicas, path);
      const entry = round === 0
        ? confirmed(this.#parts.index, path, this.#known(path), () => look.views)
        : this.#known(path);
      if (round === 0) this.#tellSeen(look, entry, path);
      const ignored = this.#parts.isIgnored(path);
      const step = plan(look.observations(ignored), entry, job, {
        conflictCopies: this.#parts.conflictCopies,
        nowNs: BigInt(Date.now()) * 1_000_000n,
        retryHeld: job.retryHeld,
        infectedStays: this.#parts.judge.infectedStays,
        orphansMayGo: this.#parts.orphansMayGo(),
      });
      const rest = step.kind === "settled" ? job.rest : await this.#perform(step, look, entry, job);
      if (rest === undefined) continue;
      if (rest.kind === "settled") this.#settled(look, job);
      return rest;
    }
    return SOON;
  }

  #settled(look: Look, job: Job): void {
    this.#directories.settled(job.path);
    this.#directories.noteOthers(look, job.path);
    // What waited until something has arrived under this name waits in vain where there is nothing any more.
    for (const { replica, seen } of look.views) {
      if (seen.kind === "absent") this.#files.wakeFormer(replica, job);
    }
  }

  #tellSeen(look: Look, entry: IndexEntry, path: RelativePath): void {
    for (const place of look.covered) this.#parts.onCovered(place);
    for (const { replica, seen } of look.views) {
      if (replica.role === "export") continue;
      const record = recordIn(entry, replica.id);
      const isKnown = seen.kind === "file" && record !== undefined && matches(record, seen.status);
      this.#parts.onSeen(replica, path, seen, isKnown);
    }
  }

  /** Without what older configurations and lost shares left behind. */
  #known(path: RelativePath): IndexEntry {
    const { replicas, former, index, onHeld } = this.#parts;
    const entry = index.get(path);
    const ids = replicas.map(({ id }) => id);
    const records = entry.records.filter(({ replica, status }) =>
      ids.includes(replica) || (status === "current" && former.has(replica))
    );
    if (records.length === entry.records.length) return entry;
    const known = { ...entry, records };
    // The index finds what is held by the last who holds it, and for one who is gone nobody asks.
    const holders = replicas.filter(({ id }) => recordIn(entry, id)?.status === "held");
    if (holders.length > 0) index.put(path, known);
    for (const holder of holders) onHeld(holder);
    return known;
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
        return this.#files.offer(step, look, entry, job);
      case "judge":
        return this.#files.judge(step, look, entry, job);
      case "distribute":
        return this.#files.distribute(step, look, entry, job);
      case "set-aside":
        return this.#files.setAside(look.view(step.replica), entry, job);
      case "remove":
        return this.#files.remove(step, look, entry, job);
      case "forget":
        return this.#forget(step, entry, job);
      case "make-directory":
        return this.#directories.make(step, look, entry, job);
      case "remove-directory":
        return this.#directories.remove(step, look, entry, job);
    }
  }

  async #compare(step: StepOf<"compare">, look: Look, job: Job): Promise<undefined> {
    const open = (id: ReplicaId) => look.view(id).parent?.openRegular(nameOf(job.path));
    const a = open(step.a);
    using left = a?.file;
    const b = open(step.b);
    using right = b?.file;
    if (a === undefined || b === undefined || !left || !right) return; // gone: look again
    await untilTimesTell(a.status);
    await untilTimesTell(b.status);
    const equal = await sameContent(left, right);
    // Changed meanwhile: it was no version that was compared.
    if (!sameIdentity(a.status, statusOf(left)) || !sameIdentity(b.status, statusOf(right))) return;
    job.setEqual(a.status, b.status, equal);
    if (this.#pace.isDue()) await this.#pace.rest();
  }

  #adopt(step: StepOf<"adopt">, look: Look, entry: IndexEntry, job: Job): undefined {
    const version = step.newVersion ? entry.version + 1 : entry.version;
    let adopted = entry;
    for (const id of step.replicas) {
      const { replica, seen } = look.view(id);
      if (seen.kind !== "file" && seen.kind !== "directory") continue;
      adopted = withRecord(adopted, recordOf(id, seen.status, replica.noted, version));
    }
    this.#parts.index.put(job.path, adopted);
    // Each of them may have got it by a rename.
    for (const { replica } of look.views) this.#files.wakeFormer(replica, job);
    const hasExport = step.replicas.some((id) => look.view(id).replica.role === "export");
    if (hasExport && entry.records.length === 0) job.unchangedSinceExport = true;
  }

  #forget({ replicas, isDeletion }: StepOf<"forget">, entry: IndexEntry, job: Job): undefined {
    const left = withoutRecords(entry, new Set(replicas));
    this.#parts.index.put(job.path, isDeletion ? withDeletion(left) : left);
  }
}
