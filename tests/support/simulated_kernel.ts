/**
 * A tree of directories and files in memory, changed by system calls, and an inotify queue that tells of it in the
 * kernel's words and order. `simulated_kernel_test.ts` compares it with the real one.
 */

import { type ByteString, type FileName, type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import { type DirectoryEntry, mayBeDirectory } from "../../ffi/dirent.ts";
import { IN, type InotifyEvent, type WatchFailure } from "../../ffi/inotify.ts";
import type { WatchableDirectory, Watches } from "../../src/watching/watch_set.ts";

/** A directory or a file. Changed by its `SimulatedKernel` only. */
export class Inode {
  readonly entries = new Map<FileName, Inode>();
  parent: Inode | undefined;
  name: FileName | undefined;
  /** Grows with every change of a file, and with a directory's attributes. */
  version = 0;
  watch: number | undefined;
  /** Descriptors. What has neither these nor a name is gone. */
  holders = 0;

  constructor(readonly number: number, readonly kind: "directory" | "file") {}

  /** All that a look at it shows. */
  describe(): string {
    return `${this.kind} ${this.number}, version ${this.version}`;
  }

  /** Whether it is `ancestor` or lies anywhere below it. */
  isWithin(ancestor: Inode): boolean {
    let inode: Inode | undefined = this as Inode;
    while (inode !== undefined && inode !== ancestor) inode = inode.parent;
    return inode !== undefined;
  }
}

/** A system call: it yields wherever others may run before its next change or event is seen. */
export type Call = Generator<void, void>;

export class SimulatedKernel implements Watches {
  /** It holds what a test makes in it: the tree to be watched, and places outside of it. */
  readonly top: Inode;
  readonly #queue: InotifyEvent[] = [];
  readonly #watched = new Map<number, Inode>();
  readonly #descriptors = new Map<number, Inode>();
  #lastInode = 0;
  #lastWatch = 0;
  #lastDescriptor = 2;
  #lastCookie = 0;
  /** `fs.inotify.max_queued_events` and `fs.inotify.max_user_watches`. */
  mostEvents = Infinity;
  mostWatches = Infinity;
  /** Some file systems do not say in a listing what an entry is. */
  tellsKinds = true;

  constructor() {
    this.top = new Inode(++this.#lastInode, "directory");
    this.top.holders = 1;
  }

  // What processes do.

  *makeDirectory(parent: Inode, name: FileName): Call {
    if (!this.#isFree(parent, name)) return;
    this.#put(parent, name, new Inode(++this.#lastInode, "directory"));
    yield;
    this.#tell(parent, IN.CREATE | IN.ISDIR, name);
  }

  *create(parent: Inode, name: FileName): Call {
    if (!this.#isFree(parent, name)) return;
    const file = new Inode(++this.#lastInode, "file");
    this.#put(parent, name, file);
    yield;
    this.#tell(parent, IN.CREATE, name);
    yield;
    this.#tellParentOf(file, IN.CLOSE_WRITE);
  }

  *write(file: Inode): Call {
    if (file.kind !== "file") return;
    file.version++;
    yield;
    this.#tellParentOf(file, IN.MODIFY);
    yield;
    this.#tellParentOf(file, IN.CLOSE_WRITE);
  }

  *changeMode(inode: Inode): Call {
    inode.version++;
    yield;
    const directory = inode.kind === "directory" ? IN.ISDIR : 0;
    this.#tellParentOf(inode, IN.ATTRIB | directory);
    this.#tell(inode, IN.ATTRIB | directory);
  }

  *unlink(file: Inode): Call {
    const { parent, name } = file;
    if (file.kind !== "file" || parent === undefined || name === undefined) return;
    this.#take(file);
    yield;
    this.#tell(parent, IN.DELETE, name);
  }

  *removeDirectory(directory: Inode): Call {
    const { parent, name } = directory;
    if (directory.kind !== "directory" || directory.entries.size > 0) return;
    if (parent === undefined || name === undefined) return;
    this.#take(directory);
    yield;
    this.#endIfUnused(directory);
    yield;
    this.#tell(parent, IN.DELETE | IN.ISDIR, name);
  }

  *rename(inode: Inode, parent: Inode, name: FileName): Call {
    const [oldParent, oldName] = [inode.parent, inode.name];
    const replaced = parent.entries.get(name);
    if (oldParent === undefined || oldName === undefined || replaced === inode) return;
    if (!this.#isAlive(parent) || parent.isWithin(inode)) return;
    if (replaced !== undefined && (replaced.kind !== inode.kind || replaced.entries.size > 0)) {
      return;
    }
    if (replaced !== undefined) this.#take(replaced);
    this.#take(inode);
    this.#put(parent, name, inode);
    if (inode.kind === "file") inode.version++; // its ctime
    yield;
    yield* this.#tellMove(inode, oldParent, oldName, parent, name);
    if (replaced?.kind !== "directory") return;
    this.#tell(replaced, IN.ATTRIB | IN.ISDIR); // its number of links
    this.#endIfUnused(replaced);
  }

  *exchange(one: Inode, other: Inode): Call {
    const [oneParent, oneName] = [one.parent, one.name];
    const [otherParent, otherName] = [other.parent, other.name];
    if (oneParent === undefined || oneName === undefined) return;
    if (otherParent === undefined || otherName === undefined) return;
    if (one.isWithin(other) || other.isWithin(one)) return;
    this.#take(one);
    this.#take(other);
    this.#put(oneParent, oneName, other);
    this.#put(otherParent, otherName, one);
    for (const inode of [one, other]) if (inode.kind === "file") inode.version++;
    yield;
    yield* this.#tellMove(one, oneParent, oneName, otherParent, otherName);
    yield;
    yield* this.#tellMove(other, otherParent, otherName, oneParent, oneName);
  }

  *#tellMove(
    inode: Inode,
    oldParent: Inode,
    oldName: FileName,
    parent: Inode,
    name: FileName,
  ): Call {
    const cookie = ++this.#lastCookie;
    const directory = inode.kind === "directory" ? IN.ISDIR : 0;
    this.#tell(oldParent, IN.MOVED_FROM | directory, oldName, cookie);
    yield;
    this.#tell(parent, IN.MOVED_TO | directory, name, cookie);
  }

  hold(inode: Inode): void {
    inode.holders++;
  }

  release(inode: Inode): void {
    inode.holders--;
    this.#endIfUnused(inode);
  }

  // What the watcher asks for.

  open(inode: Inode): WatchableDirectory {
    const fd = ++this.#lastDescriptor;
    this.hold(inode);
    this.#descriptors.set(fd, inode);
    return new SimulatedDirectory(this, inode, fd);
  }

  close(fd: number): void {
    const inode = this.#descriptors.get(fd);
    this.#descriptors.delete(fd);
    if (inode !== undefined) this.release(inode);
  }

  /** How many the watcher has open. */
  get openDescriptors(): number {
    return this.#descriptors.size;
  }

  addWatch({ fd }: { readonly fd: number }): number | WatchFailure {
    const inode = this.#descriptors.get(fd);
    if (inode === undefined) throw new Error("EBADF");
    if (inode.watch !== undefined) return inode.watch;
    if (this.#watched.size >= this.mostWatches) return "limit";
    inode.watch = ++this.#lastWatch;
    this.#watched.set(inode.watch, inode);
    return inode.watch;
  }

  removeWatch(watch: number): void {
    const inode = this.#watched.get(watch);
    if (inode === undefined) return;
    this.#watched.delete(watch);
    inode.watch = undefined;
    this.#enqueue({ watch, mask: IN.IGNORED, cookie: 0, name: NO_NAME });
  }

  get watched(): ReadonlyMap<number, Inode> {
    return this.#watched;
  }

  get waitingEvents(): number {
    return this.#queue.length;
  }

  read(most = Infinity): InotifyEvent[] {
    return this.#queue.splice(0, most);
  }

  // What both are made of.

  #isAlive(directory: Inode): boolean {
    return directory.kind === "directory" &&
      (directory === this.top || directory.parent !== undefined);
  }

  #isFree(parent: Inode, name: FileName): boolean {
    return this.#isAlive(parent) && !parent.entries.has(name);
  }

  #put(parent: Inode, name: FileName, inode: Inode): void {
    parent.entries.set(name, inode);
    inode.parent = parent;
    inode.name = name;
  }

  #take(inode: Inode): void {
    if (inode.name !== undefined) inode.parent?.entries.delete(inode.name);
    inode.parent = undefined;
    inode.name = undefined;
  }

  #endIfUnused(inode: Inode): void {
    if (inode.parent === undefined && inode.holders === 0 && inode.watch !== undefined) {
      this.removeWatch(inode.watch);
    }
  }

  /** Of what has no name any more nothing is told (IN_EXCL_UNLINK). */
  #tellParentOf(inode: Inode, mask: number): void {
    if (inode.parent !== undefined) this.#tell(inode.parent, mask, inode.name);
  }

  #tell(watched: Inode, mask: number, name: ByteString = NO_NAME, cookie = 0): void {
    if (watched.watch === undefined) return;
    this.#enqueue({ watch: watched.watch, mask, cookie, name });
  }

  #enqueue(event: InotifyEvent): void {
    const last = this.#queue.at(-1);
    const isMerged = last?.watch === event.watch && last.mask === event.mask &&
      last.name === event.name && event.mask !== IN.IGNORED;
    if (isMerged) return;
    if (this.#queue.length < this.mostEvents) {
      this.#queue.push(event);
    } else if (!this.#queue.some(({ mask }) => mask === IN.Q_OVERFLOW)) {
      this.#queue.push({ watch: -1, mask: IN.Q_OVERFLOW, cookie: 0, name: NO_NAME });
    }
  }
}

