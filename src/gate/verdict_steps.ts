/**
 * What a verdict means for the file of its author, before anything travels: held back, removed, or left alone. Our own
 * removal of malware is nobody's deletion.
 */

import type { RelativePath } from "../../ffi/byte_string.ts";
import { lacksDescriptors, SystemError } from "../../ffi/errno.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import { nextTurn } from "../../ffi/reactor.ts";
import { VersionMemory } from "../scanning/version_memory.ts";
import {
  type Job,
  type Look,
  note,
  postpone,
  type ReconcilerParts,
  type Rest,
  UNREAD,
} from "./job.ts";
import type { Judgement } from "./judge.ts";
import { showPlace } from "./publisher.ts";
import type { Outcome } from "./recovery.ts";
import { refusal } from "./refusal.ts";
import type { Replica, View } from "./replica.ts";
import {
  baseIn,
  type IndexEntry,
  knownIn,
  matches,
  recordIn,
  recordOf,
  type ReplicaRecord,
  sameIdentity,
  withoutRecord,
  withRecord,
} from "./replica_record.ts";
import type { Snapshot } from "./snapshot.ts";

/** Each of a millisecond, or some thousand events. */
const MOST_TURNS = 50;
/** When a file is scanned again that has no verdict, and cannot go anywhere yet. */
const WITHOUT_VERDICT: Rest = { kind: "later", delayMs: 5000, isStuck: true };

