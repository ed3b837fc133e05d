/** The places that one channel keeps equal: each producer's share, and the export. */

import {
  type FileName,
  fileName,
  join,
  nameOf,
  parentOf,
  type RelativePath,
} from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { SystemError } from "../../ffi/errno.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import type { ReplicaRole, Seen } from "./planning/situation.ts";
import type { DirectoryAt, ReplicaId } from "./replica_record.ts";

/** The export's name in the index and in messages; a producer's share is `share/NAME`. */
export const EXPORT = fileName("export");
const SHARE = fileName("share");

export class Replica {
  /** As in messages and in the index. */
  readonly name: RelativePath;
  readonly role: ReplicaRole;
  /** The producer; for the export, its own name. */
  readonly producer: FileName;
  id: ReplicaId = -1;
  #root: Directory | undefined;
  #mountId = -1;
  /** The directory of the path that was glanced at last. */
  #glanced: { readonly path: RelativePath; readonly view: View } | undefined;

  constructor(role: ReplicaRole, producer: FileName) {
    this.role = role;
    this.producer = producer;
    this.name = role === "export" ? EXPORT : join(SHARE, producer);
  }

  /** How what it has itself is noted, once that has been looked at. */
  get noted(): "current" | "own" {
    return this.role === "diode" ? "own" : "current";
  }

  /** The same of a directory that others' are made like; nothing if it is no concern of the channel's. */
  directoryAt(status: FileStatus): DirectoryAt | undefined {
    return this.role === "diode" ? undefined : { id: this.id, status };
  }

  /** The root; `undefined` while the share is not there. */
  get root(): Directory | undefined {
    return this.#root;
  }

  /** Takes over the descriptor. Where that is thrown, nothing has changed, and it is still the caller's. */
  attach(root: Directory, id: ReplicaId): void {
    const { mountId } = root;
    this.detach();
    this.#root = root;
    this.#mountId = mountId;
    this.id = id;
  }

  detach(): void {
    this.#endGlances();
    this.#root?.close();
    this.#root = undefined;
  }

  /** What is at `path` now. The root must be there. Cheap for many paths in a row that are neighbours. */
  glance(path: RelativePath): Seen {
    const parentPath = parentOf(path);
    if (this.#glanced?.path !== parentPath) {
      this.#endGlances();
      this.#glanced = { path: parentPath, view: this.view(path) };
      // Not kept beyond what is done in one go: nothing comes between.
      queueMicrotask(() => this.#endGlances());
      return this.#glanced.view.seen;
    }
    const { parent } = this.#glanced.view;
    return parent === undefined ? ABSENT : look(parent, path, this.#mountId);
  }

  /** The same; `undefined` where the root is not there, or that cannot be told now. */
  glanceIfPossible(path: RelativePath): Seen | undefined {
    if (this.#root === undefined) return undefined;
    try {
      return this.glance(path);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return undefined;
    }
  }

  #endGlances(): void {
    this.#glanced?.view[Symbol.dispose]();
    this.#glanced = undefined;
  }

  /** Looks at `path`, with its parent directory held open. The root must be there. */
  view(path: RelativePath): View {
    const root = this.#root;
    if (root === undefined) throw new Error(`${this.name} is not there`);
    const parentPath = parentOf(path);
    const parent = parentPath === "" ? root : root.openBeneath(parentPath);
    try {
      const seen = parent === undefined ? ABSENT : look(parent, path, this.#mountId);
      return new View(this, parent, parent !== root, seen);
    } catch (error) {
      if (parent !== root) parent?.close();
      throw error;
    }
  }

  /** The same in its parent directory, which stays the caller's. */
  viewIn(parent: Directory, path: RelativePath): View {
    return new View(this, parent, false, look(parent, path, this.#mountId));
  }

  /** Whether something else is mounted there: then the share has what is below still, and only nobody sees it. */
  isForeign({ mountId }: FileStatus): boolean {
    return mountId !== this.#mountId;
  }

  /** What stands where a directory above `path` belongs, and cannot be entered; nothing if one is missing. */
  barrierAbove({ parent }: View, path: RelativePath): Barrier | undefined {
    const root = this.#root;
    if (parent !== undefined || root === undefined) return undefined;
    const { directory, path: above, rest: [next] } = this.lowestAbove(root, path);
    using last = directory;
    const status = next === undefined ? undefined : last?.status(next);
    return next === undefined || status === undefined
      ? undefined
      : { path: join(above, next), status };
  }

  /** Of the directories above `path`, the last of which was not there, the lowest that can be entered. */
  lowestAbove(root: Directory, path: RelativePath): Entered {
    const names = parentOf(path).split("/") as FileName[];
    const above = (length: number) => names.slice(0, length).join("/") as RelativePath;
    // How many of them can be entered; not one by one, since a path is as long as a guest likes. Mostly the top of a tree
    // is gone, or what is lowest in it.
    let entered = 0;
    let refused = names.length;
    for (let tried = 1, step = 1; entered + 1 < refused; step *= 2) {
      using directory = root.openBeneath(above(tried));
      if (directory === undefined) refused = tried;
      else entered = tried;
      tried = Math.max(refused - step, (entered + refused) >> 1);
    }
    const lowest = above(entered);
    const directory = entered === 0 ? root.duplicate() : root.openBeneath(lowest);
    return { directory, path: lowest, rest: names.slice(entered) };
  }
}

/** What stands where a directory belongs. */
export interface Barrier {
  readonly path: RelativePath;
  readonly status: FileStatus;
}

/** A directory above a path. */
interface Entered {
  /** `undefined`: it is gone again. The caller closes it. */
  readonly directory: Directory | undefined;
  readonly path: RelativePath;
  /** The names of those between it and what the path names. */
  readonly rest: readonly FileName[];
}

const ABSENT: Seen = { kind: "absent" };

function look(parent: Directory, path: RelativePath, mountId: number): Seen {
  const status = parent.status(nameOf(path));
  if (status === undefined) return ABSENT;
  // A mount point inside a share is somebody else's file system: never entered, never copied.
  const ours = status.mountId === mountId;
  if (ours && status.kind === "file") return { kind: "file", status };
  if (ours && status.kind === "directory") return { kind: "directory", status };
  return { kind: "obstacle", status };
}

/** What one replica has at one path, and the directory that holds it (as long as that exists). */
export class View implements Disposable {
  readonly #ownsParent: boolean;

  constructor(
    readonly replica: Replica,
    readonly parent: Directory | undefined,
    ownsParent: boolean,
    readonly seen: Seen,
  ) {
    this.#ownsParent = ownsParent;
  }

  [Symbol.dispose](): void {
    if (this.#ownsParent) this.parent?.close();
  }
}
