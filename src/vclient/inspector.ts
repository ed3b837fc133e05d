/** One file: looked at, scanned, and dealt with by its verdict. */

import { pause } from "../../ffi/clock.ts";
import { type ByteString, nameOf, parentOf, type RelativePath } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { ignoringRefusal, SystemError } from "../../ffi/errno.ts";
import { hasWriters, sameVersion } from "../../ffi/file_content.ts";
import { ageMs, type FileStatus, statusOf } from "../../ffi/file_status.ts";
import type { Scanner, Verdict } from "../scanning/scanner.ts";
import { VersionMemory } from "../scanning/version_memory.ts";
import type { Disposal } from "./disposal.ts";
import { type Place, restoreHidden, type ScannedFile } from "./removal.ts";
import { RestlessFiles } from "./restless_files.ts";

/**
 * When the path is to be looked at again: never as it is now, as soon as it is quiet, when it may have become
 * possible to scan it, or when somebody may have raised the scanner's limits. `elsewhere`: never, but the file has other
 * names, which nobody tells. `covered`: when what is mounted at the path, or above it, is gone.
 */
export type Next = "done" | "elsewhere" | "covered" | "soon" | "later" | "much-later";

/** Why a file is looked at. */
export interface Occasion {
  /** It could not be scanned before. */
  readonly again: boolean;
  /** So many could not be scanned that, if it cannot either, that is not told. */
  readonly isOneOfMany: boolean;
  /**
   * A program that had it open for writing has closed it. What is known of its version does not count then: where
   * nobody could tell that it was open, content written by mmap(2) may have the times of the one that was scanned.
   */
  readonly closed: boolean;
  /** Somebody goes on with what had that name, though it may have another one by now. */
  readonly used: boolean;
}

/** Who hears of what was found. Paths are absolute. */
export interface Findings {
  malware(path: ByteString, signature: string): void;
  /** What became of an infected file, or why nothing did. */
  disposed(path: ByteString, signature: string, consequence: string): void;
  disposalFailed(path: ByteString, signature: string, reason: string): void;
  scanError(path: ByteString, reason: string): void;
  /** It changed while it was scanned. */
  unstable(path: ByteString): void;
  /** It has the hidden name of a file that was being removed when the client was killed. */
  restored(path: ByteString): void;
}

export interface Counts {
  scanned: number;
  infected: number;
  failed: number;
}

/** A version younger than this could be changed again without another time of change (Linux before 6.13). */
const COARSE_TICK_MS = 10;
/** Versions that are remembered for one reason. One takes about 100 bytes. */
const MOST_VERSIONS = 100_000;

export class Inspector {
  readonly counts: Counts = { scanned: 0, infected: 0, failed: 0 };
  /** Clean, or infected and left in place on purpose. */
  readonly #settled: VersionMemory;
  /** Clean when they were scanned, while somebody could write to them. */
  readonly #open = new VersionMemory();
  /** Beyond the scanner's limits. */
  readonly #unscannable: VersionMemory;
  /** Versions of which the user was told. */
  readonly #told: VersionMemory;
  readonly #restless = new RestlessFiles();

  constructor(
    private readonly scanner: Scanner,
    private readonly disposal: Disposal,
    private readonly findings: Findings,
    mostVersions = MOST_VERSIONS,
  ) {
    this.#settled = new VersionMemory(mostVersions);
    this.#unscannable = new VersionMemory(mostVersions);
    this.#told = new VersionMemory(mostVersions);
  }

  /** Whether there is nothing to be found in that version. */
  isSettled(status: FileStatus): boolean {
    return status.size === 0 || this.#settled.has(status);
  }

  /** Whether somebody could write to that version while it was scanned, who may have changed it so that no time tells. */
  hadWriter(status: FileStatus): boolean {
    return this.#open.has(status);
  }

  /** Whether that version was beyond the scanner's limits. */
  isUnscannable(status: FileStatus): boolean {
    return this.#unscannable.has(status);
  }

