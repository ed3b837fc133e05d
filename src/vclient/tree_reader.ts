/**
 * Reads parts of a tree again, one after the other, and offers the files that are not known. Requests that wait are
 * bounded: too many become one for the whole tree.
 */

import { pause } from "../../ffi/clock.ts";
import { isWithin, type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { SystemError } from "../../ffi/errno.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import { walkFiles } from "./file_walk.ts";
import { isHidden } from "./removal.ts";

const MOST_WAITING = 1_000;
/** Of their paths together. */
const MOST_BYTES = 16 * 1024 * 1024;
const RETRY_MS = 1_000;

/** Every file, whenever it changed. */
export const EVERYTHING = -(2n ** 63n);

export interface TreeReaderParts {
  /** A descriptor for the reader alone; `undefined` while there is no tree. */
  openRoot(): Directory | undefined;
  isExcluded(path: RelativePath): boolean;
  /** See `FileVisitor`. */
  enters(path: RelativePath): boolean;
  isKnown(path: RelativePath, status: FileStatus): boolean;
  /** A promise is waited for before more is read. */
  offer(path: RelativePath): Promise<void> | void;
  onTrouble(path: RelativePath, reason: string): void;
  /** See `FileVisitor`. */
  covered(path: RelativePath): void;
}

export class TreeReader {
  readonly #parts: TreeReaderParts;
  /**
   * Directories, and the time (ns since 1970) since which a file must have changed, or a directory above it been renamed,
   * unless it was being removed when this program was killed.
   */
  readonly #waiting = new Map<RelativePath, bigint>();
  #work: Promise<void> | undefined;
  #filesRead = 0;
  #stopped = false;

  constructor(parts: TreeReaderParts) {
    this.#parts = parts;
  }

  get isBusy(): boolean {
    return this.#work !== undefined;
  }

  /** Files seen since the reader was last idle. */
  get filesRead(): number {
    return this.#filesRead;
  }

  /** Reads `directory`. Settles when everything that was requested so far has been read. */
  read(directory: RelativePath, changedSinceNs = EVERYTHING): Promise<void> {
    this.#request(directory, changedSinceNs);
    return this.#work ??= this.#readAll();
  }

  stop(): void {
    this.#stopped = true;
    this.#waiting.clear();
  }

  #request(directory: RelativePath, changedSinceNs: bigint): void {
    let bytes = directory.length;
    for (const [waiting, sinceNs] of this.#waiting) {
      if (isWithin(directory, waiting) && sinceNs <= changedSinceNs) return;
      bytes += waiting.length;
    }
    if (this.#waiting.size < MOST_WAITING && bytes <= MOST_BYTES) {
      this.#waiting.set(directory, changedSinceNs);
      return;
    }
    this.#waiting.clear();
    this.#waiting.set(ROOT, EVERYTHING);
  }

  async #readAll(): Promise<void> {
    this.#filesRead = 0;
    await Promise.resolve(); // whoever asked goes on first
    for (const [directory, sinceNs] of this.#waiting) {
      this.#waiting.delete(directory);
      try {
        await this.#readOne(directory, sinceNs);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        this.#parts.onTrouble(directory, error.message);
        await pause(RETRY_MS);
        if (!this.#stopped) this.#request(directory, sinceNs);
      }
    }
    this.#work = undefined;
  }

  async #readOne(directory: RelativePath, sinceNs: bigint): Promise<void> {
    const { openRoot, isExcluded, enters, isKnown, offer, onTrouble, covered } = this.#parts;
    using root = openRoot();
    if (root === undefined) return; // read as a whole when it is there again
    await walkFiles(root, directory, {
      isExcluded,
      enters,
      onTrouble,
      covered,
      isStopped: () => this.#stopped,
      renamedSinceNs: sinceNs === EVERYTHING ? undefined : sinceNs,
      file: (path, status, name, isMoved) => {
        this.#filesRead++;
        const isNews = (isMoved || status.ctimeNs >= sinceNs) && !isKnown(path, status);
        return isNews || isHidden(name) ? offer(path) : undefined;
      },
    });
  }
}
