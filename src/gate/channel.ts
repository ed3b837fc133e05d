/** One channel at work: its directories, index, watchers and queues, from start to stop. */

import {
  display,
  displayText,
  type FileName,
  type RelativePath,
  ROOT,
} from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { statusOf } from "../../ffi/file_status.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { Logger } from "../logging/logging.ts";
import type { Scanner } from "../scanning/scanner.ts";
import type { JobSource, Scheduler } from "../scheduling/scheduler.ts";
import { UserNotifier } from "../user_notification/user_notifier.ts";
import { InotifyWatcher } from "../watching/inotify_watcher.ts";
import type { RereadReason, WatchSink } from "../watching/watcher.ts";
import type { ChannelConfig } from "./config/channel_config.ts";
import { FileIndex } from "./file_index.ts";
import { compileIgnorePatterns, type IgnoreRules } from "./ignore_patterns.ts";
import { Judge } from "./judge.ts";
import { hostPath, type Layout, openLayout, openShare } from "./layout.ts";
import { LinkedNames } from "./linked_names.ts";
import { MoveMemory } from "./move_memory.ts";
import { PathQueue } from "./path_queue.ts";
import type { Seen } from "./planning/situation.ts";
import { Publisher } from "./publisher.ts";
import { Reconciler } from "./reconciler.ts";
import { Recovery } from "./recovery.ts";
import { EXPORT, Replica } from "./replica.ts";
import { RetrySchedule } from "./retry_schedule.ts";
import { Stager } from "./snapshot.ts";
import { type Reading, readTree, type TreeReaderParts } from "./tree_reader.ts";
import { findVanished } from "./vanished_entries.ts";

/** Paths in the common queue above which reading a tree pauses. */
const ROOM = 20_000;
/** Directories of one share whose readings wait, above which all of it is read instead (I6). */
const MOST_REREADS = 5_000;
/** The queue of what no single guest's doing has brought up: readings of trees, held files. */
const COMMON = "";
const SWEEP_MS = 500;
const HELD_AT_ONCE = 200;
/** A share is read for unknown hard links no more often than this. */
const LINK_SEARCH_MS = 10_000;

export interface ChannelParts {
  readonly config: ChannelConfig;
  readonly reactor: Reactor;
  readonly scheduler: Scheduler;
  readonly scanner: Scanner;
  readonly log: Logger;
  /** Something changed for the guests. */
  onChange(): void;
}

/**
 * What a reading is to find, least first: what the index knows and the share has not any more; what in the share
 * differs from the index; what differs anywhere.
 */
type Wanted = "vanished" | "changed" | "everything";
const STRENGTH: readonly Wanted[] = ["vanished", "changed", "everything"];

/** A producer's share and what waits for it. */
interface Share {
  readonly replica: Replica;
  readonly watcher: InotifyWatcher;
  readonly moves: MoveMemory;
  readonly links: LinkedNames;
  readonly source: JobSource;
  /** Directories whose reading is due. */
  readonly rereads: Map<RelativePath, Wanted>;
}

export class Channel {
  readonly config: ChannelConfig;
  readonly #parts: ChannelParts;
  readonly #log: Logger;
  readonly #layout: Layout;
  readonly #index: FileIndex;
  readonly #recovery: Recovery;
  readonly #reconciler: Reconciler;
  readonly #rules: IgnoreRules;
  readonly #queue = new PathQueue();
  readonly #retries: RetrySchedule;
  readonly #shares: Share[];
  readonly #commonSource: JobSource = () => this.#nextJob(COMMON);
  readonly #export = new Replica("export", EXPORT);
  readonly #heldDue = new Set<RelativePath>();
  readonly #linkSearches = new Map<Share, { again: boolean }>();
  #lastHeld: RelativePath | undefined;
  #unexpectedlyEmpty = false;
  #started = false;
  #stopped = false;
  #reading: Promise<void> = Promise.resolve();
  #sweepTimer: ReturnType<typeof setInterval> | undefined;

