/**
 * The quarantine: infected files that nobody can read, each under a name of its own, with a JSON file that tells
 * where it came from. A file is moved where it can be, and else copied, compared, and removed (both by identity).
 */

import type { ByteString, FileName } from "../../ffi/byte_string.ts";
import { canonicalPath } from "../../ffi/canonical_path.ts";
import { type Descriptor, keptIf } from "../../ffi/descriptor.ts";
import { Directory } from "../../ffi/directory.ts";
import { ERRNO, ignoringRefusal, isErrno, SystemError } from "../../ffi/errno.ts";
import {
  cloneOrCopy,
  sameInode,
  setMode,
  setModificationTime,
  setOwnerAndMode,
} from "../../ffi/file_content.ts";
import { type FileStatus, statusOf } from "../../ffi/file_status.ts";
import { isReadOnly } from "../../ffi/filesystem_status.ts";
import { CAP_CHOWN, hasCapability } from "../../ffi/process.ts";
import { sameContent } from "../../ffi/same_content.ts";
import { openCanonical } from "../daemon/trusted_path.ts";
import { VersionMemory } from "../scanning/version_memory.ts";
import {
  claim,
  descriptionOf,
  type Finding,
  finish,
  UNFINISHED_MODE,
  writeDescription,
} from "./quarantine_description.ts";
import { partialOf, quarantineName } from "./quarantine_names.ts";
import { LOCKED, recover } from "./quarantine_recovery.ts";
import {
  hide,
  lookAtTaken,
  type OnStray,
  type Outcome,
  type Place,
  putBack,
  remove,
  rename,
  type ScannedFile,
} from "./removal.ts";

export type Kept =
  | { readonly kind: "kept"; readonly name: FileName }
  /** The name stands for another file by now; nothing was kept. */
  | { readonly kind: "changed" };

const MOST_ATTEMPTS = 1000;
const DIRECTORY_MODE = 0o700;

export class Quarantine {
  readonly #place: ByteString;
  readonly #onStray: OnStray;
  readonly #owner: number;
  readonly #mayTakeOver = hasCapability(CAP_CHOWN);
  /** Versions that could not be moved. */
  readonly #unmovable = new VersionMemory();
  /** What was made there in vain, and could not be removed yet. */
  readonly #inVain = new Set<FileName>();
  #directory: Directory;
  /** Files on their way into it. */
  #underWay = 0;

  private constructor(place: ByteString, onStray: OnStray) {
    this.#place = place;
    this.#onStray = onStray;
    this.#directory = openOrMake(place);
    this.#owner = statusOf(this.#directory).uid;
  }

  /** Opens the directory at a canonical path, made if it is missing; its parent must be there. Throws SystemError. */
  static open(path: ByteString, onStray: OnStray): Quarantine {
    return new Quarantine(path, onStray);
  }