export class VerdictSteps {
  readonly #parts: ReconcilerParts;
  readonly #clean = new VersionMemory();
  /** Of which the user has heard that they could not be scanned. */
  readonly #told = new VersionMemory();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /** The verdict on what the author has, and what follows from it there. */
  async judge(
    snapshot: Snapshot,
    author: View,
    look: Look,
    entry: IndexEntry,
    job: Job,
  ): Promise<Judgement["kind"]> {
    const { judge } = this.#parts;
    const { replica } = author;
    const before = recordIn(entry, replica.id);
    const told = before?.status === "held" && sameIdentity(before, snapshot.source);
    const judgement = await judge.judge(snapshot, replica, job.path, { told });
    switch (judgement.kind) {
      case "clean":
        this.#rememberClean(snapshot.source);
        break;
      case "held": {
        const record = recordOf(replica.id, snapshot.source, "held", baseIn(entry, replica.id));
        note(this.#parts, job.path, withRecord(entry, record), entry);
        this.#parts.onHeld(replica);
        job.postponed.add(replica.id);
        break;
      }
      case "infected":
        await this.#onInfected(snapshot, author, judgement.signature, look, entry, job);
        break;
    }
    return judgement.kind;
  }

  /** The same of a file that cannot go anywhere yet: without a verdict, what is known of the path stays as it is. */
  async judgeEarly(
    snapshot: Snapshot,
    author: View,
    look: Look,
    entry: IndexEntry,
    job: Job,
  ): Promise<void> {
    const { replica } = author;
    const { source } = snapshot;
    const told = this.#told.has(source);
    const judgement = await this.#parts.judge.judge(snapshot, replica, job.path, { told });
    job.judged.add(replica.id);
    switch (judgement.kind) {
      case "clean":
        return this.#rememberClean(source);
      case "held":
        this.#told.remember(source);
        job.postponed.add(replica.id);
        job.rest = WITHOUT_VERDICT;
        return;
      case "infected":
        return await this.#onInfected(snapshot, author, judgement.signature, look, entry, job);
    }
  }

  /** Whether this very version was found to be clean, lately, or is not to be scanned at all. */
  isClean(version: FileStatus): boolean {
    return !this.#parts.judge.isScanning || this.#clean.has(version);
  }

  #rememberClean(version: FileStatus): void {
    if (this.#parts.judge.isScanning) this.#clean.remember(version);
  }

  async #onInfected(
    snapshot: Snapshot,
    author: View,
    signature: string,
    look: Look,
    entry: IndexEntry,
    job: Job,
  ): Promise<void> {
    const { areTreesRead, index, judge, onPublished, publisher } = this.#parts;
    const { replica } = author;
    const before = recordIn(entry, replica.id);
    if (judge.action !== "log" && !areTreesRead()) {
      // It may be what another name's clean file has become.
      job.postponed.add(replica.id);
      job.rest = UNREAD;
      return;
    }
    await this.#hearOfRenames(replica);
    const isNews = judge.tell(snapshot, replica, job.path, signature);
    if (judge.action === "log") {
      const version = baseIn(entry, replica.id);
      const record = recordOf(replica.id, snapshot.source, "infected", version);
      note(this.#parts, job.path, withRecord(entry, record), entry);
      this.#keepFormerName(replica, job.path);
      return;
    }
    // Our removal is nobody's deletion: forget first, and for good, that the author had the file.
    const left = withoutRecord(withLastVersion(entry, author, look), replica.id);
    note(this.#parts, job.path, left, entry);
    const isLast = !this.#keepFormerName(replica, job.path) && !left.records.some(isFile);
    if (!index.commit() && left.records.length > 0) {
      note(this.#parts, job.path, entry, left);
      const cause = new Error("the index cannot be written");
      postpone(this.#parts, replica, cause, "stays for now", job);
      return;
    }
    const isKept = await judge.keepEvidence(snapshot, replica, job.path, signature, { isNews });
    let outcome: Outcome;
    try {
      outcome = publisher.remove(author, job.path, snapshot.source, false);
    } catch (error) {
      if (!(error instanceof SystemError) || lacksDescriptors(error)) throw error;
      this.#hold(snapshot, author, error, entry, job);
      return;
    }
    if (outcome === "done") {
      judge.removed(snapshot, signature);
      onPublished(job.path, "removal", replica);
      if (isLast) await this.#bringBack(snapshot, replica, job);
      return;
    }
    judge.evaded(snapshot, job.path, signature, { isKept });
    // Another file took its place: the author still has something, made on what it had before.
    if (before !== undefined) note(this.#parts, job.path, entry, left);
  }

  /** An immutable file, or a directory that is: it is tried now and then, as what waits for a verdict. */
  #hold(
    snapshot: Snapshot,
    { replica }: View,
    error: SystemError,
    entry: IndexEntry,
    job: Job,
  ): void {
    const { judge, onTrouble } = this.#parts;
    const version = baseIn(entry, replica.id);
    const record = recordOf(replica.id, snapshot.source, "held", version);
    note(this.#parts, job.path, withRecord(entry, record), entry);
    this.#parts.onHeld(replica);
    job.postponed.add(replica.id);
    if (!judge.cannotBeRemoved(snapshot)) return;
    onTrouble(
      `${showPlace(replica, job.path)} cannot be removed: ${refusal(error)}; it is tried again`,
      replica,
    );
  }

  /** Of all up to now, unless there are so many that malware would stay for it. */
  async #hearOfRenames(replica: Replica): Promise<void> {
    for (let left = MOST_TURNS; left > 0 && !this.#parts.catchUp(replica); left--) await nextTurn();
  }

  /**
   * What others had under its former name may be gone already, since it was clean when they gave it up. The author gets that
   * version, as if it were his own: it is scanned, and travels.
   */
  async #bringBack(malware: Snapshot, replica: Replica, job: Job): Promise<void> {
    const { publisher, unarrived } = this.#parts;
    using last = unarrived.take(replica, malware.source);
    if (last === undefined || replica.root === undefined) return;
    using place = replica.view(job.path);
    if (place.seen.kind !== "absent") return;
    try {
      const options = { isLast: true, model: replica, keep: false };
      await publisher.publish(place, job.path, last, options);
    } catch (error) {
      postpone(this.#parts, replica, error, "cannot be brought back", job);
    }
  }

  /** What became malware under a new name is not deleted under its old one. Whether it had one that anybody still knows. */
  #keepFormerName(replica: Replica, path: RelativePath): boolean {
    const { index, moves, lookAt } = this.#parts;
    let isKept = false;
    for (const from of moves(replica)?.sourcesOf(path) ?? []) {
      const entry = index.get(from);
      const record = recordIn(entry, replica.id);
      if (record === undefined) continue;
      const seen = replica.root && replica.glance(from);
      if (seen?.kind === "file" && matches(record, seen.status)) continue; // it was something else's name
      index.put(from, withoutRecord(entry, replica.id));
      lookAt(from, path);
      isKept = true;
    }
    return isKept;
  }
}

const isFile = ({ kind }: ReplicaRecord) => kind === "file";

/**
 * Where nobody but the author and the export has the file, and the index does not know the export's: that is the last
 * clean version from now on, no orphan, and returns to the author.
 */
function withLastVersion(entry: IndexEntry, author: View, { views }: Look): IndexEntry {
  const exported = views.find(({ replica }) => replica.role === "export");
  if (exported === undefined || exported === author || exported.seen.kind !== "file") return entry;
  const isKnown = ({ replica, seen }: View) => {
    const record = knownIn(entry, replica);
    return seen.kind === "file" && record !== undefined && matches(record, seen.status);
  };
  const others = views.filter((view) => view !== author && view.replica.role !== "diode");
  if (others.some(isKnown)) return entry;
  const { replica, seen } = exported;
  return withRecord(entry, recordOf(replica.id, seen.status, "current", entry.version));
}
