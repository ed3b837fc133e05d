/** The whole of it: the watched trees, the scanner, and who is told. */

import { type ByteString, displayPath } from "../../ffi/byte_string.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { Logger } from "../logging/logging.ts";
import type { Scanner } from "../scanning/scanner.ts";
import { Scheduler } from "../scheduling/scheduler.ts";
import { Throttle } from "../scheduling/throttle.ts";
import type { UserNotifier } from "../user_notification/user_notifier.ts";
import type { Intervals } from "../watching/inotify_watcher.ts";
import type { Disposal } from "./disposal.ts";
import { type Findings, Inspector } from "./inspector.ts";
import { FAILURE_LIMITS, type FailureLimits } from "./retries.ts";
import type { QueueLimits } from "./scan_queue.ts";
import type { PlannedTree } from "./watched_places.ts";
import { WatchedTree } from "./watched_tree.ts";

export interface ClientParts {
  readonly trees: readonly PlannedTree[];
  readonly scanner: Scanner;
  readonly disposal: Disposal;
  readonly user: UserNotifier;
  readonly reactor: Reactor;
  readonly log: Logger;
  /**
   * What changed later (ns since 1970) is scanned although no watch told of it. To be some time before the watches
   * are set: times of files come in ticks.
   */
  readonly newSinceNs: bigint;
  /** Absolute paths that are looked at in any case. */
  readonly unfinished?: readonly ByteString[];
  /** Of each tree. */
  readonly queueLimits?: QueueLimits;
  readonly failureLimits?: FailureLimits;
  readonly intervals?: Intervals;
  readonly mostWatches?: number;
  /** Versions of files that are remembered for one reason. */
  readonly mostVersions?: number;
}

/** A scanner that just answered is not asked again. */
const DOUBT_EVERY_MS = 1_000;
const PROGRESS_EVERY_MS = 10_000;
/** The trees are searched for names that nobody told no more often than this. */
const SEARCH_MS = 10_000;
/** Files that are open already when a scan ends: their own begins at once. Those the scanner itself lets wait. */
const AHEAD = 2;

