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
import { isRenamed, NEVER, type Poll, Polls } from "./polls.ts";
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
  /** Whether that version may have been changed by who had it open, so that no time tells. */
  isDoubtful(status: FileStatus): boolean;
  /** What changed earlier (ns since 1970) is no news, unless everything is. */
  readonly newSinceNs: bigint;
  /** A promise is waited for before more is read. */
  offer(path: RelativePath): Promise<void> | void;
  onTrouble(path: RelativePath, reason: string): void;
  /** See `FileVisitor`. */
  covered(path: RelativePath): void;
}

interface Request {
  /**
   * Since when (ns since 1970) a file must have changed, or a directory above it been renamed, unless it was being removed
   * when this program was killed.
   */
  readonly sinceNs: bigint;
  /** Or what changed since the directory was polled last. */
  readonly isPoll: boolean;
}

export class TreeReader {
  readonly #parts: TreeReaderParts;
  readonly #waiting = new Map<RelativePath, Request>();
  #polls: Polls;
  #work: Promise<void> | undefined;
  #filesRead = 0;
  #stopped = false;

  constructor(parts: TreeReaderParts) {
    this.#parts = parts;
    this.#polls = new Polls(parts.newSinceNs);
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
    return this.#requested(directory, { sinceNs: changedSinceNs, isPoll: false });
  }

  /**
   * Reads in `directory` what has changed since that was done last, or since this program began: where nothing has, it
   * costs a look at each file, however many there are.
   */
  poll(directory: RelativePath): Promise<void> {
    return this.#requested(directory, { sinceNs: NEVER, isPoll: true });
  }

  /** Another tree is in the place of the one that was read: everything in it is news. */
  readAnew(): Promise<void> {
    this.#polls = new Polls(this.#parts.newSinceNs);
    return this.#requested(ROOT, { sinceNs: EVERYTHING, isPoll: true });
  }

  stop(): void {
    this.#stopped = true;
    this.#waiting.clear();
  }

  #requested(directory: RelativePath, request: Request): Promise<void> {
    this.#request(directory, request);
    return this.#work ??= this.#readAll();
  }

  #request(directory: RelativePath, request: Request): void {
    let bytes = directory.length;
    for (const [waiting, other] of this.#waiting) {
      if (isWithin(directory, waiting) && covers(other, request)) return;
      bytes += waiting.length;
    }
    if (this.#waiting.size < MOST_WAITING && bytes <= MOST_BYTES) {
      this.#waiting.set(directory, both(request, this.#waiting.get(directory)));
      return;
    }
    this.#waiting.clear();
    this.#waiting.set(ROOT, { sinceNs: EVERYTHING, isPoll: false });
  }

  async #readAll(): Promise<void> {
    this.#filesRead = 0;
    await Promise.resolve(); // whoever asked goes on first
    for (const [directory, request] of this.#waiting) {
      this.#waiting.delete(directory);
      try {
        await this.#readOne(directory, request);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        this.#parts.onTrouble(directory, error.message);
        await pause(RETRY_MS);
        if (!this.#stopped) this.#request(directory, request);
      }
    }
    this.#work = undefined;
  }

  async #readOne(directory: RelativePath, request: Request): Promise<void> {
    const { openRoot, isExcluded, enters, onTrouble, covered } = this.#parts;
    using root = openRoot();
    if (root === undefined) return; // read as a whole when it is there again
    const poll = request.isPoll ? this.#polls.begin(directory) : undefined;
    const sinceNs = poll !== undefined && poll.sinceNs < request.sinceNs
      ? poll.sinceNs
      : request.sinceNs;
    await walkFiles(root, directory, {
      isExcluded,
      enters,
      onTrouble,
      covered,
      isStopped: () => this.#stopped,
      ...(sinceNs === EVERYTHING ? {} : {
        isMoved: (status) =>
          status.ctimeNs >= sinceNs &&
          ((request.sinceNs !== NEVER && isRenamed(status)) || poll?.isNew(status) === true),
      }),
      wasRead: (status) => poll?.wasRead(status),
      file: (path, status, name, isMoved) => {
        this.#filesRead++;
        const isNews = isMoved || status.ctimeNs >= sinceNs;
        return this.#isWanted(path, status, isNews, poll) || isHidden(name)
          ? this.#parts.offer(path)
          : undefined;
      },
    });
    if (!this.#stopped) poll?.end();
  }

  #isWanted(
    path: RelativePath,
    status: FileStatus,
    isNews: boolean,
    poll: Poll | undefined,
  ): boolean {
    const { isDoubtful, isKnown } = this.#parts;
    return (isNews || (poll !== undefined && isDoubtful(status))) && !isKnown(path, status);
  }
}

/** Whether a request does all that another one of the same directory is for. */
function covers(one: Request, other: Request): boolean {
  return one.sinceNs <= other.sinceNs && (one.isPoll || !other.isPoll);
}

function both(one: Request, other: Request = one): Request {
  return {
    sinceNs: one.sinceNs < other.sinceNs ? one.sinceNs : other.sinceNs,
    isPoll: one.isPoll || other.isPoll,
  };
}
