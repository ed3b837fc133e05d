/** What is done to a replica: giving a name to a complete file, taking things away by identity, directories. */

import { removeAccessControlLists } from "../../ffi/access_control_list.ts";
import {
  display,
  type FileName,
  fileName,
  join,
  nameOf,
  parentOf,
  type RelativePath,
  ROOT,
} from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { isErrno } from "../../ffi/errno.ts";
import { setOwnerAndMode } from "../../ffi/file_content.ts";
import type { FileDescriptor } from "../../ffi/file_descriptor.ts";
import { type FileStatus, statusOf } from "../../ffi/file_status.ts";
import { inProjectOf } from "../../ffi/project.ts";
import { ConflictCopies } from "./conflict_copies.ts";
import { conflictName } from "./conflict_name.ts";
import type { Outcome, Recovery } from "./recovery.ts";
import type { Origin } from "./recovery_journal.ts";
import { type Replica, View } from "./replica.ts";
import { type DirectoryAt, type FileIdentity, sameAttributes } from "./replica_record.ts";
import type { Attributes, Snapshot, Stager } from "./snapshot.ts";

/**
 * `blocked`: something that is no directory stands where a parent directory belongs. `unfinished`: many parents were made,
 * and more are to be made, after others had their turn.
 */
export type PublishOutcome =
  | { readonly kind: "done"; readonly status: FileStatus }
  | { readonly kind: "changed" }
  | { readonly kind: "unfinished" }
  | { readonly kind: "blocked"; readonly at: RelativePath };

/** A directory that was to hold `cause` was made at `made` like the one at `model`. */
export type ParentMade = (
  path: RelativePath,
  model: DirectoryAt | undefined,
  made: DirectoryAt,
  cause: RelativePath,
) => void;

export interface PublishOptions {
  /** Nobody needs the snapshot any more. */
  readonly isLast: boolean;
  /** Missing parents are made like those that it has. */
  readonly model: Replica;
  /** A writer's last words to what is replaced are waited for. */
  readonly keep: boolean;
}

const CHANGED: PublishOutcome = { kind: "changed" };
const UNFINISHED: PublishOutcome = { kind: "unfinished" };
/** Directories that are made in one go above what they are to hold (I7): a tree is as deep as a guest likes. */
const MOST_PARENTS = 64;

export class Publisher {
  readonly #staging: Directory;
  readonly #stager: Stager;
  readonly #recovery: Recovery;
  readonly #onParentMade: ParentMade;
  readonly #conflictCopies = new ConflictCopies();
  #sequence = 0;

  constructor(
    staging: Directory,
    stager: Stager,
    recovery: Recovery,
    onParentMade: ParentMade,
  ) {
    this.#staging = staging;
    this.#stager = stager;
    this.#recovery = recovery;
    this.#onParentMade = onParentMade;
  }

  /**
   * Makes `path` in the viewed replica a file like the snapshot, if the replica is still as viewed. Readers see the old
   * or the new file, whole (I4).
   */
  async publish(
    target: View,
    path: RelativePath,
    snapshot: Snapshot,
    { isLast, model, keep }: PublishOptions,
  ): Promise<PublishOutcome> {
    using prepared = await this.#stager.copy(snapshot, isLast);
    const { uid, gid, mode, mtimeNs } = snapshot.source;
    const expected = { uid, gid, mode, mtimeNs, size: snapshot.size };
    if (target.parent !== undefined) {
      return this.#place(target, target.parent, path, prepared, expected, keep);
    }
    const made = this.#makeParents(target.replica, path, model);
    if (!(made instanceof Directory)) return made;
    using parent = made;
    return this.#place(target, parent, path, prepared, expected, keep);
  }

