/** One channel at work: its directories, index, watchers and queues, from start to stop. */

import { pause } from "../../ffi/clock.ts";
import { display, type FileName, type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { lacksDescriptors, messageOf, type SystemError } from "../../ffi/errno.ts";
import { statusOf } from "../../ffi/file_status.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { Logger } from "../logging/logging.ts";
import { RepeatLimit } from "../logging/repeat_limit.ts";
import type { Scanner } from "../scanning/scanner.ts";
import type { JobSource, Scheduler } from "../scheduling/scheduler.ts";
import { InotifyWatcher } from "../watching/inotify_watcher.ts";
import type { RereadReason, WatchSink } from "../watching/watcher.ts";
import type { ChannelConfig } from "./config/channel_config.ts";
import { FileIndex } from "./file_index.ts";
import { HeldFiles } from "./held_files.ts";
import { compileIgnorePatterns, type IgnoreRules } from "./ignore_patterns.ts";
import { Judge } from "./judge.ts";
import { type Layout, openLayout, openShare } from "./layout.ts";
import { AFTER_SHORTAGE, type LosersEnd } from "./job.ts";
import { LinkedNames } from "./linked_names.ts";
import { MoveMemory } from "./move_memory.ts";
import { PathQueue } from "./path_queue.ts";
import { Publisher, showPlace } from "./publisher.ts";
import { Readings } from "./readings.ts";
import { Reconciler } from "./reconciler.ts";
import { Recovery } from "./recovery.ts";
import { EXPORT, Replica } from "./replica.ts";
import { RetrySchedule } from "./retry_schedule.ts";
import { Stager } from "./snapshot.ts";
import { type Reading, readTree, type TreeReaderParts } from "./tree_reader.ts";
import { verdictReports } from "./verdict_reports.ts";

/** Paths in the common queue above which reading a tree pauses. */
const ROOM = 20_000;
/** The queue of what no single guest's doing has brought up: readings of trees, held files. */
const COMMON = "";
const SWEEP_MS = 1000;
const AFTER_FAILURE_MS = 5000;

export interface ChannelParts {
  readonly config: ChannelConfig;
  readonly reactor: Reactor;
  readonly scheduler: Scheduler;
  readonly scanner: Scanner;
  readonly log: Logger;
  /** Something changed for the guests. */
  onChange(): void;
}

/** Constant texts: that a version is gone is not to be held back with whatever else there is to say. */
const CONFLICT: Readonly<Record<LosersEnd, string>> = {
  kept: "{channel}: {place} was changed on two sides: the earlier one is kept beside it",
  discarded:
    "{channel}: {place} lost a conflict and is replaced: it has too many conflict copies already",
  replaced: "{channel}: {place} was changed on two sides: the later one has replaced it",
};

/** A producer's share and what waits for it. */
interface Share {
  readonly replica: Replica;
  readonly watcher: InotifyWatcher;
  readonly moves: MoveMemory;
  readonly links: LinkedNames;
  readonly source: JobSource;
}

export class Channel {
  readonly config: ChannelConfig;
  readonly #parts: ChannelParts;
  readonly #log: Logger;
  readonly #layout: Layout;
  readonly #index: FileIndex;
  readonly #recovery: Recovery;
  /** Something was published since guests were last told. */
  #hasNews = false;
  readonly #reconciler: Reconciler;
  readonly #rules: IgnoreRules;
  readonly #queue = new PathQueue();
  readonly #retries: RetrySchedule;
  readonly #held: HeldFiles;
  readonly #readings: Readings;
  readonly #shares: Share[];
  readonly #commonSource: JobSource = () => this.#nextJob(COMMON);
  readonly #export = new Replica("export", EXPORT);
  #unexpectedlyEmpty = false;
  readonly #repeats = new RepeatLimit();
  #started = false;
  #stopped = false;
  #sweepTimer: ReturnType<typeof setInterval> | undefined;

  /** Opens directories and index. Throws LayoutFault where the channel cannot run. */
  constructor(parts: ChannelParts) {
    const { config, reactor, scanner } = parts;
    this.#parts = parts;
    this.config = config;
    this.#log = parts.log.with({ channel: config.name });
    this.#rules = compileIgnorePatterns(config.scanning);
    this.#layout = openLayout(config.basePath);
    this.#index = FileIndex.open(
      this.#layout.indexPath,
      (message) => this.#warn(message),
      () => {
        this.#log.info("{channel}: the index can be used again: everything is read");
        this.#readings.requestAll(ROOT);
      },
    );
    this.#recovery = new Recovery(
      this.#layout.recovery,
      (name) => this.#replicas().find((replica) => replica.name === name)?.root,
      (message) => this.#warn(message),
    );
    const stager = new Stager(this.#layout.staging);
    const judge = new Judge({
      channel: config.name,
      config: config.scanning,
      scanner,
      stager,
      quarantine: this.#layout.quarantine,
      ...verdictReports(config, reactor, this.#log),
      onTrouble: (message) => this.#warn(message),
    });
    this.#shares = config.producers.map((producer) => this.#newShare(producer));
    this.#reconciler = new Reconciler({
      replicas: this.#replicas(),
      index: this.#index,
      stager,
      publisher: new Publisher(
        this.#layout.staging,
        stager,
        this.#recovery,
        (path, model, made) => {
          this.#index.noteMadeDirectory(path, model, made);
          // The others are still to get it, and an event may be taken for an echo now.
          this.#lookAt(path);
        },
      ),
      judge,
      conflictCopies: config.conflictCopies,
      moves: (replica) => this.#shareOf(replica)?.moves,
      isIgnored: this.#rules.isIgnored,
      onSeen: (replica, path, seen, isKnown) => {
        const status = seen.kind === "file" ? seen.status : undefined;
        this.#shareOf(replica)?.links.seen(path, status, isKnown);
      },
      orphansMayGo: () => this.#orphansMayGo(),
      isPending: (path) => this.#queue.isPending(path) || this.#retries.isPending(path),
      lookAt: (path) => this.#lookAt(path),
      reread: (directory) => this.#readings.requestAll(directory),
      onPublished: (path, what, from) => {
        this.#log.debug("{channel}: {what} {path} of {from} travelled", () => ({
          what,
          path: display(path),
          from: display(from.name),
        }));
        this.#hasNews = true;
      },
      onTrouble: (message) => this.#warn(message),
      onConflict: (loser, path, end) => this.#tellConflict(loser, path, end),
      onShortage: (error) => this.#onShortage(error),
    });
    this.#retries = new RetrySchedule({
      lookAt: (path, queue) => this.#enqueue(queue, path),
      reread: () => this.#readings.requestAll(ROOT),
    });
    this.#readings = new Readings({
      shares: this.#shares.map(({ replica }) => replica),
      tree: this.#treeParts(),
      beforeRead: () => this.#queue.repeatRunning(COMMON),
      onRead: () => parts.scheduler.wake(),
      onTrouble: (message) => this.#warn(message),
    });
    this.#held = new HeldFiles({
      paths: (limit, after) => this.#index.heldPaths(limit, after),
      isScannerAvailable: async () => (await scanner.check()).available,
      lookAt: (path) => this.#lookAt(path),
    });
    scanner.onRecovery(() => this.#held.now());
  }

  /**
   * Sets all watches and puts back what a crash left, then reads the trees and queues what differs. Settles when all
   * of that is planned; the work itself goes on. `onProgress` hears, in words, how far it is.
   */
  async start(onProgress: (status: string) => void): Promise<void> {
    const exported = this.#layout.export.duplicate();
    const inode = statusOf(exported).inode;
    this.#export.attach(exported, this.#index.replicaId(EXPORT, inode).id);
    // Every share that is there takes part from the start: what a crash left goes back before anything else.
    for (const share of this.#shares) {
      const root = openShare(this.#layout, share.replica.producer);
      if (root !== undefined) this.#attach(share, root);
      // What it had when it was last there still counts.
      else share.replica.id = this.#index.lastId(share.replica.name);
    }
    this.#recovery.recover();
    this.#sweepTimer = setInterval(() => this.#sweep(), SWEEP_MS);
    for (const share of this.#shares) {
      await share.watcher.start((directories) =>
        onProgress(`watching ${directories} directories of ${display(share.replica.name)}`)
      );
      if (share.replica.root === undefined) {
        this.#warn(`${display(share.replica.name)} is not there: waiting for it`);
      }
    }
    for (const source of this.#sources()) this.#parts.scheduler.add(source);
    this.#started = true;
    const reading = await readTree(
      this.#treeParts(),
      ROOT,
      (counts) => onProgress(`read ${counts.files} files in ${counts.directories} directories`),
    );
    this.#log.info("{channel}: {reading}", { reading: summary(reading) });
    this.#parts.scheduler.wake();
    this.#held.start();
    this.#readings.start();
  }

  /** Paths that wait or are worked on. */
  get pending(): number {
    return this.#queue.size;
  }

  /** No event is followed any more; jobs that run are the scheduler's to wait for. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#sweepTimer);
    this.#retries.stop();
    this.#held.stop();
    for (const { watcher, links } of this.#shares) {
      watcher.close();
      links.close();
    }
    for (const source of this.#sources()) this.#parts.scheduler.remove(source);
  }

  /** After the last job has ended. */
  async close(): Promise<void> {
    await this.#readings.ended();
    this.#recovery.close();
    this.#index.close();
    for (const replica of this.#replicas()) replica.detach();
    this.#layout[Symbol.dispose]();
  }

  #replicas(): Replica[] {
    return [...this.#shares.map(({ replica }) => replica), this.#export];
  }

  #sources(): JobSource[] {
    return [...this.#shares.map(({ source }) => source), this.#commonSource];
  }

  #newShare(producer: FileName): Share {
    const role = this.config.diodeProducers.has(producer) ? "diode" : "producer";
    const replica = new Replica(role, producer);
    const share: Share = {
      replica,
      moves: new MoveMemory(),
      links: new LinkedNames({
        lookAt: (path) => this.#enqueue(replica.name, path),
        search: () => this.#readings.request(replica, ROOT, "changed"),
      }),
      source: () => this.#nextJob(replica.name),
      watcher: new InotifyWatcher(this.#parts.reactor, this.#sinkOf(() => share), {
        debounceMs: this.config.debounceMs,
        openRoot: () => openShare(this.#layout, producer),
        excludes: (directory) => this.#rules.isIgnoredDirectory(directory),
        onTrouble: (message) => this.#warn(`${display(replica.name)}: ${message}`),
      }),
    };
    return share;
  }

  #sinkOf(share: () => Share): WatchSink {
    return {
      changed: (path) => this.#onChanged(share(), path),
      reread: (directory, reason) => this.#onReread(share(), directory, reason),
      moved: (from, to) => share().moves.moved(from, to),
      rootLost: () => {
        const { replica } = share();
        this.#warn(`${display(replica.name)} is gone: waiting for it; nothing is deleted`);
        replica.detach();
      },
      rootFound: (root) => {
        const { replica } = share();
        if (replica.root !== undefined && statusOf(replica.root).inode === statusOf(root).inode) {
          root.close();
          return;
        }
        this.#attach(share(), root);
        this.#recovery.putBackWaiting();
        if (this.#started) {
          this.#log.info("{channel}: {share} is there: reading it", {
            share: display(replica.name),
          });
          this.#readings.request(replica, ROOT, "everything");
        }
      },
    };
  }

  /** Nothing that a share lacks is deleted elsewhere if it is another directory than before, or suddenly empty. */
  #attach({ replica }: Share, root: Directory): void {
    const inode = statusOf(root).inode;
    const { id, known } = this.#index.replicaId(replica.name, inode);
    replica.attach(root, id);
    if (!known || !isEmpty(root) || !this.#index.knowsFilesOf(id)) return;
    this.#unexpectedlyEmpty = true;
    this.#warn(
      `${display(replica.name)} is empty, but had files before: nothing is deleted elsewhere, ` +
        `the files are brought back`,
    );
    replica.id = this.#index.forgetReplica(replica.name, inode);
  }

  #orphansMayGo(): boolean {
    return !this.#unexpectedlyEmpty &&
      this.#shares.every(({ replica }) => replica.root !== undefined);
  }

  #onChanged(share: Share, path: RelativePath): void {
    if (this.#stopped || path === ROOT || this.#rules.isIgnoredDirectory(path)) return;
    if (share.replica.root === undefined || this.#isEcho(share, path)) return;
    this.#enqueue(share.replica.name, path);
  }

  #shareOf(replica: Replica): Share | undefined {
    return this.#shares.find((share) => share.replica === replica);
  }

  #isEcho({ replica }: Share, path: RelativePath): boolean {
    // What is being done about it is not in the index yet, and may be undone by what the event tells of.
    if (this.#queue.isRunning(path)) return false;
    try {
      return this.#reconciler.isKnown(replica, path);
    } catch {
      return false; // looked at closely then
    }
  }

  #onReread(share: Share, directory: RelativePath, reason: RereadReason): void {
    const { replica } = share;
    if (reason === "overflow") {
      this.#warn(`${display(replica.name)}: events were lost: reading it again`);
    }
    if (reason === "created") return this.#readings.request(replica, directory, "vanished");
    // Directories that the daemon makes are moved in as well: they are not to be in the way of a guest's files (I7).
    if (directory !== ROOT && !this.#isEcho(share, directory)) {
      this.#enqueue(replica.name, directory);
    }
    this.#readings.request(replica, directory, "changed");
  }

  #enqueue(queue: string, path: RelativePath): void {
    if (this.#stopped) return;
    this.#queue.add(queue, path);
    if (this.#started) this.#parts.scheduler.wake();
  }

  /** On behalf of no share in particular. */
  #lookAt(path: RelativePath): void {
    this.#enqueue(COMMON, path);
  }

  #nextJob(queue: string): (() => Promise<void>) | undefined {
    const path = this.#queue.take(queue);
    if (path === undefined) {
      if (this.#queue.takeOverflow(queue)) this.#readings.requestAll(ROOT);
      return undefined;
    }
    return () => this.#work(path, queue);
  }

  /** Another look that it needs waits in the same queue: a guest's failures are in nobody else's way. */
  async #work(path: RelativePath, queue: string): Promise<void> {
    try {
      const rest = await this.#reconciler.run(path, this.#held.begin(path));
      if (rest.kind === "later") {
        this.#retries.later(path, queue, rest.delayMs, rest.isBlocked);
      }
    } catch (error) {
      this.#retries.later(path, queue, this.#afterFailure(path, error));
    } finally {
      this.#queue.done(path);
      // Once it is everywhere: told of its first place, guests would have to be told of the others again.
      if (this.#hasNews) this.#parts.onChange();
      this.#hasNews = false;
    }
  }

  /** After how long `path` is looked at again. */
  #afterFailure(path: RelativePath, error: unknown): number {
    if (lacksDescriptors(error)) {
      this.#onShortage(error);
      return AFTER_SHORTAGE.delayMs;
    }
    this.#log.error("{channel}: {path}: {error}; it is tried again", {
      path: display(path),
      error: messageOf(error),
    });
    return AFTER_FAILURE_MS;
  }

  #onShortage(error: SystemError): void {
    this.#parts.scheduler.missed();
    if (!this.#repeats.admits("descriptors")) return;
    this.#warn(
      `there are too few descriptors: ${error.message}. Nothing is lost, but little is done at a time`,
    );
  }

  #treeParts(): TreeReaderParts {
    return {
      index: this.#index,
      replicas: this.#replicas(),
      isIgnored: this.#rules.isIgnored,
      isIgnoredDirectory: this.#rules.isIgnoredDirectory,
      lookAt: (path) => this.#lookAt(path),
      isStopped: () => this.#stopped,
      onShortage: (error) => this.#onShortage(error),
      room: () => this.#isFull ? this.#untilRoom() : undefined,
    };
  }

  get #isFull(): boolean {
    return this.#queue.waiting(COMMON) > ROOM;
  }

  async #untilRoom(): Promise<void> {
    while (this.#isFull && !this.#stopped) await pause(50);
  }

  #sweep(): void {
    try {
      this.#recovery.sweep(performance.now());
    } catch (error) {
      if (lacksDescriptors(error)) this.#onShortage(error);
      else this.#warn(`recovery: ${messageOf(error)}`);
    }
  }

  #tellConflict(loser: Replica, path: RelativePath, end: LosersEnd): void {
    const { producer } = loser;
    this.#log.warn(CONFLICT[end], { place: showPlace(loser, path), producer: display(producer) });
  }

  #warn(message: string): void {
    this.#log.warn("{channel}: {message}", { message });
  }
}

function summary({ files, directories, differing }: Reading): string {
  const count = (number: number, one: string, many: string) =>
    `${number} ${number === 1 ? one : many}`;
  const read = `${count(files, "file", "files")} in ${
    count(directories, "directory", "directories")
  } read`;
  return differing === 0 ? `${read}, all as known` : `${read}, ${differing} to be looked at`;
}

function isEmpty(root: Directory): boolean {
  return root.entries().next().done === true;
}
