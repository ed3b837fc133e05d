/** The steps that directories go through: made alike everywhere, removed when they are empty. */

import { nameOf, type RelativePath } from "../../ffi/byte_string.ts";
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
import { type IndexEntry, withoutRecords } from "./replica_record.ts";

/** Attempts to remove a directory that is not empty yet, before it is kept. */
const REMOVAL_ATTEMPTS = 6;

export class DirectorySteps {
  readonly #parts: ReconcilerParts;
  /** How often the removal of a directory has met something inside. */
  readonly #removals = new Map<RelativePath, number>();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
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
    let notEmpty = false;
    for (const id of step.replicas) {
      const { replica, parent } = look.view(id);
      try {
        const removed = parent?.removeDirectory(nameOf(job.path));
        if (removed) this.#parts.onPublished(job.path, "removal", replica);
      } catch (error) {
        if (!isErrno(error, "ENOTEMPTY", "EEXIST", "ENOTDIR")) {
          postpone(this.#parts, replica, error, "cannot be removed", job);
          return job.rest;
        }
        notEmpty = true;
      }
    }
    if (!notEmpty) {
      this.#removals.delete(job.path);
      const receivers = this.#parts.replicas.filter(({ role }) => role !== "diode");
      const ids = new Set(receivers.map(({ id }) => id));
      this.#parts.index.put(job.path, withoutRecords(entry, ids));
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