const NO_NAME: ByteString = ROOT;

class SimulatedDirectory implements WatchableDirectory {
  isOpen = true;

  constructor(
    private readonly kernel: SimulatedKernel,
    private readonly inode: Inode,
    private readonly number: number,
  ) {}

  get fd(): number {
    if (!this.isOpen) throw new Error("this descriptor was closed before");
    return this.number;
  }

  openBeneath(path: RelativePath): WatchableDirectory | undefined {
    if (!this.isOpen) throw new Error("this descriptor was closed before");
    let inode: Inode | undefined = this.inode;
    for (const name of path === ROOT ? [] : path.split("/")) {
      inode = inode?.entries.get(name as FileName);
    }
    return inode?.kind === "directory" ? this.kernel.open(inode) : undefined;
  }

  *subdirectories(): Iterable<readonly FileName[]> {
    for (const { name, kind } of this.entries()) yield mayBeDirectory(kind) ? [name] : [];
  }

  /** What comes while it is read is listed, as on btrfs and tmpfs. */
  *entries(): Iterable<DirectoryEntry> {
    if (!this.isOpen) throw new Error("this descriptor was closed before");
    for (const [name, { kind }] of this.inode.entries) {
      yield { name, kind: this.kernel.tellsKinds ? kind : undefined };
    }
  }

  duplicate(): WatchableDirectory {
    if (!this.isOpen) throw new Error("this descriptor was closed before");
    return this.kernel.open(this.inode);
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.kernel.close(this.number);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
