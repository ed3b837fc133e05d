/**
 * Snapshots: an unnamed clone in staging, that nobody else can reach, is what gets scanned and what gets
 * published (I1). Being unnamed it leaves nothing behind when the daemon dies.
 */

import { removeAccessControlList } from "../../ffi/access_control_list.ts";
import { pause } from "../../ffi/clock.ts";
import type { FileName } from "../../ffi/byte_string.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { type Directory, reopen } from "../../ffi/directory.ts";
import { isErrno } from "../../ffi/errno.ts";
import {
  cloneNow,
  cloneOrCopy,
  sameVersion,
  setModificationTime,
  setOwnerAndMode,
} from "../../ffi/file_content.ts";
import type { FileDescriptor } from "../../ffi/file_descriptor.ts";
import { ageMs, type FileStatus, statusOf } from "../../ffi/file_status.ts";
import { O } from "../../ffi/platform.ts";

/** Sources up to this size are cloned in place while the disk is quick; larger ones on the thread pool. */
const INLINE_BYTES = 1024 * 1024;
/**
 * Inline clones that take longer than this on average send the next ones to the thread pool. A single one says more
 * about who else wanted the processor than about the disk.
 */
const QUICK_MS = 1;
const AVERAGED = 8;
const CALM_AFTER = 64;

/** A frozen copy of one version of a file. */
export class Snapshot implements Disposable {
  /** Copies that were made ahead, and are still to be given a name. */
  readonly #ahead: FileDescriptor[] = [];
  #isShared = false;
  #isSpent = false;

  /**
   * @param source what the source was before it was cloned
   * @param staged the clone, readable and writable by us alone
   * @param stable nothing happened to the source while it was cloned: the staged content is that version's
   */
  constructor(
    readonly source: FileStatus,
    readonly staged: FileDescriptor,
    readonly size: number,
    readonly stable: boolean,
  ) {}

  /** The clone for a scanner: readable only, so that a scanner that was taken over cannot change it. */
  share(): Descriptor {
    this.#isShared = true;
    const shared = reopen(this.staged, O.RDONLY | O.CLOEXEC);
    shared.blocks = this.staged.blocks;
    return shared;
  }

  /** Somebody else has seen, and may still hold, what is staged. */
  get isShared(): boolean {
    return this.#isShared;
  }

  /** What is staged was given a name, and is a guest's by now. */
  get isSpent(): boolean {
    return this.#isSpent;
  }

  spend(): FileDescriptor {
    this.#isSpent = true;
    return this.staged;
  }

  keepAhead(copy: FileDescriptor): void {
    this.#ahead.push(copy);
  }

  get ahead(): number {
    return this.#ahead.length;
  }

  takeAhead(): FileDescriptor | undefined {
    return this.#ahead.pop();
  }

  [Symbol.dispose](): void {
    this.staged.close();
    for (const copy of this.#ahead) copy.close();
  }
}

/**
 * Before Linux 6.13 file times tick in milliseconds: a change right after a snapshot would bear the snapshot's own
 * time. A version must be this old before it is taken for one of its own.
 */
const COARSE_TICK_MS = 10;

/** Whether every change has a ctime of its own (multigrain timestamps, Linux 6.13). */
export function hasFineTimes(kernelRelease: string): boolean {
  const [major = 0, minor = 0] = kernelRelease.split(".").map((part) => parseInt(part, 10));
  return major > 6 || (major === 6 && minor >= 13);
}

const fineTimes = hasFineTimes(Deno.osRelease());

export type Attributes = Pick<FileStatus, "uid" | "gid" | "mode" | "mtimeNs">;

/** Makes clones in one channel's staging directory. */
export class Stager {
  readonly #staging: Directory;
  /** Clones that are still to go to the thread pool, since the disk was slow. */
  #slow = 0;
  #averageMs = 0;

  constructor(staging: Directory) {
    this.#staging = staging;
  }

  /** Whether a snapshot of a file of so many bytes is taken here and now. */
  isQuick(size: number): boolean {
    return size <= INLINE_BYTES && this.#slow === 0;
  }

