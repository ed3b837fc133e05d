/** The steps that directories go through: made alike everywhere, removed when they are empty. */

import { join, nameOf, parentOf, type RelativePath } from "../../ffi/byte_string.ts";
import { isErrno } from "../../ffi/errno.ts";
import {
  type Job,
  type Look,
  onHindrance,
  postpone,
  type ReconcilerParts,
  type Rest,
  type StepOf,
} from "./job.ts";
import type { View } from "./replica.ts";
import { type IndexEntry, withoutRecords } from "./replica_record.ts";

/** Attempts to remove a directory that is not empty yet, before it is kept. */
const REMOVAL_ATTEMPTS = 6;
/** Of directories that are not empty yet; others are tried again without being counted (I6). */
const MOST_COUNTED = 10_000;
/** Entries among which a directory is looked for that is going to be removed itself. */
const MOST_LOOKED_AT = 1_000;

export class DirectorySteps {
  readonly #parts: ReconcilerParts;
  /** Directories that are to be removed as soon as they can be, and how often something unforeseen was inside. */
  readonly #removals = new Map<RelativePath, number>();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /** `path` has come to rest: its removal is done, or nobody's wish any more. */
  settled(path: RelativePath): void {
    if (!this.#removals.delete(path)) return;
    const above = parentOf(path);
    if (this.#removals.has(above)) this.#parts.lookAt(above);
  }

  make(step: StepOf<"make-directory">, look: Look, job: Job): undefined {
    const model = look.view(step.model);
    if (model.seen.kind !== "directory") return;
    for (const id of step.targets) {
      const target = look.view(id);
      try {
        const { publisher, onPublished } = this.#parts;
        const like = model.seen.status;
        const outcome = publisher.makeDirectory(target, job.path, model.replica, like);
        if (outcome.kind === "done") onPublished(job.path, "directory", model.replica);
        else onHindrance(this.#parts, outcome, target.replica, job);
      } catch (error) {
        postpone(this.#parts, target.replica, error, "cannot be made", job);
      }
    }
  }

  remove(
    step: StepOf<"remove-directory">,
    look: Look,
    entry: IndexEntry,
    job: Job,
  ): Rest | undefined {
    let left: View | undefined;
    for (const id of step.replicas) {
      const view = look.view(id);
      const { replica, parent } = view;
      try {
        const removed = parent?.removeDirectory(nameOf(job.path));
        if (removed) this.#parts.onPublished(job.path, "removal", replica);
      } catch (error) {
        if (!isErrno(error, "ENOTEMPTY", "EEXIST", "ENOTDIR")) {
          postpone(this.#parts, replica, error, "cannot be removed", job);
        } else {
          left = view;
        }
      }
    }
    if (job.postponed.size > 0) {
      this.#attempted(job.path, 0);
      return job.rest;
    }
    if (left === undefined) {
      const receivers = this.#parts.replicas.filter(({ role }) => role !== "diode");
      const ids = new Set(receivers.map(({ id }) => id));
      this.#parts.index.put(job.path, withoutRecords(entry, ids));
      return undefined;
    }
    return this.#notEmpty(left, job);
  }

  /** Its entries are still to be deleted, or are news from elsewhere. */
  #notEmpty(view: View, job: Job): Rest | undefined {
    const attempts = this.#removals.get(job.path) ?? 0;
    // What is below goes first; when it has, or stays, this one is looked at again.
    const delayMs = 100 * 2 ** attempts;
    if (this.#holdsRemoval(view, job.path)) {
      this.#attempted(job.path, attempts);
      return { kind: "later", delayMs: Math.max(delayMs, 1000) };
    }
    if (attempts >= REMOVAL_ATTEMPTS) {
      job.directoryStays = true;
      return undefined;
    }
    this.#attempted(job.path, attempts + 1);
    if (attempts > 0) this.#parts.reread(job.path);
    return { kind: "later", delayMs };
  }

  #attempted(path: RelativePath, attempts: number): void {
    if (this.#removals.size < MOST_COUNTED || this.#removals.has(path)) {
      this.#removals.set(path, attempts);
    }
  }

  /** Whether the directory holds one that waits for its own removal. */
  #holdsRemoval({ parent }: View, path: RelativePath): boolean {
    if (this.#removals.size === 0) return false;
    using directory = parent?.openSubdirectory(nameOf(path));
    let looked = 0;
    for (const { name } of directory?.entries() ?? []) {
      if (this.#removals.has(join(path, name))) return true;
      if (++looked >= MOST_LOOKED_AT) break;
    }
    return false;
  }
}
