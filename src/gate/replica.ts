/** The places that one channel keeps equal: each producer's share, and the export. */

import {
  type ByteString,
  type FileName,
  fileName,
  nameOf,
  parentOf,
  type RelativePath,
} from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { nextTurn } from "../../ffi/reactor.ts";
import type { ReplicaRole, Seen } from "./planning/situation.ts";
import type { ReplicaId } from "./replica_record.ts";

/** The export's name in the index and in messages; a producer's share is `share/NAME`. */
export const EXPORT = fileName("export");

export class Replica {
  /** As in messages and in the index. */
  readonly name: ByteString;
  readonly role: ReplicaRole;
  /** The producer; for the export, its own name. */
  readonly producer: FileName;
  id: ReplicaId = -1;
  #root: Directory | undefined;
  #mountId = -1;
  /** The directory that was looked into last: neighbours are looked at one after the other. */
  #last: { readonly path: RelativePath; readonly parent: Parent } | undefined;

  constructor(role: ReplicaRole, producer: FileName) {
    this.role = role;
    this.producer = producer;
    this.name = role === "export" ? EXPORT : `share/${producer}` as ByteString;
  }

  /** The root; `undefined` while the share is not there. */
  get root(): Directory | undefined {
    return this.#root;
  }

  /** Takes over the descriptor. */
  attach(root: Directory, id: ReplicaId): void {
    this.detach();
    this.#root = root;
    this.#mountId = root.mountId;
    this.id = id;
  }

  detach(): void {
    this.forgetLast();
    this.#root?.close();
    this.#root = undefined;
  }

  /** What is at `path` now. The root must be there. */
  glance(path: RelativePath): Seen {
    using view = this.view(path);
    return view.seen;
  }

  /**
   * Looks at `path`, with its parent directory held open. The root must be there. A parent that was opened in the same
   * turn of the event loop serves its neighbours too, as it would if it were held since then: whoever moves
   * another directory there raises an event, and `onMoved` comes before what follows from it. `afresh` opens it anew.
   */
  view(path: RelativePath, { afresh = false } = {}): View {
    const root = this.#root;
    if (root === undefined) throw new Error(`${this.name} is not there`);
    const parentPath = parentOf(path);
    if (parentPath === "") return new View(this, root, undefined, this.#look(root, path));
    if (afresh) this.forgetLast();
    const parent = this.#last?.path === parentPath
      ? this.#last.parent
      : this.#open(root, parentPath);
    if (parent === undefined) return new View(this, undefined, undefined, ABSENT);
    const seen = this.#look(parent.directory, path);
    return new View(this, parent.directory, parent.share(), seen);
  }

  /** Something may have happened to the directory at `path`, or to one above or below. */
  onMoved(path: RelativePath): void {
    const last = this.#last?.path;
    if (last !== undefined && (path === "" || `${last}/`.startsWith(`${path}/`))) {
      this.forgetLast();
    }
  }

  #open(root: Directory, path: RelativePath): Parent | undefined {
    this.forgetLast();
    const directory = root.openBeneath(path);
    if (directory === undefined) return undefined;
    const parent = new Parent(directory);
    this.#last = { path, parent };
    if (holding.size === 0) nextTurn().then(forgetAll);
    holding.add(this);
    return parent;
  }

  /** Closes what a look left open for the next one. */
  forgetLast(): void {
    this.#last?.parent[Symbol.dispose]();
    this.#last = undefined;
  }

  #look(parent: Directory, path: RelativePath): Seen {
    return look(parent, path, this.#mountId);
  }

  /**
   * Whether something is mounted over what was looked at, or over a directory above it: then the share has it still, and
   * only nobody sees it.
   */
  isCovered({ parent, seen }: View, path: RelativePath): boolean {
    if (seen.kind === "obstacle") return seen.status.mountId !== this.#mountId;
    const root = this.#root;
    if (parent !== undefined || root === undefined) return false;
    const names = parentOf(path).split("/") as FileName[];
    const above = (length: number) => names.slice(0, length).join("/") as RelativePath;
    // How many of them can be entered; not one by one, since a path is as long as a guest likes.
    let entered = 0;
    for (let refused = names.length; entered + 1 < refused;) {
      const middle = (entered + refused) >> 1;
      using directory = root.openBeneath(above(middle));
      if (directory === undefined) refused = middle;
      else entered = middle;
    }
    using last = entered === 0 ? root.duplicate() : root.openBeneath(above(entered));
    const next = names[entered];
    const status = next === undefined ? undefined : last?.status(next);
    return status !== undefined && status.mountId !== this.#mountId;
  }
}

/** Those that may have a parent open for the rest of this turn. */
const holding = new Set<Replica>();

function forgetAll(): void {
  for (const replica of holding) replica.forgetLast();
  holding.clear();
}

/** A directory that several hold open; whoever ends last closes it. */
class Parent implements Disposable {
  #holders = 1;

  constructor(readonly directory: Directory) {}

  share(): this {
    this.#holders++;
    return this;
  }

  [Symbol.dispose](): void {
    if (--this.#holders === 0) this.directory.close();
  }
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
  readonly #held: Disposable | undefined;

  /** `held` ends with the view. */
  constructor(
    readonly replica: Replica,
    readonly parent: Directory | undefined,
    held: Disposable | undefined,
    readonly seen: Seen,
  ) {
    this.#held = held;
  }

  [Symbol.dispose](): void {
    this.#held?.[Symbol.dispose]();
  }
}