  get path(): ByteString {
    return canonicalPath(this.#directory);
  }

  /** Whether `directory` is the quarantine, wherever it was moved. */
  is(directory: Directory): boolean {
    return sameInode(statusOf(this.#directory), statusOf(directory));
  }

  /** Throws SystemError where nothing was kept; the file is still in its place then. */
  async keep(scanned: ScannedFile, finding: Finding): Promise<Kept> {
    // It is tried again and again: not each time with a copy of it that is written and removed.
    if (isReadOnly(scanned.parent)) throw new SystemError("rename", ERRNO.EROFS, scanned.name);
    this.#renew();
    this.#clear();
    this.#underWay++;
    try {
      return await this.#keep(scanned, finding);
    } finally {
      this.#underWay--;
    }
  }

  async #keep(scanned: ScannedFile, finding: Finding): Promise<Kept> {
    const time = new Date();
    const { name, description } = this.#reserve(finding, time);
    using _ = description;
    claim(description);
    let outcome: Outcome | undefined;
    try {
      inQuarantine(() => writeDescription(description, scanned.status, finding, time));
      outcome = await this.#take(scanned, name, statusOf(description));
    } finally {
      if (outcome !== "done") this.#discard(descriptionOf(name));
    }
    if (outcome !== "done") return { kind: "changed" };
    ignoringRefusal(() => this.#finish(name, description));
    return { kind: "kept", name };
  }

  /**
   * Ends what was under way when a process like this one was killed. The paths where it was at work, of which nobody
   * knows what is there by now.
   */
  recover(): ByteString[] {
    return recover(this.#directory, (name) => this.#discard(name));
  }

  /** Removes what was made in vain. What stays is tried again before anything more is written. */
  #discard(name: FileName): void {
    this.#inVain.add(name);
    ignoringRefusal(() => this.#clear());
  }

  /** In their order: a copy that stays keeps its description. Throws SystemError. */
  #clear(): void {
    for (const name of this.#inVain) {
      inQuarantine(() => this.#directory.removeFile(name));
      this.#inVain.delete(name);
    }
  }

  /** Or the next start does it. */
  #finish(name: FileName, description: Descriptor): void {
    if (this.#directory.status(name)?.mode === LOCKED) finish(description);
  }

  close(): void {
    this.#directory.close();
  }

  /**
   * It may have been removed, and made again since, or its file system was mounted or detached; not by somebody else,
   * and not as a link (I2). Where nothing takes its place, or files are on their way into it, it is used wherever it was
   * moved, while it is there at all.
   */
  #renew(): void {
    const held = statusOf(this.#directory);
    const there = this.#underWay > 0 ? undefined : openCanonical(this.#place);
    const renewed = there === undefined ? undefined : keptIf(there, (found) => {
      const status = statusOf(found);
      return status.uid === this.#owner && !sameInode(status, held);
    });
    if (renewed !== undefined) {
      this.#directory.close();
      this.#directory = renewed;
      this.#inVain.clear();
      return;
    }
    if (held.links > 0) return;
    const errno = there === undefined ? ERRNO.ENOENT : ERRNO.EPERM;
    throw new SystemError("quarantine", errno, this.#place);
  }

  /** A name that is free for the file, with its description. */
  #reserve(finding: Finding, time: Date): { name: FileName; description: Descriptor } {
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const name = quarantineName(finding.path, time, attempt);
      if (this.#directory.status(name) !== undefined) continue;
      try {
        return {
          name,
          description: inQuarantine(() =>
            this.#directory.createFile(descriptionOf(name), UNFINISHED_MODE)
          ),
        };
      } catch (error) {
        if (!isErrno(error, "EEXIST")) throw error;
      }
    }
    throw new SystemError("quarantine", ERRNO.EEXIST, finding.path);
  }

  /** `ours` has the owner that this process gives to files. */
  async #take(scanned: ScannedFile, name: FileName, ours: FileStatus): Promise<Outcome> {
    const { file, status } = scanned;
    if (!this.#isMovable(status, ours)) return await this.#copy(scanned, name);
    const hidden = hide(scanned, this.#onStray);
    if (hidden === "changed") return "changed";
    try {
      return this.#move(scanned, hidden, name, ours);
    } catch (error) {
      this.#unmovable.remember(statusOf(file));
      if (!isErrno(error, "EXDEV", "EPERM", "EACCES", "EINVAL", "EOPNOTSUPP")) throw error;
    }
    // It cannot be moved, or is not ours to lock; a copy is. Its time of change is our own doing.
    const { ctimeNs } = statusOf(file);
    return await this.#copy({ ...scanned, status: { ...status, ctimeNs } }, name);
  }

  /**
   * As far as anybody can tell before. Whoever tries in vain renames the file to and fro, which is told as a change,
   * so that the next attempt would follow at once.
   */
  #isMovable(status: FileStatus, ours: FileStatus): boolean {
    // By another of its names a moved file would still be within reach.
    return status.links === 1 && onSameFilesystem(status, ours) &&
      (status.uid === ours.uid || this.#mayTakeOver) && !this.#unmovable.has(status);
  }

  /** Throws SystemError; then it is in its own place, as it was. */
  #move(scanned: ScannedFile, hidden: Place, name: FileName, ours: FileStatus): Outcome {
    const own = { directory: scanned.parent, name: scanned.name };
    const target = { directory: this.#directory, name };
    let place = hidden;
    try {
      rename(hidden, target);
      place = target;
      const found = lookAtTaken(scanned, place);
      if (found === "scanned") {
        setOwnerAndMode(scanned.file, ours.uid, ours.gid, LOCKED);
        return "done";
      }
      if (found === "another") putBack(place, own, this.#onStray);
      return "changed";
    } catch (error) {
      unlock(scanned);
      if (putBack(place, own, this.#onStray) || place !== target) throw error;
      ignoringRefusal(() => setMode(scanned.file, LOCKED));
      return "done";
    }
  }

  async #copy(scanned: ScannedFile, name: FileName): Promise<Outcome> {
    const { file, status } = scanned;
    const directory = this.#directory;
    let place = { directory, name: partialOf(name) };
    using copy = this.#newCopy(place.name);
    let outcome: Outcome | undefined;
    try {
      await cloneOrCopy(file, copy);
      if (!scanned.isRestless && !await sameContent(file, copy)) return outcome = "changed";
      setModificationTime(copy, status.mtimeNs);
      const whole = { directory, name };
      inQuarantine(() => rename(place, whole));
      place = whole;
      return outcome = remove(scanned, this.#onStray);
    } finally {
      if (outcome !== "done") this.#discard(place.name);
    }
  }

  /**
   * An empty file of which is known that it could be removed: in a directory that only grows (chattr +a) each attempt
   * would leave one more copy.
   */
  #newCopy(name: FileName): Descriptor {
    const create = () => inQuarantine(() => this.#directory.createFile(name, LOCKED));
    create().close();
    this.#inVain.add(name);
    this.#clear();
    return create();
  }
}

/** Says of what fails where it does: the file's own place is another one. */
function inQuarantine<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new SystemError(`in the quarantine, ${error.call}`, error.errno, error.subject);
  }
}

/** Whether a file can be moved from where the one is to where the other is. */
function onSameFilesystem(a: FileStatus, b: FileStatus): boolean {
  return a.device === b.device && a.mountId === b.mountId;
}

/** After half of it. */
function unlock({ file, status: { uid, gid, mode } }: ScannedFile): void {
  try {
    setOwnerAndMode(file, uid, gid, mode);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error; // the disk lets nothing happen, as was just seen
  }
}

function openOrMake(path: ByteString): Directory {
  const there = openCanonical(path);
  if (there !== undefined) return there;
  const slash = path.lastIndexOf("/");
  using parent = Directory.openTrusted((path.slice(0, slash) || "/") as ByteString);
  parent.makeDirectory(path.slice(slash + 1) as FileName, DIRECTORY_MODE);
  const made = openCanonical(path);
  if (made === undefined) throw new SystemError("open", ERRNO.ENOTDIR, path);
  return made;
}
