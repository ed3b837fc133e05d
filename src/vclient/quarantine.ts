/**
 * The quarantine: infected files that nobody can read, each under a name of its own, with a JSON file that tells
 * where it came from. A file is moved where it can be, and else copied, compared, and removed (both by identity).
 */

import {
  type ByteString,
  display,
  type FileName,
  fileName,
  fromText,
} from "../../ffi/byte_string.ts";
import { canonicalPath } from "../../ffi/canonical_path.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { Directory } from "../../ffi/directory.ts";
import { ERRNO, isErrno, SystemError } from "../../ffi/errno.ts";
import {
  cloneOrCopy,
  sameInode,
  setModificationTime,
  setOwnerAndMode,
  writeAll,
} from "../../ffi/file_content.ts";
import { type FileStatus, statusOf } from "../../ffi/file_status.ts";
import { sameContent } from "../../ffi/same_content.ts";
import { type OnStray, type Outcome, remove, type ScannedFile, takeOut } from "./removal.ts";
import { openCanonical } from "./trusted_path.ts";

export interface Finding {
  /** Absolute. */
  readonly path: ByteString;
  readonly signature: string;
}

export type Kept =
  | { readonly kind: "kept"; readonly name: FileName }
  /** The name stands for another file by now; nothing was kept. */
  | { readonly kind: "changed" };

const MOST_ATTEMPTS = 1000;
const LOCKED = 0;
const DIRECTORY_MODE = 0o700;

export class Quarantine {
  readonly #place: ByteString;
  readonly #onStray: OnStray;
  readonly #owner: number;
  #directory: Directory;

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
    this.#renew();
    const time = new Date();
    const { name, description } = this.#reserve(finding, time);
    using _ = description;
    let outcome: Outcome | undefined;
    try {
      const text = describe(scanned.status, finding, time);
      writeAll(description, new TextEncoder().encode(text));
      outcome = await this.#take(scanned, name, statusOf(description));
    } finally {
      if (outcome !== "done") this.#directory.removeFile(descriptionOf(name));
    }
    return outcome === "done" ? { kind: "kept", name } : { kind: "changed" };
  }

  close(): void {
    this.#directory.close();
  }

  /**
   * It may have been removed, and made again since; not by somebody else, and not as a link (I2). While it is not there,
   * nothing can be kept.
   */
  #renew(): void {
    if (statusOf(this.#directory).links > 0) return;
    const renewed = openCanonical(this.#place);
    if (renewed === undefined) throw new SystemError("quarantine", ERRNO.ENOENT, this.#place);
    if (statusOf(renewed).uid !== this.#owner) {
      renewed.close();
      throw new SystemError("quarantine", ERRNO.EPERM, this.#place);
    }
    this.#directory.close();
    this.#directory = renewed;
  }

  /** A name that is free for the file, with its description. */
  #reserve(finding: Finding, time: Date): { name: FileName; description: Descriptor } {
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const name = quarantineName(finding.path, time, attempt);
      if (this.#directory.status(name) !== undefined) continue;
      try {
        return { name, description: this.#directory.createFile(descriptionOf(name), 0o400) };
      } catch (error) {
        if (!isErrno(error, "EEXIST")) throw error;
      }
    }
    throw new SystemError("quarantine", ERRNO.EEXIST, finding.path);
  }

  /** `ours` has the owner that this process gives to files. */
  async #take(scanned: ScannedFile, name: FileName, ours: FileStatus): Promise<Outcome> {
    const { status } = scanned;
    // By another of its names a moved file would still be within reach.
    if (status.links > 1 || status.device !== ours.device) return await this.#copy(scanned, name);
    // Locked first: it is infected, wherever it goes.
    const locked = lock(scanned, ours);
    if (locked === undefined) return await this.#copy(scanned, name);
    let outcome: Outcome | undefined;
    let unlocked = scanned;
    try {
      outcome = this.#move(locked, name);
    } finally {
      if (outcome !== "done") unlocked = withOwnerAndMode(locked, status);
    }
    return outcome ?? await this.#copy(unlocked, name);
  }

  /** `undefined` where the kernel cannot move it. */
  #move(scanned: ScannedFile, name: FileName): Outcome | undefined {
    try {
      return takeOut(scanned, { directory: this.#directory, name }, this.#onStray);
    } catch (error) {
      if (isErrno(error, "EXDEV", "EPERM", "EACCES")) return undefined;
      throw error;
    }
  }

  async #copy(scanned: ScannedFile, name: FileName): Promise<Outcome> {
    const { file, status } = scanned;
    using copy = this.#directory.createFile(name, LOCKED);
    let outcome: Outcome | undefined;
    try {
      await cloneOrCopy(file, copy);
      if (!scanned.isRestless && !await sameContent(file, copy)) return outcome = "changed";
      setModificationTime(copy, status.mtimeNs);
      return outcome = remove(scanned, this.#onStray);
    } finally {
      if (outcome !== "done") this.#directory.removeFile(name);
    }
  }
}

/** The file as nobody but root can use it; `undefined` where that is not ours to do. */
function lock(scanned: ScannedFile, { uid, gid }: FileStatus): ScannedFile | undefined {
  try {
    return withOwnerAndMode(scanned, { uid, gid, mode: LOCKED });
  } catch (error) {
    if (isErrno(error, "EPERM", "EACCES", "EINVAL", "EOPNOTSUPP")) return undefined;
    unlock(scanned);
    throw error;
  }
}

/** Whether a file was on its way into quarantine when a process like this one was killed: hardly any other is like that. */
export function isLocked({ mode }: FileStatus): boolean {
  return mode === LOCKED;
}

/** After half of it. */
function unlock({ file, status: { uid, gid, mode } }: ScannedFile): void {
  try {
    setOwnerAndMode(file, uid, gid, mode);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error; // the disk lets nothing happen, as was just seen
  }
}

/** A change of our own: what it leaves is the scanned version too, unless there was another change before. */
function withOwnerAndMode(
  scanned: ScannedFile,
  { uid, gid, mode }: Pick<FileStatus, "uid" | "gid" | "mode">,
): ScannedFile {
  setOwnerAndMode(scanned.file, uid, gid, mode);
  const { ctimeNs } = statusOf(scanned.file);
  return { ...scanned, status: { ...scanned.status, ctimeNs } };
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

const LONGEST_NAME = 150;

/** `20261121T104955-report.pdf`, in harmless characters. */
function quarantineName(path: ByteString, time: Date, attempt: number): FileName {
  const stamp = time.toISOString().replaceAll(/[-:]/g, "").slice(0, 15);
  const original = display(path.slice(path.lastIndexOf("/") + 1) as ByteString);
  const harmless = original.replaceAll(/[^A-Za-z0-9._-]/g, "_").slice(0, LONGEST_NAME);
  return fileName(`${stamp}${attempt === 0 ? "" : `-${attempt + 1}`}-${harmless}`);
}

function descriptionOf(name: FileName): FileName {
  return `${name}${fromText(".json")}` as FileName; // a short name and harmless characters
}

function describe(status: FileStatus, { path, signature }: Finding, time: Date): string {
  const hexOf = (unit: string) => unit.charCodeAt(0).toString(16).padStart(2, "0");
  const description = {
    path: display(path),
    pathBytes: Array.from(path, hexOf).join(""),
    signature,
    time: time.toISOString(),
    size: status.size,
    uid: status.uid,
    gid: status.gid,
    mode: status.mode.toString(8).padStart(4, "0"),
    mtimeNs: String(status.mtimeNs), // it may be set to what no calendar has
  };
  return JSON.stringify(description, null, 2) + "\n";
}
