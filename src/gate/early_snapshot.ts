/**
 * The snapshot of a small file can be taken, and sent to the scanner, in the last moments of its quiet time: if the file
 * stays as it is, the job that follows finds it. One at a time.
 */

import { nameOf, type RelativePath } from "../../ffi/byte_string.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import type { Replica } from "./replica.ts";
import { type ReplicaId, sameIdentity } from "./replica_record.ts";
import type { Snapshot, Stager } from "./snapshot.ts";

interface Taken {
  readonly replica: ReplicaId;
  readonly path: RelativePath;
  readonly snapshot: Snapshot;
}

export class EarlySnapshot {
  readonly #stager: Stager;
  readonly #onTaken: (snapshot: Snapshot) => void;
  #taken: Taken | undefined;
  /** What was there already at the last sweep. */
  #old: Taken | undefined;
  /** What begins before something else does is no use any more when it ends. */
  #sequence = 0;

  /** `onTaken` does with a snapshot what whoever claims it will need. */
  constructor(stager: Stager, onTaken: (snapshot: Snapshot) => void) {
    this.#stager = stager;
    this.#onTaken = onTaken;
  }

  /** Takes one of what `replica` has at `path`, if that is a small file. The replica must be there. Never rejects. */
  async take(replica: Replica, path: RelativePath): Promise<void> {
    this.drop();
    const own = this.#sequence;
    try {
      using view = replica.view(path);
      if (view.parent === undefined || view.seen.kind !== "file") return;
      if (!this.#stager.isQuick(view.seen.status.size)) return;
      const snapshot = await this.#stager.take(view.parent, nameOf(path));
      if (snapshot === undefined) return;
      if (own !== this.#sequence || !snapshot.stable) return snapshot[Symbol.dispose]();
      this.#taken = { replica: replica.id, path, snapshot };
      this.#onTaken(snapshot);
    } catch {
      // The job will meet the same, and tell.
    }
  }

  /** The snapshot, which is the caller's from now on, if it is that of the very version that was seen there. */
  claim(replica: Replica, path: RelativePath, seen: FileStatus): Snapshot | undefined {
    const taken = this.#taken;
    if (taken?.path !== path || taken.replica !== replica.id) return undefined;
    if (!sameIdentity(taken.snapshot.source, seen)) return undefined;
    this.#taken = undefined;
    return taken.snapshot;
  }

  /** Gives up what nobody has claimed since the last sweep. */
  sweep(): void {
    if (this.#taken !== undefined && this.#taken === this.#old) this.drop();
    this.#old = this.#taken;
  }

  /** Gives up what nobody has claimed. */
  drop(): void {
    this.#sequence++;
    this.#taken?.snapshot[Symbol.dispose]();
    this.#taken = undefined;
  }
}