  /** Opens directories and index. Throws LayoutFault where the channel cannot run. */
  constructor(parts: ChannelParts) {
    const { config, reactor, scanner } = parts;
    this.#parts = parts;
    this.config = config;
    this.#log = parts.log.with({ channel: config.name });
    this.#rules = compileIgnorePatterns(config.scanning);
    this.#layout = openLayout(config.basePath);
    this.#index = FileIndex.open(this.#layout.indexPath, (message) => this.#warn(message));
    this.#recovery = new Recovery(
      this.#layout.recovery,
      (name) => this.#replicas().find((replica) => replica.name === name)?.root,
      (message) => this.#warn(message),
    );
    const stager = new Stager(this.#layout.staging);
    const user = config.userNotify.enable
      ? new UserNotifier(reactor, config.userNotify.socket, (message) => this.#warn(message))
      : undefined;
    const hostPathOf = (replica: Replica, path: RelativePath) =>
      hostPath(config.basePath, replica.name, path);
    const judge = new Judge({
      channel: config.name,
      config: config.scanning,
      scanner,
      stager,
      quarantine: this.#layout.quarantine,
      onMalware: (replica, path, signature) => {
        const place = hostPathOf(replica, path);
        this.#log.warn("{channel}: malware {signature} in {place}: {consequence}", {
          signature: displayText(signature),
          place: display(place),
          consequence: consequence(config),
        });
        user?.malware(place, signature);
      },
      onScanError: (replica, path, reason) => {
        const place = hostPathOf(replica, path);
        this.#log.warn("{channel}: {place} could not be scanned: {reason}", {
          place: display(place),
          reason,
        });
        user?.scanError(place, reason);
      },
      onTrouble: (message) => this.#warn(message),
    });
    this.#shares = config.producers.map((producer) => this.#newShare(producer));
    this.#reconciler = new Reconciler({
      replicas: this.#replicas(),
      index: this.#index,
      stager,
      publisher: new Publisher(this.#layout.staging, stager, this.#recovery),
      judge,
      conflictCopies: config.conflictCopies,
      moves: (replica) => this.#shareOf(replica)?.moves,
      isIgnored: this.#rules.isIgnored,
      onSeen: (replica, path, seen, isKnown) => this.#onSeen(replica, path, seen, isKnown),
      orphansMayGo: () => this.#orphansMayGo(),
      lookAt: (path) => this.#lookAt(path),
      reread: (directory) => this.#requestReadingOfAll(directory),
      onPublished: (path, what, from) => {
        this.#log.debug("{channel}: {what} {path} of {from} travelled", () => ({
          what,
          path: display(path),
          from: display(from.name),
        }));
        parts.onChange();
      },
      onTrouble: (message) => this.#warn(message),
    });
    this.#retries = new RetrySchedule({
      lookAt: (path, queue) => this.#enqueue(queue, path),
      reread: () => this.#requestReadingOfAll(ROOT),
    });
    parts.scanner.onRecovery(() => this.#retries.heldNow());
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
    this.#retries.startHeld(() => this.#retryHeld());
    this.#runReadings();
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
    for (const share of this.#shares) share.watcher.close();
    for (const source of this.#sources()) this.#parts.scheduler.remove(source);
  }

  /** After the last job has ended. */
  async close(): Promise<void> {
    await this.#reading;
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
      links: new LinkedNames(),
      rereads: new Map(),
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
          this.#requestReading(share(), ROOT, "everything");
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

  /** A file was changed through one of its names. */
  #onSeen(replica: Replica, path: RelativePath, seen: Seen, isKnown: boolean): void {
    const share = this.#shareOf(replica);
    if (share === undefined) return;
    const status = seen.kind === "file" ? seen.status : undefined;
    share.links.seen(path, status);
    if (status === undefined || status.links === 1 || isKnown) return;
    const { others, complete } = share.links.othersOf(path, status);
    for (const other of others) this.#enqueue(share.replica.name, other);
    if (!complete) this.#findLinks(share);
  }

  /** Reads a share for names that no event told, now and then. */
  #findLinks(share: Share): void {
    const search = this.#linkSearches.get(share);
    if (search !== undefined) {
      search.again = true;
      return;
    }
    const begun = { again: false };
    this.#linkSearches.set(share, begun);
    this.#requestReading(share, ROOT, "changed");
    setTimeout(() => {
      this.#linkSearches.delete(share);
      if (begun.again) this.#findLinks(share);
    }, LINK_SEARCH_MS);
  }

  #shareOf(replica: Replica): Share | undefined {
    return this.#shares.find((share) => share.replica === replica);
  }

  #isEcho({ replica }: Share, path: RelativePath): boolean {
    try {
      return this.#reconciler.isKnown(replica, path);
    } catch {
      return false; // looked at closely then
    }
  }

  #onReread(share: Share, directory: RelativePath, reason: RereadReason): void {
    if (reason === "overflow") {
      this.#warn(`${display(share.replica.name)}: events were lost: reading it again`);
    }
    if (reason === "created") return this.#requestReading(share, directory, "vanished");
    if (directory !== ROOT) this.#enqueue(share.replica.name, directory);
    this.#requestReading(share, directory, "changed");
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
      if (this.#queue.takeOverflow(queue)) this.#requestReadingOfAll(ROOT);
      return undefined;
    }
    return () => this.#work(path, queue);
  }

  /** Another look that it needs waits in the same queue: a guest's failures are in nobody else's way. */
  async #work(path: RelativePath, queue: string): Promise<void> {
    try {
      const rest = await this.#reconciler.run(path, this.#heldDue.delete(path));
      if (rest.kind === "later") this.#retries.later(path, queue, rest.delayMs);
    } catch (error) {
      this.#log.error("{channel}: {path}: {error}; it is tried again", {
        path: display(path),
        error: reasonOf(error),
      });
      this.#retries.later(path, queue, 5000);
    } finally {
      this.#queue.done(path);
    }
  }

  #requestReadingOfAll(directory: RelativePath): void {
    const [share] = this.#shares;
    if (share !== undefined) this.#requestReading(share, directory, "everything");
  }

  #requestReading(share: Share, directory: RelativePath, what: Wanted): void {
    if (this.#stopped) return;
    if (share.rereads.size >= MOST_REREADS) {
      // Instead of many parts the whole, once.
      share.rereads.clear();
      return this.#requestReading(share, ROOT, "everything");
    }
    const wanted = share.rereads.get(directory);
    if (wanted === undefined || STRENGTH.indexOf(wanted) < STRENGTH.indexOf(what)) {
      share.rereads.set(directory, what);
    }
    if (this.#started) this.#runReadings();
  }

  /** One tree at a time; a share's readings come in turn with the others'. */
  #runReadings(): void {
    this.#reading = this.#reading.then(async () => {
      for (const share of this.#shares) {
        const [due] = share.rereads;
        if (due === undefined || this.#stopped) continue;
        const [directory, what] = due;
        share.rereads.delete(directory);
        try {
          await this.#read(share, directory, what);
        } catch (error) {
          this.#warn(`${display(share.replica.name)} could not be read (${reasonOf(error)})`);
          setTimeout(() => this.#requestReading(share, directory, what), 5000);
        }
        this.#parts.scheduler.wake();
      }
      if (!this.#stopped && this.#shares.some(({ rereads }) => rereads.size > 0)) {
        this.#runReadings();
      }
    });
  }

  async #read({ replica }: Share, directory: RelativePath, what: Wanted): Promise<void> {
    const parts = this.#treeParts();
    if (what === "vanished") return await findVanished(parts, replica, directory);
    // What a diode lacks is no change of its own: only the others tell that it is known.
    const single = what === "changed" && replica.role !== "diode";
    await readTree(single ? { ...parts, replicas: [replica] } : parts, directory);
  }

  #treeParts(): TreeReaderParts {
    return {
      index: this.#index,
      replicas: this.#replicas(),
      isIgnored: this.#rules.isIgnored,
      isIgnoredDirectory: this.#rules.isIgnoredDirectory,
      lookAt: (path) => this.#lookAt(path),
      isStopped: () => this.#stopped,
      room: () => this.#isFull ? this.#untilRoom() : undefined,
    };
  }

  get #isFull(): boolean {
    return this.#queue.waiting(COMMON) > ROOM;
  }

  async #untilRoom(): Promise<void> {
    while (this.#isFull && !this.#stopped) await pause(50);
  }

  /** Asks for another look at what is held, some at a time; how many there were. */
  async #retryHeld(): Promise<number> {
    const held = this.#index.heldPaths(HELD_AT_ONCE, this.#lastHeld);
    this.#lastHeld = held.length < HELD_AT_ONCE ? undefined : held.at(-1);
    if (held.length === 0 || !(await this.#parts.scanner.check()).available) return held.length;
    for (const path of held) {
      this.#heldDue.add(path);
      this.#lookAt(path);
    }
    return held.length;
  }

  #sweep(): void {
    try {
      this.#recovery.sweep(performance.now());
    } catch (error) {
      this.#warn(`recovery: ${reasonOf(error)}`);
    }
  }

  #warn(message: string): void {
    this.#log.warn("{channel}: {message}", { message });
  }
}

function consequence({ scanning: { infectedAction } }: ChannelConfig): string {
  switch (infectedAction) {
    case "delete":
      return "deleted there";
    case "quarantine":
      return "moved to quarantine";
    case "log":
      return "stays there, and travels nowhere";
  }
}

function summary({ files, directories, differing }: Reading): string {
  const read = `${files} files in ${directories} directories read`;
  return differing === 0 ? `${read}, all as known` : `${read}, ${differing} to be looked at`;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isEmpty(root: Directory): boolean {
  return root.entries().next().done === true;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