  /** A snapshot of the regular file `name`; `undefined` if there is none. */
  async take(parent: Directory, name: FileName): Promise<Snapshot | undefined> {
    const opened = parent.openRegular(name);
    if (opened === undefined) return undefined;
    using source = opened.file;
    await untilTimesTell(opened.status);
    const staged = this.#staging.createUnnamed();
    try {
      if (opened.status.size > 0) await this.#clone(source, staged, opened.status.size);
      const { size, blocks } = statusOf(staged);
      const after = statusOf(source);
      staged.blocks = blocks;
      source.blocks = after.blocks;
      const stable = sameVersion(opened.status, after);
      return new Snapshot(opened.status, staged, size, stable);
    } catch (error) {
      staged.close();
      throw error;
    }
  }

  /**
   * A complete unnamed file with the snapshot's content and attributes, ready to be given a name. `isLast`: the snapshot
   * is not needed any more, and may be that file itself.
   */
  async copy(snapshot: Snapshot, isLast: boolean): Promise<FileDescriptor> {
    const { staged, size, source } = snapshot;
    const ahead = snapshot.takeAhead();
    if (ahead !== undefined) return ahead;
    if (!isLast || snapshot.isShared) return await this.prepare(staged, size, source);
    setAttributes(staged, source);
    return snapshot.spend();
  }

  /**
   * Makes copies, up to `count`, while a scanner is at work: if its verdict is clean, they only need their names.
   */
  copyAhead(snapshot: Snapshot, count: number): void {
    const { staged, size, source } = snapshot;
    if (!this.isQuick(size)) return;
    while (snapshot.ahead < count) {
      const copy = this.#staging.createUnnamed();
      try {
        if (size > 0) cloneNow(staged, copy);
        setAttributes(copy, source);
      } catch (error) {
        copy.close();
        throw error;
      }
      snapshot.keepAhead(copy);
    }
  }

  /** A complete unnamed file with what is staged, ready to be given a name. */
  async prepare(
    staged: Descriptor,
    size: number,
    attributes: Attributes,
  ): Promise<FileDescriptor> {
    const prepared = this.#staging.createUnnamed();
    try {
      // The staged clone is clean: nothing is flushed, however slow the disk is.
      if (size > INLINE_BYTES) await cloneOrCopy(staged, prepared);
      else if (size > 0) await cloneOrCopyNow(staged, prepared);
      setAttributes(prepared, attributes);
      return prepared;
    } catch (error) {
      prepared.close();
      throw error;
    }
  }

  async #clone(source: Descriptor, target: Descriptor, size: number): Promise<void> {
    if (!this.isQuick(size)) {
      if (this.#slow > 0) this.#slow--;
      return await cloneOrCopy(source, target);
    }
    const started = performance.now();
    await cloneOrCopyNow(source, target);
    this.#averageMs += (performance.now() - started - this.#averageMs) / AVERAGED;
    if (this.#averageMs <= QUICK_MS) return;
    this.#slow = CALM_AFTER;
    this.#averageMs = 0;
  }
}

function setAttributes(file: Descriptor, { uid, gid, mode, mtimeNs }: Attributes): void {
  // Somebody may have given staging a default list since the start.
  removeAccessControlList(file);
  // SUID, SGID and sticky never travel.
  setOwnerAndMode(file, uid, gid, mode & 0o777);
  setModificationTime(file, mtimeNs);
}

async function cloneOrCopyNow(source: Descriptor, target: Descriptor): Promise<void> {
  try {
    cloneNow(source, target);
  } catch (error) {
    if (!isErrno(error, "EINVAL", "EOPNOTSUPP", "EXDEV", "ENOTTY", "ETXTBSY")) throw error;
    await cloneOrCopy(source, target);
  }
}

/** Settles when a change of the file from now on would show in its times. */
export async function untilTimesTell(status: FileStatus): Promise<void> {
  if (fineTimes) return;
  const age = ageMs(status);
  if (age < 0 || age >= COARSE_TICK_MS) return;
  await pause(COARSE_TICK_MS - age);
}
