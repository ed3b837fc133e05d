/** One channel at work: its directories, index, shares and queues, from start to stop. */

import { display, type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { lacksDescriptors, messageOf, SystemError } from "../../ffi/errno.ts";
import { commitTransaction } from "../../ffi/filesystem_commit.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { nextTurn, type Reactor } from "../../ffi/reactor.ts";
import type { Logger } from "../logging/logging.ts";
import type { Scanner } from "../scanning/scanner.ts";
import type { Scheduler } from "../scheduling/scheduler.ts";
import { CoveredPlaces } from "../watching/covered_places.ts";
import { ChannelJobs, COMMON } from "./channel_jobs.ts";
import { ChannelLog } from "./channel_log.ts";
import type { ChannelConfig } from "./config/channel_config.ts";
import { type DirectoryMove, DirectoryMoves } from "./directory_moves.ts";
import { EarlySnapshot } from "./early_snapshot.ts";
import { FileIndex } from "./file_index.ts";
import { formerProducers } from "./former_producers.ts";
import { HeldFiles } from "./held_files.ts";
import { compileIgnorePatterns, type IgnoreRules } from "./ignore_patterns.ts";
import { Judge } from "./judge.ts";
import { LargeDirectories } from "./large_directories.ts";
import {
  type Layout,
  obstacleToShare,
  openLayout,
  openQuarantine,
  openShare,
  renewedExport,
} from "./layout.ts";
import { LayoutFault } from "./layout_fault.ts";
import { AFTER_SHORTAGE, type Place, type Rest, WHILE_DISPLACED } from "./job.ts";
import { OwnPlaces } from "./own_places.ts";
import { Publisher } from "./publisher.ts";
import { Readings } from "./readings.ts";
import { Reconciler } from "./reconciler.ts";
import { Recovery } from "./recovery.ts";
import { EXPORT, Replica } from "./replica.ts";
import { Share } from "./share.ts";
import { Stager } from "./snapshot.ts";
import { readTree, type TreeReaderParts } from "./tree_reader.ts";
import { UnarrivedFiles } from "./unarrived_files.ts";
import { verdictReports } from "./verdict_reports.ts";

/**
 * Directories that are new at the start, until whose reading deletions wait: a guest may go on to make more of them than
 * can be read (I7). Of so many the renames are hardly all remembered.
 */
const MOST_UNKNOWN = 50_000;
const SWEEP_MS = 1000;
const SWEEP_SLICE_MS = 2;
const AFTER_FAILURE_MS = 5000;
/** Of a file that may yet change. */
const MOST_COPIES_AHEAD = 8;

export interface ChannelParts {
  readonly config: ChannelConfig;
  readonly reactor: Reactor;
  readonly scheduler: Scheduler;
  readonly scanner: Scanner;
  readonly log: Logger;
  /** Something changed for the guests. */
  onChange(): void;
}

export class Channel {
  readonly config: ChannelConfig;
  readonly #scheduler: Scheduler;
  readonly #onChange: () => void;
  readonly #log: ChannelLog;
  readonly #layout: Layout;
  readonly #ownPlaces: OwnPlaces;
  readonly #index: FileIndex;
  readonly #shares: readonly Share[];
  readonly #export = new Replica("export", EXPORT);
  readonly #replicas: readonly Replica[];
  readonly #recovery: Recovery;
  readonly #early: EarlySnapshot;
  readonly #unarrived = new UnarrivedFiles();
  readonly #reconciler: Reconciler;
  readonly #rules: IgnoreRules;
  readonly #readings: Readings;
  readonly #directoryMoves: DirectoryMoves;
  readonly #large = new LargeDirectories();
  readonly #covered: ReadonlyMap<Replica, CoveredPlaces>;
  readonly #held: ReadonlyMap<Replica, HeldFiles>;
  readonly #jobs: ChannelJobs;
  /** Something was published since guests were last told. */
  #hasNews = false;
  #started = false;
  #areTreesRead = false;
  #stopped = false;
  #isSweeping = false;
  /** How many changes of the index `flush` has found the trees on the disk for. */
  #changesOnDisk: number | undefined;
  #sweepTimer: ReturnType<typeof setInterval> | undefined;

  /** Opens directories and index. Throws LayoutFault where the channel cannot run. */
  constructor({ config, reactor, scheduler, scanner, log, onChange }: ChannelParts) {
    this.config = config;
    this.#scheduler = scheduler;
    this.#onChange = onChange;
    const ownLog = log.with({ channel: config.name });
    this.#log = new ChannelLog(ownLog);
    const onTrouble: ChannelLog["trouble"] = (message, where) => this.#log.trouble(message, where);
    const onShortage = (error: SystemError) => this.#onShortage(error);
    const lookAt = (path: RelativePath, cause: RelativePath) =>
      this.#jobs.add(this.#jobs.queueOf(cause), path);
    const rules = this.#rules = compileIgnorePatterns(config.scanning);
    using opening = new DisposableStack();
    const layout = this.#layout = opening.use(openLayout(config.basePath, config.producers));
    const index = this.#index = FileIndex.open(layout.indexPath, onTrouble, () => {
      this.#log.indexRestored();
      this.#readings.requestAll(ROOT);
    });
    opening.move(); // from here on it is `close` that lets go of it
    this.#ownPlaces = new OwnPlaces({
      layout,
      onDisplaced: (place, hasFailed) => this.#log.displaced(place, hasFailed),
      onShortage,
    });

    this.#shares = config.producers.map((producer) =>
      new Share(producer, {
        config,
        reactor,
        index,
        rules,
        openRoot: (name) => openShare(layout, name),
        obstacle: (name) => obstacleToShare(layout, name),
        isEcho: (share, path) => this.#isEcho(share, path),
        prepare: (share, path) => this.#prepare(share, path),
        lookAt: (share, path) => this.#jobs.add(share.name, path),
        onMoved: (author, from, to, number) =>
          this.#directoryMoves.moved({ author, from, to, number }),
        read: (share, directory, what) => this.#readings.request(share, directory, what),
        isBeingRead: (share) => this.#readings.isBusyFor(share),
        onFound: (share) => this.#onFound(share),
        onCovered: (place) => onCovered(place),
        onTrouble: (message) => onTrouble(message, { producer }),
      })
    );
    const producers = this.#shares.map(({ replica }) => replica);
    this.#replicas = [...producers, this.#export];
    this.#covered = new Map(this.#replicas.map((replica) => [replica, new CoveredPlaces()]));
    const onCovered = ({ replica, path }: Place) => {
      this.#covered.get(replica)?.add(replica.root, path);
    };
    this.#recovery = new Recovery(
      layout.recovery,
      (name) => this.#replicas.find((replica) => replica.name === name)?.root,
      onTrouble,
    );

    const stager = new Stager(layout.staging);
    const judge = new Judge({
      channel: config.name,
      config: config.scanning,
      scanner,
      stager,
      openQuarantine: () => openQuarantine(layout),
      ...verdictReports(config, reactor, ownLog),
      onTrouble,
    });
    const early = this.#early = new EarlySnapshot(stager, (snapshot) => {
      if (!judge.scanAhead(snapshot)) return;
      stager.copyAhead(snapshot, Math.min(producers.length, MOST_COPIES_AHEAD));
    });
    const former = formerProducers(
      index,
      layout.share,
      new Set(this.#replicas.map(({ name }) => name)),
    );
    const publisher = new Publisher(
      layout.staging,
      stager,
      this.#recovery,
      (path, model, made, cause) => {
        index.noteMadeDirectory(path, model, made);
        this.#shares.find(({ replica }) => replica.id === made.id)?.expect(path);
        // The others are still to get it, and an event may be taken for an echo now.
        lookAt(path, cause);
      },
    );
    const onChanged = (replica: Replica, path: RelativePath) =>
      this.#shareOf(replica)?.expect(path);
    this.#directoryMoves = new DirectoryMoves({
      replicas: this.#replicas,
      index,
      publisher,
      tree: (author) => this.#treeFor(author.name),
      isPossible: () =>
        this.#areTreesRead && !this.#stopped && former.size === 0 &&
        this.#shares.every(({ isComplete, replica }) => isComplete && replica.role !== "diode"),
      isWorkedOn: (directory) => this.#jobs.isRunningIn(directory),
      onChanged,
      canFollow: (move) =>
        this.#shares.every((share) =>
          share.canFollow(move, share.replica === move.author ? move.number : undefined)
        ),
      onRenamed: (move) => {
        for (const share of this.#shares) {
          if (share.replica === move.author) share.followed(move, move.number);
          else share.expectRename(move);
        }
      },
      onMoved: (move) => this.#onDirectoryMoved(move),
      onTrouble: (error) => onTrouble(messageOf(error)),
    });
    this.#reconciler = new Reconciler({
      replicas: this.#replicas,
      former,
      index,
      stager,
      early,
      unarrived: this.#unarrived,
      publisher,
      judge,
      conflictCopies: config.conflictCopies,
      moves: (replica) => this.#shareOf(replica)?.moves,
      catchUp: (replica) => this.#shareOf(replica)?.catchUp() ?? true,
      mayBeMet: (replica, path) => this.#shareOf(replica)?.mayBeMet(path) ?? false,
      isIgnored: rules.isIgnored,
      isIgnoredDirectory: rules.isIgnoredDirectory,
      onSeen: (replica, path, seen, isKnown) => this.#shareOf(replica)?.seen(path, seen, isKnown),
      orphansMayGo: () => this.#shares.every((share) => share.isComplete),
      isPending: (path) => this.#jobs.isPending(path),
      areTreesRead: () => this.#areTreesRead,
      isStillToBeRead: (directory) => this.#isStillToBeRead(directory),
      lookAt,
      onHeld: (replica) => this.#held.get(replica)?.expect(),
      reread: (directory) => this.#readFor(this.#jobs.queueOf(directory), directory),
      onChanged,
      onPublished: (path, what, from) => {
        this.#log.published(path, what, from);
        this.#hasNews = true;
      },
      onTrouble,
      onConflict: (loser, path, end) => this.#log.conflict(loser, path, end),
      onCovered,
      onShortage,
    });

    this.#readings = new Readings({
      shares: producers,
      tree: (share) => this.#treeFor(share?.name ?? COMMON),
      isStopped: () => this.#stopped,
      ready: (directory) => this.#directoryMoves.ready(directory),
      beforeRead: () => this.#jobs.repeatRunning(),
      onRead: () => this.#onRead(),
      onTrouble,
      onShortage,
    });
    this.#jobs = new ChannelJobs({
      shares: this.#shares,
      scheduler,
      debounceMs: config.debounceMs,
      areTreesRead: () => this.#areTreesRead,
      isMoving: (path) => this.#directoryMoves.covers(path),
      run: (path) => this.#reconcile(path),
      afterFailure: (path, error) => this.#afterFailure(path, error),
      onDone: () => this.#tellNews(),
      reread: (queue) => this.#readFor(queue, ROOT),
    });
    this.#held = new Map(
      this.#replicas.map((replica) => [
        replica,
        new HeldFiles({
          paths: (limit, after) => index.heldPaths(replica.id, limit, after),
          // What was held before nothing was to be scanned any more, or errors were to count as clean, waits for none.
          isScannerAvailable: async () =>
            !config.scanning.enable || config.scanning.permissive ||
            (await scanner.check()).available,
          lookAt: (path) => this.#jobs.add(replica === this.#export ? COMMON : replica.name, path),
        }),
      ]),
    );
    scanner.onRecovery(() => {
      for (const held of this.#held.values()) held.now();
    });
  }

  /**
   * Sets all watches and puts back what a crash left, then reads the trees and queues what differs. Settles when they
   * are read; the work itself goes on. `onProgress` hears, in words, how far it is.
   */
  async start(onProgress: (status: string) => void): Promise<void> {
    try {
      this.#attachExport(this.#layout.export.duplicate());
      // Every share that is there takes part from the start: what a crash left goes back before anything else.
      for (const share of this.#shares) share.open();
      this.#recovery.recover();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new LayoutFault(`its own directories cannot be used (${error.message})`);
    }
    this.#sweepTimer = setInterval(() => this.#sweep(), SWEEP_MS);
    // What one guest does is not to wait until another's huge tree is watched (I7).
    this.#jobs.start();
    this.#started = true;
    if (this.#index.isAhead) this.#log.indexIsAhead();
    await Promise.all(this.#shares.map((share) => share.watch(onProgress)));
    await this.#readAtStart(onProgress);
    this.#scheduler.wake();
    for (const held of this.#held.values()) held.start();
    this.#readings.start();
  }

  /**
   * Deletions and the removal of malware wait for its end: it does not wait for jobs, nor has it to come to one (I7). What
   * finds no room in the queue, or is left, is found by another reading, later.
   */
  async #readAtStart(onProgress: (status: string) => void): Promise<void> {
    let isEndless = false;
    const tree: TreeReaderParts = {
      ...this.#treeFor(COMMON),
      room: () => undefined,
      isStopped: () => this.#stopped || this.#ownPlaces.areDisplaced || isEndless,
    };
    const reading = await readTree(tree, ROOT, (counts) => {
      isEndless = counts.unknown > MOST_UNKNOWN;
      onProgress(`read ${counts.files} files in ${counts.directories} directories`);
    });
    this.#areTreesRead = !this.#stopped && !this.#ownPlaces.areDisplaced;
    this.#log.treesRead(reading);
    this.#confirmIndex(); // what is known was read before anything else
    if (!isEndless) return;
    this.#log.readsOn(reading);
    for (const { replica } of this.#shares) this.#readings.request(replica, ROOT, "changed");
  }

  #onRead(): void {
    if (!this.#readings.cover(ROOT)) this.#confirmIndex();
    this.#scheduler.wake();
  }

  /** Everything was read. */
  #confirmIndex(): void {
    if (!this.#index.isAhead || !this.#areTreesRead || this.#stopped) return;
    const present = this.#replicas.filter(({ root }) => root !== undefined);
    this.#index.confirm(present.map(({ id }) => id));
  }

  /** Whether the last daemon that served it was ended before it could tell of its last changes. */
  get wasCutOff(): boolean {
    return this.#index.wasCutOff;
  }

  /** Paths that wait or are worked on. */
  get pending(): number {
    return this.isDisplaced ? 0 : this.#jobs.size;
  }

  /**
   * Settles when a directory of the channel's is not in its place any more. It does nothing from then on; to be served
   * again, it is to be made anew.
   */
  get displaced(): Promise<void> {
    return this.#ownPlaces.displaced;
  }

  /** See `OwnPlaces`. */
  get hasFailed(): boolean {
    return this.#ownPlaces.haveFailed;
  }

  get isDisplaced(): boolean {
    return this.#ownPlaces.areDisplaced;
  }

  /**
   * No event is followed any more. Settles when no tree is being read again; the start's own reading, and jobs that run,
   * are others' to wait for.
   */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#sweepTimer);
    this.#jobs.stop();
    for (const held of this.#held.values()) held.stop();
    for (const share of this.#shares) share.close();
    await Promise.all([this.#readings.ended(), this.#directoryMoves.ended()]);
  }

  /** After `stop`: sees to it that what the index tells of is on the disk, so that a power failure changes nothing. */
  async flush(): Promise<void> {
    const { changes } = this.#index;
    if (await commitTransaction(this.#layout.staging)) this.#changesOnDisk = changes;
  }

  /**
   * After `stop`. Jobs that have not ended by then must never go on: the process ends in the same turn of the event loop
   * (`processEnds`; what must stay open until then does), or there are none.
   */
  close({ processEnds }: { readonly processEnds: boolean }): void {
    this.#early.drop();
    this.#unarrived.clear();
    this.#recovery.close();
    const isOnDisk = this.#changesOnDisk === this.#index.changes;
    // Of what was put out of its place, nobody knows who has emptied it.
    const inPlace = this.isDisplaced ? [] : this.#shares;
    for (const share of inPlace) share.noteIfEmptied();
    if (isOnDisk) this.#index.noteOnDisk();
    if (processEnds) this.#index.leave();
    else this.#index.close();
    for (const replica of this.#replicas) replica.detach();
    this.#layout[Symbol.dispose]();
  }

  #onFound(share: Replica): void {
    this.#recovery.putBackWaiting();
    if (!this.#started) return; // all is going to be read
    this.#log.shareFound(share);
    this.#held.get(share)?.expect();
    this.#readings.request(share, ROOT, "everything");
  }

  #shareOf(replica: Replica): Share | undefined {
    return this.#shares.find((share) => share.replica === replica);
  }

  #isEcho(share: Replica, path: RelativePath): boolean {
    // What is being done about it is not in the index yet, and may be undone by what the event tells of.
    if (this.#jobs.isRunning(path)) return false;
    try {
      return this.#reconciler.isKnown(share, path);
    } catch {
      return false; // looked at closely then
    }
  }

  /** `path` will be looked at in a moment: its snapshot can be taken now. */
  #prepare(share: Replica, path: RelativePath): void {
    if (!this.#started || this.#stopped) return;
    if (!this.#rules.isIgnored(path) && !this.#isEcho(share, path)) this.#early.take(share, path);
  }

  /** Once it is everywhere: told of its first place, guests would have to be told of the others again. */
  #tellNews(): void {
    if (this.#hasNews) this.#onChange();
    this.#hasNews = false;
  }

  #reconcile(path: RelativePath): Promise<Rest> {
    // What is deleted in shares that were put aside is no deletion.
    if (this.#ownPlaces.look()) return Promise.resolve(WHILE_DISPLACED);
    const isAttempt = this.#held.values().some((held) => held.begin(path));
    return this.#reconciler.run(path, isAttempt);
  }

  #onDirectoryMoved({ author, from, to }: DirectoryMove): void {
    this.#log.published(to, "rename", author);
    // What has the former name by now was taken for what had it before, whenever somebody told of it meanwhile.
    this.#jobs.add(author.name, from);
    this.#readings.requestAll(from, author);
    // Whatever was still to be done about what is in it has another name now.
    this.#readings.requestAll(to, author);
    this.#onChange();
  }

  /** After how long `path` is looked at again. */
  #afterFailure(path: RelativePath, error: unknown): number {
    if (lacksDescriptors(error)) {
      this.#onShortage(error);
      return AFTER_SHORTAGE.delayMs;
    }
    this.#log.failure(path, error);
    return AFTER_FAILURE_MS;
  }

  #onShortage(error: SystemError): void {
    this.#scheduler.missed();
    this.#log.shortage(error);
  }

  /**
   * What is found waits in `queue`, or, on nobody's behalf, in those of who has changed it: a large tree of one guest's is in
   * nobody else's way (I7).
   */
  #treeFor(queue: string): TreeReaderParts {
    const { isIgnored, isIgnoredDirectory } = this.#rules;
    return {
      index: this.#index,
      replicas: this.#replicas,
      large: this.#large,
      isIgnored,
      isIgnoredDirectory,
      lookAt: (path, authors = []) => {
        // Before its job, which may be long in coming: it may be the new name of what is missing elsewhere.
        for (const share of this.#shares) share.found(path);
        const guests = this.#shares.filter(({ replica }) => authors.includes(replica));
        if (queue !== COMMON || guests.length === 0) {
          return this.#jobs.addWhenQuiet(queue, path, this.#shares);
        }
        for (const guest of guests) this.#jobs.addWhenQuiet(guest.replica.name, path, [guest]);
      },
      isStopped: () => this.#stopped,
      mark: (replica) => this.#shareOf(replica)?.mark() ?? 0,
      onRenamed: (replica, from, to, moment) =>
        this.#shareOf(replica)?.renamed(from, to, { left: moment, arrived: moment }),
      onShortage: (error) => this.#onShortage(error),
      onFailure: (directory, error) => {
        this.#log.trouble(`${display(directory) || "a root"} could not be read (${error.message})`);
        setTimeout(() => this.#readFor(queue, directory), AFTER_FAILURE_MS);
      },
      room: () => this.#jobs.room(queue),
    };
  }

  /** Has everything below `directory` read; what is found waits in `queue`. */
  #readFor(queue: string, directory: RelativePath): void {
    this.#readings.requestAll(directory, this.#shareFor(queue));
  }

  /** Whoever is worked for there; nothing if that is nobody in particular. */
  #shareFor(queue: string): Replica | undefined {
    return this.#shares.find(({ replica }) => replica.name === queue)?.replica;
  }

  /** By whoever it is that `directory` is worked on for: what others have to read is nothing to wait for (I7). */
  #isStillToBeRead(directory: RelativePath): boolean {
    const queue = this.#jobs.queueOf(directory);
    return this.#jobs.hasForgotten(queue) ||
      this.#readings.coverFor(this.#shareFor(queue), directory);
  }

  #sweep(): void {
    if (this.#ownPlaces.look()) return;
    this.#early.sweep();
    this.#unarrived.sweep(performance.now());
    this.#sweepRecovery();
    if (!this.#started) return;
    this.#keepExport();
    this.#lookAtUncovered();
  }

  #lookAtUncovered(): void {
    for (const [replica, places] of this.#covered) {
      if (replica.root === undefined) places.clear(); // all is looked at when it is there again
      else for (const path of places.takeUncovered(replica.root)) this.#onUncovered(replica, path);
    }
  }

  #onUncovered(replica: Replica, path: RelativePath): void {
    const share = this.#shareOf(replica);
    this.#log.uncovered(replica, path);
    share?.uncovered(path);
    this.#jobs.add(share === undefined ? COMMON : replica.name, path);
    this.#readings.requestAll(path, share?.replica);
  }

  /** A little in each turn of the event loop: a guest has files removed by the thousand (I7). */
  async #sweepRecovery(): Promise<void> {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    try {
      while (!this.#stopped && this.#recovery.sweep(performance.now(), false, SWEEP_SLICE_MS)) {
        await nextTurn();
      }
    } catch (error) {
      if (lacksDescriptors(error)) this.#onShortage(error);
      else this.#log.trouble(`recovery: ${messageOf(error)}`);
    } finally {
      this.#isSweeping = false;
    }
  }

  /** Takes over the descriptor. */
  #attachExport(exported: Directory): void {
    using owned = new DisposableStack();
    owned.use(exported);
    this.#export.attach(exported, this.#index.replicaId(EXPORT, statusOf(exported).inode).id);
    owned.move();
  }

  /** By mistake, or to start afresh, the host may have removed it. */
  #keepExport(): void {
    const held = this.#export.root;
    if (held === undefined) return;
    try {
      const renewed = renewedExport(this.#layout, held);
      if (renewed === undefined) return;
      this.#attachExport(renewed);
      this.#log.exportRenewed();
      this.#readings.requestAll(ROOT);
    } catch (error) {
      if (lacksDescriptors(error)) this.#onShortage(error);
      else this.#log.exportMissing(error);
    }
  }
}