  #place(
    { replica, seen }: View,
    parent: Directory,
    path: RelativePath,
    prepared: FileDescriptor,
    expected: Attributes & { readonly size: number },
    keep: boolean,
  ): PublishOutcome {
    const name = nameOf(path);
    if (seen.kind === "directory") {
      // Only the export comes here with one that nobody has any more.
      parent.removeDirectory(name);
    }
    if (seen.kind === "file" || seen.kind === "obstacle") {
      const origin = originOf(replica, path);
      const outcome = this.#recovery.replace(prepared, parent, origin, seen.status, keep);
      if (outcome === "changed") return CHANGED;
      return { kind: "done", status: asPublished(prepared, expected) };
    }
    try {
      inProjectOf(parent, prepared, () => parent.linkUnnamed(prepared, name));
    } catch (error) {
      // Taken by somebody else meanwhile, or the directory is gone: look again.
      if (isErrno(error, "EEXIST", "ENOENT")) return CHANGED;
      throw error;
    }
    return { kind: "done", status: asPublished(prepared, expected) };
  }

  /** Removes what was seen, by identity. `keep`: a writer that still holds it is waited for. */
  remove(
    { replica, parent }: View,
    path: RelativePath,
    expected: FileIdentity,
    keep: boolean,
  ): Outcome {
    if (parent === undefined) return "changed";
    return this.#recovery.remove(parent, originOf(replica, path), expected, keep);
  }

  /**
   * Keeps the loser of a conflict under another name in its own share; the watcher tells of it, and it travels from
   * there. `onRenamed` hears of that name at once. `changed`: it is not what was seen any more.
   */
  async setAside(
    { replica, parent, seen }: View,
    path: RelativePath,
    onRenamed: (to: RelativePath) => void,
  ): Promise<"kept" | "too many" | "changed"> {
    if (parent === undefined || seen.kind !== "file") return "changed";
    const name = nameOf(path);
    if (await this.#conflictCopies.areMost(parent, name)) return "too many";
    const time = new Date();
    for (let attempt = 0; attempt < 1000; attempt++) {
      const kept = conflictName(name, replica.producer, time, attempt);
      try {
        parent.rename(name, parent, kept);
      } catch (error) {
        if (isErrno(error, "EEXIST")) continue;
        if (isErrno(error, "ENOENT")) return "changed";
        throw error;
      }
      if (parent.status(kept)?.inode === seen.status.inode) {
        onRenamed(join(parentOf(path), kept));
        await this.#conflictCopies.kept(parent, kept);
        return "kept";
      }
      // Another file had taken the name: give it back, unless the name is taken again.
      try {
        parent.rename(kept, parent, name);
      } catch (error) {
        if (!isErrno(error, "EEXIST", "ENOENT")) throw error;
      }
      return "changed";
    }
    return "changed";
  }

  /** Makes the directory, or gives the one that is there the same owner and permissions. */
  makeDirectory(
    target: View,
    path: RelativePath,
    model: Replica,
    like: Attributes,
  ): PublishOutcome {
    const { replica, parent, seen } = target;
    if (parent === undefined) {
      const made = this.#makeParents(replica, path, model);
      if (!(made instanceof Directory)) return made;
      using directory = made;
      return this.makeDirectory(new View(replica, directory, false, seen), path, model, like);
    }
    const name = nameOf(path);
    if (seen.kind === "directory") {
      using directory = parent.openSubdirectory(name);
      if (directory === undefined || statusOf(directory).inode !== seen.status.inode) {
        return CHANGED;
      }
      setOwnerAndMode(directory, like.uid, like.gid, like.mode & 0o777);
      return { kind: "done", status: statusOf(directory) };
    }
    if (seen.kind !== "absent") {
      const outcome = this.#recovery.remove(parent, originOf(replica, path), seen.status, true);
      if (outcome === "changed") return CHANGED;
    }
    return this.#createDirectory(parent, name, like);
  }

  /** Prepared in staging, so that no guest sees it before it has its owner and permissions. */
  #createDirectory(parent: Directory, name: FileName, like: Attributes): PublishOutcome {
    const place = fileName(`directory-${this.#sequence++}`);
    this.#staging.makeDirectory(place, 0o700);
    try {
      using directory = this.#staging.openSubdirectory(place);
      if (directory === undefined) return CHANGED;
      removeAccessControlLists(directory);
      setOwnerAndMode(directory, like.uid, like.gid, like.mode & 0o777);
      inProjectOf(parent, directory, () => this.#staging.rename(place, parent, name));
      return { kind: "done", status: statusOf(directory) };
    } catch (error) {
      this.#staging.removeDirectory(place);
      if (isErrno(error, "EEXIST", "ENOENT")) return CHANGED;
      throw error;
    }
  }

  /** The directory that is to hold `path`, made if it is missing; `undefined` if it cannot be had. */
  parentFor(target: Replica, path: RelativePath, model: Replica): Directory | undefined {
    const above = parentOf(path);
    const there = above === ROOT ? target.root?.duplicate() : target.root?.openBeneath(above);
    if (there !== undefined) return there;
    const made = this.#makeParents(target, path, model);
    return made instanceof Directory ? made : undefined;
  }

  /** The directory that is to hold `path`, made with everything above it as it is in `model`. */
  #makeParents(target: Replica, path: RelativePath, model: Replica): Directory | PublishOutcome {
    if (target.root === undefined || model.root === undefined) return CHANGED;
    const lowest = target.lowestAbove(target.root, path);
    if (lowest.directory === undefined) return CHANGED;
    let here = lowest.directory;
    let like: Directory | undefined;
    let above = lowest.path;
    let made = 0;
    try {
      like = model.root.openBeneath(above);
      for (const name of lowest.rest) {
        above = join(above, name);
        like = stepDown(like, name);
        let next = here.openBeneath(name);
        if (next === undefined) {
          if (like === undefined) return CHANGED;
          if (made++ === MOST_PARENTS) return UNFINISHED;
          const outcome = this.#makeParent(target.viewIn(here, above), above, model, like, path);
          if (outcome.kind !== "done") return outcome;
          next = here.openBeneath(name);
          if (next === undefined) return CHANGED;
        }
        here.close();
        here = next;
      }
      return here.duplicate();
    } finally {
      here.close();
      like?.close();
    }
  }

  #makeParent(
    view: View,
    path: RelativePath,
    model: Replica,
    like: Directory,
    cause: RelativePath,
  ): PublishOutcome {
    const { kind } = view.seen;
    // Whatever it is, a write-only producer's file has no claim to its place.
    const stays = kind === "file" || (kind === "obstacle" && model.role === "diode");
    if (stays) return { kind: "blocked", at: path };
    const status = statusOf(like);
    const outcome = this.makeDirectory(view, path, model, status);
    if (outcome.kind === "done") {
      const made = { id: view.replica.id, status: outcome.status };
      this.#onParentMade(path, model.directoryAt(status), made, cause);
    }
    return outcome;
  }
}

/** The directory `name` in `from`, in place of that. */
function stepDown(from: Directory | undefined, name: FileName): Directory | undefined {
  using left = from;
  return left?.openBeneath(name);
}

/**
 * What is known of a file that has just got its name. A guest can have written to it since: then what it was before, at
 * a time of change that no look will see again (I5).
 */
function asPublished(
  file: FileDescriptor,
  expected: Attributes & { readonly size: number },
): FileStatus {
  const now = statusOf(file);
  file.blocks = now.blocks;
  return sameAttributes(expected, now) ? now : { ...now, ...expected, ctimeNs: 0n };
}

function originOf(replica: Replica, path: RelativePath): Origin {
  return { replica: replica.name, producer: replica.producer, path };
}

/** `share/alice/report.pdf`, harmless to read. */
export function showPlace(replica: Replica, path: RelativePath): string {
  return display(replica.name) + "/" + display(path);
}