export class Client implements Disposable {
  readonly #parts: ClientParts;
  readonly #inspector: Inspector;
  readonly #scheduler: Scheduler;
  readonly #trees: readonly WatchedTree[];
  /** The scanner does not answer: files wait. */
  #isPaused = false;
  #isStopped = false;
  #doubtedAt = -Infinity;
  #whenBack = Promise.withResolvers<void>();
  readonly #search = new Throttle(SEARCH_MS, () => {
    for (const tree of this.#trees) tree.search();
  });

  constructor(parts: ClientParts) {
    this.#parts = parts;
    const { scanner, reactor, log } = parts;
    const found = findings(parts, () => this.#isStopped);
    this.#inspector = new Inspector(scanner, parts.disposal, found, parts.mostVersions);
    const places = () => this.#isPaused ? 0 : scanner.concurrency + AHEAD;
    this.#scheduler = new Scheduler({ places });
    this.#trees = parts.trees.map((plan) =>
      new WatchedTree(plan, {
        reactor,
        log,
        inspector: this.#inspector,
        queueLimits: parts.queueLimits,
        failureLimits: parts.failureLimits,
        intervals: parts.intervals,
        mostWatches: parts.mostWatches,
        newSinceNs: parts.newSinceNs,
        wake: () => this.#scheduler.wake(),
        doubtScanner: () => this.#doubtScanner(),
        tooManyFailures: (path) => tellTooMany(parts, path),
        search: () => this.#search.request(),
      })
    );
    for (const { source } of this.#trees) this.#scheduler.add(source);
    scanner.onRecovery(() => this.#resume());
  }

  /** Sets all watches; `progress` hears how many directories are watched so far. */
  async start(progress: (directories: number) => void): Promise<void> {
    await Promise.all(this.#trees.map((tree) => tree.start(() => progress(this.directories))));
    for (const tree of this.#trees) tree.lookAt(this.#parts.unfinished ?? []);
  }

  /** Files wait from now on, until the scanner answers again. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Settles when the scanner answers. */
  async scannerAnswers(): Promise<void> {
    if (this.#isPaused) await this.#whenBack.promise;
  }

  /** Scans what is there, and says how far it is. `false` if it is stopped before it is through. */
  async scanExisting(): Promise<boolean> {
    if (this.#isStopped) return false;
    const { log } = this.#parts;
    const startedAt = performance.now();
    log.info("scanning what is in the directories already");
    const telling = setInterval(
      () => log.info("{status}", { status: this.status }),
      PROGRESS_EVERY_MS,
    );
    await Promise.all(this.#trees.map((tree) => tree.scanExisting()));
    clearInterval(telling);
    if (this.#isStopped) return false;
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    log.info("scanned what was in the directories, in {seconds} s: {counts}", {
      seconds,
      counts: this.#counts,
    });
    return true;
  }

  get directories(): number {
    return this.#trees.reduce((sum, tree) => sum + tree.directories, 0);
  }

  /** Scans that have ended. */
  get scanned(): number {
    return this.#inspector.counts.scanned;
  }

  /** What it does, in one line. */
  get status(): string {
    const pending = this.#pending;
    const reading = this.#trees.flatMap((tree) => tree.filesRead ?? []);
    return [
      `watching ${count(this.directories, "directory", "directories")}`,
      ...this.#isPaused ? ["the scanner does not answer"] : [],
      ...reading.length === 0 ? [] : [
        `reading what is there (${
          count(reading.reduce((sum, files) => sum + files), "file", "files")
        } so far)`,
      ],
      ...pending === 0 ? [] : [`${count(pending, "file", "files")} to scan`],
      this.#counts,
    ].join(", ");
  }

  get #pending(): number {
    return this.#trees.reduce((sum, tree) => sum + tree.pending, 0);
  }

  get #counts(): string {
    const { scanned, infected, failed } = this.#inspector.counts;
    return `${scanned} scanned, ${infected} infected${failed === 0 ? "" : `, ${failed} failures`}`;
  }

  /** Begins nothing more; settles when the scans in flight have ended. */
  async finish(): Promise<void> {
    this.#stop();
    await this.#scheduler.stop();
  }

  [Symbol.dispose](): void {
    this.#stop();
    this.#tellUnscanned();
    this.#parts.scanner.close();
  }

  /** Nothing is remembered for the next start. */
  #tellUnscanned(): void {
    const left = this.#trees.map((tree) => tree.unscanned);
    const files = left.reduce((sum, { files }) => sum + files, 0);
    const isLeast = left.some(({ isLeast }) => isLeast);
    if (files === 0 && !isLeast) return;
    const known = count(files, "file was", "files were");
    this.#parts.log.warn(
      "{files} still to be scanned at the stop: the next start does so with --scan-existing only",
      {
        files: files === 0 ? "there may be files" : `${isLeast ? "at least " : ""}${known}`,
      },
    );
  }

  #stop(): void {
    this.#isStopped = true;
    this.#search.close();
    for (const tree of this.#trees) tree.stop();
  }

  /** While no scanner answers, files wait in the queues, and none is tried in vain. */
  async #doubtScanner(): Promise<void> {
    const now = performance.now();
    if (this.#isPaused || now - this.#doubtedAt < DOUBT_EVERY_MS) return;
    this.#doubtedAt = now;
    const { scanner } = this.#parts;
    const answer = await scanner.check();
    // It may be for want of descriptors, of whose end nobody tells: each file is tried again then.
    if (answer.available || !scanner.isDown) return;
    this.#isPaused = true;
    this.#parts.log.warn("files wait until the scanner answers again ({reason})", {
      reason: answer.reason,
    });
  }

  #resume(): void {
    if (this.#isPaused) this.#parts.log.info("the scanner answers again");
    this.#isPaused = false;
    this.#whenBack.resolve();
    for (const tree of this.#trees) tree.scannerIsBack();
    this.#scheduler.wake();
  }
}

function tellTooMany({ log, user, failureLimits }: ClientParts, tree: ByteString): void {
  const { paths } = failureLimits ?? FAILURE_LIMITS;
  const reason = `more than ${paths} files in it cannot be scanned: ` +
    "the others are tried again from time to time, and not told one by one";
  log.error("{path}: {reason}", { path: displayPath(tree), reason });
  user.scanError(tree, reason);
}

function findings({ log, user }: ClientParts, isStopped: () => boolean): Findings {
  const named = (path: ByteString, signature: string) => ({
    path: displayPath(path),
    signature,
  });
  return {
    malware: (path, signature) => user.malware(path, signature),
    disposed: (path, signature, consequence) =>
      log.warn("{path}: {signature} was found, {consequence}", {
        ...named(path, signature),
        consequence,
      }),
    disposalFailed: (path, signature, reason) =>
      log.error("{path}: {signature} was found, and the file is still there: {reason}", {
        ...named(path, signature),
        reason,
      }),
    scanError(path, reason) {
      if (isStopped()) return; // the stop may be why, and what is left is counted
      log.error("{path} could not be scanned: {reason}", { path: displayPath(path), reason });
      user.scanError(path, reason);
    },
    restored: (path) =>
      log.warn(
        "{path} has a name as of a file that was being removed when the client was killed: it gets its own back",
        { path: displayPath(path) },
      ),
    unstable: (path) =>
      log.debug("{path} changed while it was scanned, and is scanned again", {
        path: displayPath(path),
      }),
  };
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}