  /**
   * Scans what is at `path` below `root`, if that is a regular file that is not known. `shown` is its absolute path.
   */
  async inspect(
    root: Directory,
    path: RelativePath,
    shown: ByteString,
    { again, isOneOfMany, closed, used }: Occasion,
  ): Promise<Next> {
    try {
      let isCovered = false;
      using parent = root.openBeneath(parentOf(path), () => isCovered = true);
      if (parent === undefined) return isCovered ? "covered" : "done";
      if (this.disposal.keepsIn(parent)) return "done";
      const name = nameOf(path);
      const opened = parent.openRegular(name);
      if (opened === undefined) {
        if (parent.isMountPoint(name)) return "covered";
        return used && !parent.has(name) ? "elsewhere" : "done"; // or it is no file
      }
      using file = opened.file;
      if (this.#restores({ directory: parent, name }, shown)) return "done"; // its own name is told as changed
      if (closed) this.#settled.forget(opened.status);
      const looked = { parent, name, file, status: opened.status };
      return await this.#scan(looked, shown, isOneOfMany);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.counts.failed++;
      if (!again && !isOneOfMany) this.findings.scanError(shown, error.message);
      return "later";
    }
  }

  /** Where it cannot have its own name back, it is scanned under the one that it has. */
  #restores(place: Place, shown: ByteString): boolean {
    if (!this.disposal.takesAway) return false;
    try {
      if (!restoreHidden(place)) return false;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return false;
    }
    this.findings.restored(shown);
    return true;
  }

  async #scan(looked: ScannedFile, shown: ByteString, isOneOfMany: boolean): Promise<Next> {
    const { file, status } = looked;
    if (this.isSettled(status)) return "done";
    await untilDistinct(status);
    // He may change it, by mmap(2), so that no time tells. That he closes it does, but events get lost.
    const hasWriter = hasWriters(file) === true;
    const verdict = await this.scanner.scan(file, status.size);
    this.counts.scanned++;
    const now = statusOf(file);
    if (!sameVersion(status, now)) {
      if (verdict.kind === "infected" && this.#restless.infectedAgain(now)) {
        const restless: ScannedFile = { ...looked, status: now, isRestless: true };
        return await this.#infected(restless, shown, verdict.signature);
      }
      if (verdict.kind === "clean") this.#restless.forget(now);
      this.findings.unstable(shown);
      return "soon";
    }
    this.#restless.forget(now);
    switch (verdict.kind) {
      case "clean":
        this.#clean(status, hasWriter);
        return "done";
      case "infected":
        return await this.#infected(looked, shown, verdict.signature);
      case "unscannable":
      case "error":
        if (!isOneOfMany && this.#isNews(status)) this.findings.scanError(shown, verdict.reason);
        return this.#withoutVerdict(status, verdict);
    }
  }

  #clean(status: FileStatus, hasWriter: boolean): void {
    if (hasWriter) return this.#open.remember(status);
    this.#open.forget(status);
    this.#settled.remember(status);
  }

  #withoutVerdict(status: FileStatus, { kind }: Verdict): Next {
    this.counts.failed++;
    if (kind === "error") return "later";
    this.#unscannable.remember(status);
    return "much-later";
  }

  async #infected(scanned: ScannedFile, shown: ByteString, signature: string): Promise<Next> {
    const isNews = this.#isNews(scanned.status);
    if (isNews) {
      this.counts.infected++;
      this.findings.malware(shown, signature);
    }
    try {
      const outcome = await this.disposal.dispose(scanned, { path: shown, signature });
      if (outcome.kind === "changed") return "soon";
      if (outcome.kind === "left") {
        this.#settled.remember(scanned.status);
        if (!isNews) return "done";
      }
      this.findings.disposed(shown, signature, outcome.consequence);
      return outcome.kind === "gone" && scanned.status.links > 1 ? "elsewhere" : "done";
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#rememberAsTold(scanned);
      if (isNews) this.findings.disposalFailed(shown, signature, error.message);
      return "later";
    }
  }

  /** It was renamed to and fro in vain, which has changed its time of change. */
  #rememberAsTold({ file, status }: ScannedFile): void {
    const now = ignoringRefusal(() => statusOf(file));
    if (now?.mtimeNs === status.mtimeNs && now.size === status.size) this.#told.remember(now);
  }

  /** Once for each version. */
  #isNews(status: FileStatus): boolean {
    const isNews = !this.#told.has(status);
    this.#told.remember(status); // what still lasts is not the oldest
    return isNews;
  }
}

/**
 * Waits until any further change bears another time than this version's. Not by comparing clocks alone: a shared
 * filesystem has the times of another machine.
 */
async function untilDistinct(status: FileStatus): Promise<void> {
  if (ageMs(status) >= COARSE_TICK_MS) return;
  await pause(COARSE_TICK_MS);
}
