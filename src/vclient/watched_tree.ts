/** One watched tree: what changes in it is queued, scanned in turn, and looked at again where that is needed. */

import {
  absolutePath,
  asRelativePath,
  type ByteString,
  display,
  displayPath,
  isWithin,
  nameOf,
  parentOf,
  type RelativePath,
  ROOT,
} from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { ignoringRefusal, SystemError } from "../../ffi/errno.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { openCanonical } from "../daemon/trusted_path.ts";
import type { Logger } from "../logging/logging.ts";
import { RepeatLimit } from "../logging/repeat_limit.ts";
import { CoveredPlaces } from "../watching/covered_places.ts";
import { InotifyWatcher, type Intervals } from "../watching/inotify_watcher.ts";
import type { RereadReason, WatchSink } from "../watching/watcher.ts";
import type { Inspector, Next } from "./inspector.ts";
import { Repairs } from "./repairs.ts";
import { FAILURE_LIMITS, type FailureLimits, Retries } from "./retries.ts";
import { type Doing, type Queued, type QueueLimits, ScanQueue } from "./scan_queue.ts";
import { TreeReader } from "./tree_reader.ts";
import { type PlannedTree, relativeTo } from "./watched_places.ts";

/** A path must be quiet for so long before it is scanned: programs close a file and write it again at once. */
const DEBOUNCE_MS = 50;
/** Before it is tried again; the pauses grow from there. */
const DELAY_MS: Readonly<Record<Exclude<Next, "done" | "elsewhere" | "covered">, number>> = {
  soon: DEBOUNCE_MS,
  later: 1_000,
  "much-later": 600_000,
};
/** Reading a tree pauses while so many of its files wait. */
const MOST_AHEAD = 1_000;
/** What waits at a stop is looked at, to tell how many files that are: not for long. */
const MOST_LOOKED_AT = 10_000;
/** How often it is looked whether what was mounted is gone. */
const COVERED_MS = 1_000;

/** What a stop leaves. */
export interface Unscanned {
  readonly files: number;
  /** There may be more of them. */
  readonly isLeast: boolean;
}

export interface TreeParts {
  readonly reactor: Reactor;
  readonly inspector: Inspector;
  readonly log: Logger;
  readonly queueLimits?: QueueLimits | undefined;
  readonly failureLimits?: FailureLimits | undefined;
  readonly intervals?: Intervals | undefined;
  /** Directories beyond are polled, as where the kernel's limit is reached. */
  readonly mostWatches?: number | undefined;
  /** See `ClientParts`. */
  readonly newSinceNs: bigint;
  /** There may be a job. */
  wake(): void;
  /** A file could not be scanned: is that the scanner's fault? */
  doubtScanner(): void;
  /** More files in the tree `path` could not be scanned than can be told one by one. */
  tooManyFailures(path: ByteString): void;
  /** A file that changed has names that nobody told: in this tree, or in another one. */
  search(): void;
}

export class WatchedTree implements WatchSink {
  readonly path: ByteString;
  readonly #plan: PlannedTree;
  readonly #parts: TreeParts;
  readonly #watcher: InotifyWatcher;
  readonly #reader: TreeReader;
  readonly #queue: ScanQueue;
  readonly #covered = new CoveredPlaces();
  readonly #retries: Retries;
  readonly #repairs: Repairs;
  readonly #troubles = new RepeatLimit();
  #root: Directory | undefined;
  #wasFound = false;
  /** A full queue has dropped something. */
  #hasDropped = false;
  #whenRoom = Promise.withResolvers<void>();
  #retryTimer: { readonly id: ReturnType<typeof setTimeout>; readonly at: number } | undefined;
  #repairTimer: ReturnType<typeof setTimeout> | undefined;
  #coveredTimer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  /** Paths that waited for quiet when it was stopped. */
  #untold: readonly RelativePath[] = [];
  /** There may have been others then. */
  #hadMore = false;

  constructor(plan: PlannedTree, parts: TreeParts) {
    this.path = plan.path;
    this.#plan = plan;
    this.#parts = parts;
    this.#queue = new ScanQueue(parts.queueLimits);
    const { paths, repairMs } = parts.failureLimits ?? FAILURE_LIMITS;
    this.#retries = new Retries(paths);
    this.#repairs = new Repairs(repairMs);
    this.#watcher = new InotifyWatcher(parts.reactor, this, {
      debounceMs: DEBOUNCE_MS,
      openRoot: () => openCanonical(plan.path),
      readsMovedAtOnce: true,
      ...(parts.intervals === undefined ? {} : { intervals: parts.intervals }),
      ...(parts.mostWatches === undefined ? {} : { mostWatches: parts.mostWatches }),
      ...(plan.excludes.length + plan.others.length === 0
        ? {}
        : { excludes: (path) => !this.#enters(path) }),
      onTrouble: (trouble) => this.#warn("{path}: {trouble}", { trouble }),
    });
    this.#reader = new TreeReader({
      openRoot: () => this.#root?.duplicate(),
      isExcluded: (path) => this.#isExcluded(path),
      enters: (path) => this.#enters(path),
      isKnown: (path, status) => this.#isKnown(path, status),
      isDoubtful: (status) => parts.inspector.hadWriter(status),
      newSinceNs: parts.newSinceNs,
      offer: (path) => this.#offer(path),
      onTrouble: (path, reason) => this.#notScanned(path, reason),
      covered: (path) => this.covered(path),
    });
  }

  /** Sets the watches; settles when that is done. */
  start(progress: (directories: number) => void): Promise<void> {
    return this.#watcher.start(progress);
  }

  /** Looks at those of these absolute paths that are in it. */
  lookAt(paths: readonly ByteString[]): void {
    for (const path of paths) {
      const below = relativeTo(path, this.path);
      const checked = below === undefined ? undefined : asRelativePath(below);
      if (checked !== undefined && !this.#isExcluded(checked)) this.#add(checked);
    }
  }

  /** Scans everything that is there; settles when that is done, and nothing else waits. */
  async scanExisting(): Promise<void> {
    await this.#reader.read(ROOT);
    while (!this.#stopped && this.#queue.waiting + this.#queue.running > 0) {
      await this.#roomForMore();
    }
  }

  /** Files read so far while the tree, or a part of it, is being read. */
  get filesRead(): number | undefined {
    return this.#reader.isBusy ? this.#reader.filesRead : undefined;
  }

  get directories(): number {
    return this.#watcher.watched;
  }

  /** Paths that wait for quiet, for their scan, or for another one. */
  get pending(): number {
    let pending = this.#watcher.pending + this.#queue.waiting + this.#queue.running;
    for (const path of this.#retries) if (!this.#queue.has(path)) pending++;
    return pending;
  }

  /** After a stop: the files that are still to be scanned. A path that waits may be a directory's, or nobody's any more. */
  get unscanned(): Unscanned {
    const paths = new Set([...this.#untold, ...this.#queue, ...this.#retries]);
    const looked = [...paths].slice(0, MOST_LOOKED_AT);
    const files = ignoringRefusal(() => {
      using root = openCanonical(this.path);
      return root === undefined ? 0 : looked.filter((path) => isScannable(root, path)).length;
    });
    const isLeast = this.#hadMore || files === undefined || looked.length < paths.size;
    return { files: files ?? 0, isLeast };
  }

  /** Whether there may be others than those that wait, which are to be found by reading the tree. */
  get #mayHaveMore(): boolean {
    const untold = this.#watcher.pending > this.#untold.length || this.#watcher.hasUnread;
    return untold || this.#hasDropped || this.#reader.isBusy || this.#repairs.isDue;
  }

  /** Offers its next scan. */
  readonly source = (): (() => Promise<void>) | undefined => {
    if (this.#stopped || this.#root === undefined) return undefined;
    const queued = this.#queue.take();
    return queued === undefined ? undefined : () => this.#inspect(queued);
  };

  /** The scanner answers again after it had not. */
  scannerIsBack(): void {
    this.#retries.allNow(performance.now());
    this.#retryDue();
    this.#repairs.beginAnew(performance.now());
    if (this.#repairTimer !== undefined) this.#repair();
  }

  /** Looks for files that have changed since this program began, and of which no event told. */
  search(): void {
    this.#reader.read(ROOT, this.#parts.newSinceNs);
  }

  /** Begins nothing more. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#untold = [...this.#watcher.waiting];
    this.#hadMore = this.#mayHaveMore;
    this.#watcher.close();
    this.#reader.stop();
    clearTimeout(this.#retryTimer?.id);
    clearTimeout(this.#repairTimer);
    clearTimeout(this.#coveredTimer);
    this.#whenRoom.resolve();
    this.#root?.close();
    this.#root = undefined;
  }

  changed(path: RelativePath, closed: boolean, used: boolean): void {
    if (!this.#isExcluded(path)) this.#add(path, { closed, used });
  }

  reread(directory: RelativePath, reason: RereadReason): void {
    if (reason === "created") return; // what is in it is told one by one, too
    // That comes again and again, and most of what is there was there before.
    if (reason === "unwatched") this.#reader.poll(directory);
    else this.#reader.read(directory);
  }

  covered(path: RelativePath): void {
    if (this.#stopped || !this.#enters(path)) return;
    const place = this.#covered.add(this.#root, path);
    if (place !== undefined) {
      this.#notScanned(
        place,
        "another file system is mounted there (name it to have it watched, too)",
      );
    }
    this.#coveredTimer ??= setTimeout(() => this.#lookAtCovered(), COVERED_MS);
  }

  /** Both names are told as changed, too. */
  moved(): void {}

  rootFound(root: Directory): void {
    this.#root?.close();
    this.#root = root;
    // Another directory than before: nothing is known of what is in it.
    if (this.#wasFound) this.#reader.readAnew();
    else this.#reader.poll(ROOT);
    if (this.#wasFound) this.#warn("{path} is there again: everything in it is scanned");
    this.#wasFound = true;
    this.#parts.wake();
  }

  rootLost(): void {
    this.#root?.close();
    this.#root = undefined;
    this.#covered.clear(); // what is there when it is back is met then
    this.#warn("{path} is gone, or leads elsewhere: waiting until it is back");
  }

  #notScanned(path: RelativePath, reason: string): void {
    const place = displayPath(absolutePath(this.path, path));
    if (!this.#troubles.admits(`${place}: ${reason}`)) return;
    const { log } = this.#parts;
    log.warn("{place} cannot be read, so it is not scanned: {reason}", { place, reason });
  }

  #lookAtCovered(): void {
    this.#coveredTimer = undefined;
    const uncovered = this.#root === undefined ? [] : this.#covered.takeUncovered(this.#root);
    for (const path of uncovered) {
      this.#parts.log.info("{place}: what was mounted there is gone, its files are scanned", {
        place: displayPath(absolutePath(this.path, path)),
      });
      this.#watcher.uncovered(path);
    }
    if (this.#covered.size === 0) return;
    this.#coveredTimer = setTimeout(() => this.#lookAtCovered(), COVERED_MS);
  }

  #isExcluded(path: RelativePath): boolean {
    const { excludes, others } = this.#plan;
    return excludes.some((one) => isWithin(path, one)) ||
      others.some((one) => one !== path && isWithin(path, one));
  }

  /** Whether a directory at `path` belongs to this tree. */
  #enters(path: RelativePath): boolean {
    return !this.#isExcluded(path) && !this.#plan.others.includes(path);
  }

  /** What could not be scanned may have another name by now, under which it is tried again. */
  #isKnown(path: RelativePath, status: FileStatus): boolean {
    const { inspector } = this.#parts;
    if (inspector.isSettled(status)) return true;
    if (!inspector.isUnscannable(status)) return false;
    if (this.#retries.has(path)) return true;
    if (this.#repairs.isRunning) return false; // to try it again is what the tree is read for
    if (!this.#retryLater(path, "much-later")) this.#foundNoPlace();
    return true;
  }

  #add(path: RelativePath, doing?: Doing): boolean {
    const hasRoom = this.#queue.add(path, doing);
    if (!hasRoom) this.#dropped();
    this.#parts.wake();
    return hasRoom;
  }

  #dropped(): void {
    if (this.#hasDropped) return;
    this.#hasDropped = true;
    this.#warn(
      "{path}: the scan queue is full, files are dropped; they are found again when it is empty",
    );
  }

  /** A file that was met while the tree was read: there is always room for it, in the end. */
  #offer(path: RelativePath): Promise<void> | void {
    this.#repairs.offered();
    if (!this.#queue.hasRoom(path)) return this.#offerLater(path);
    this.#add(path);
    if (this.#queue.waiting >= MOST_AHEAD) return this.#roomForMore();
  }

  async #offerLater(path: RelativePath): Promise<void> {
    while (!this.#stopped && !this.#queue.hasRoom(path)) await this.#roomForMore();
    this.#add(path);
  }

  async #roomForMore(): Promise<void> {
    await this.#whenRoom.promise;
  }

  async #inspect({ path, closed, used }: Queued): Promise<void> {
    const { inspector, log } = this.#parts;
    const shown = absolutePath(this.path, path);
    let next: Next = "done";
    try {
      const again = this.#retries.has(path);
      const isOneOfMany = !again && !this.#retries.hasRoom(path);
      if (this.#root !== undefined) {
        const occasion = { again, isOneOfMany, closed, used };
        next = await inspector.inspect(this.#root, path, shown, occasion);
      }
    } catch (error) {
      // Nothing is known that gets here. Whatever it is, other files are scanned all the same.
      log.error("{path}: the scan failed: {error}", { path: displayPath(shown), error });
      next = "later";
    }
    this.#settle(path, next);
  }

  #settle(path: RelativePath, next: Next): void {
    const isOver = next === "done" || next === "elsewhere" || next === "covered";
    if (isOver) this.#retries.forget(path);
    if (this.#stopped) {
      if (isOver) this.#queue.done(path);
      return;
    }
    if (next === "covered") this.covered(path);
    if (!isOver && !this.#retryLater(path, next)) this.#foundNoPlace();
    if (next === "elsewhere") this.#parts.search();
    if (next === "later") this.#parts.doubtScanner();
    if (!this.#queue.done(path)) this.#dropped();
    if (this.#queue.waiting <= MOST_AHEAD / 2) this.#makeRoom();
    if (this.#hasDropped && this.#queue.waiting === 0) {
      this.#hasDropped = false;
      this.#reader.read(ROOT);
    }
  }

  /** One of too many: it is found again by reading the tree. */
  #foundNoPlace(): void {
    if (this.#repairs.want(performance.now())) this.#parts.tooManyFailures(this.path);
    this.#setRepairTimer();
  }

  #setRepairTimer(): void {
    if (!this.#repairs.isDue) return;
    const pauseMs = this.#repairs.pauseMs(performance.now());
    this.#repairTimer ??= setTimeout(() => this.#repair(), pauseMs);
  }

  #makeRoom(): void {
    this.#whenRoom.resolve();
    this.#whenRoom = Promise.withResolvers();
  }

  async #repair(): Promise<void> {
    clearTimeout(this.#repairTimer);
    this.#repairTimer = undefined;
    if (this.#retries.fullness <= 1 / 2) this.#repairs.forget();
    this.#repairs.begin(performance.now());
    await this.#reader.read(ROOT);
    this.#repairs.end(performance.now());
    if (!this.#stopped) this.#setRepairTimer();
  }

  #retryLater(path: RelativePath, next: keyof typeof DELAY_MS): boolean {
    const hasChanged = next === "soon";
    const hasPlace = this.#retries.later(path, DELAY_MS[next], performance.now(), hasChanged);
    if (hasPlace) this.#setRetryTimer();
    return hasPlace;
  }

  #retryDue(): void {
    for (const path of this.#retries.due(performance.now())) {
      if (!this.#add(path)) this.#retryLater(path, "later");
    }
    this.#setRetryTimer();
  }

  #setRetryTimer(): void {
    const at = this.#retries.nextDueAt;
    if (at === Infinity || (this.#retryTimer !== undefined && this.#retryTimer.at <= at)) return;
    clearTimeout(this.#retryTimer?.id);
    const id = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#retryDue();
    }, Math.max(0, Math.ceil(at - performance.now())));
    this.#retryTimer = { id, at };
  }

  #warn(message: string, properties: Readonly<Record<string, unknown>> = {}): void {
    this.#parts.log.warn(message, { path: display(this.path), ...properties });
  }
}

/** Whether there is a file that is not empty. What cannot be looked at may be one. */
function isScannable(root: Directory, path: RelativePath): boolean {
  if (path === ROOT) return false;
  try {
    using parent = root.openBeneath(parentOf(path));
    const opened = parent?.openRegular(nameOf(path)); // asks no other file system, which may never answer
    opened?.file.close();
    return opened !== undefined && opened.status.size > 0;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return true;
  }
}
