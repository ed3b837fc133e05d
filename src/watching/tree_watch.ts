/**
 * The watch on one root directory, for as long as it is there: reads inotify's events, sets watches, and
 * tells what has come to rest. All work is done in short turns, so that other trees get theirs (I7).
 */

import { Alarm } from "../../ffi/alarm.ts";
import { nameOf, parentOf, type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { messageOf } from "../../ffi/errno.ts";
import type { Inotify, InotifyEvent } from "../../ffi/inotify.ts";
import { EPOLL, nextTurn, type Reactor } from "../../ffi/reactor.ts";
import { type Below, Debouncer, type Due, type Touch } from "./debouncer.ts";
import { EventInterpreter, type Findings } from "./event_interpreter.ts";
import { LonePath } from "./lone_path.ts";
import { Polling } from "./polling.ts";
import { RearmSchedule } from "./rearm_schedule.ts";
import { type ArmerOptions, TreeArmer } from "./tree_armer.ts";
import { WatchSet, type WatchSetOptions } from "./watch_set.ts";
import type { RereadReason, WatchSink } from "./watcher.ts";

/** Of each of the three things that a turn does: reading events, setting watches, telling what is due. */
const PART_OF_TURN_MS = 1;
/** The clock is read only now and then: an event takes a microsecond, unless its path is enormous. */
const EVENTS_A_LOOK = 8;
/** Told between two looks at the clock: each may make the sink look at the disk. */
const TOLD_A_LOOK = 4;
/** What is due so soon after something else was told waits for so long: a timer for each of many costs as much as a file. */
const TOGETHER_MS = 2;

export interface TreeWatchOptions {
  readonly debounceMs: number;
  readonly mostWatches: number;
  /** How often directories that cannot be watched are read again. */
  readonly pollMs: number;
  excludes?: ((directory: RelativePath) => boolean) | undefined;
  /** See `WatcherOptions`. */
  readonly readsMovedAtOnce: boolean;
  /** Called once, when everything is watched for the first time. From then on the sink is told. */
  onArmed(): void;
  /** Called after each turn until then. */
  onProgress?: ((directories: number) => void) | undefined;
  /** The root was removed, moved or unmounted; `unwatched` if no more events will come. */
  onRootChanged(unwatched: boolean): void;
  /** `kind` is the same for the same trouble. */
  onTrouble(kind: string, message: string): void;
}

export class TreeWatch {
  readonly #watches: WatchSet;
  readonly #armer: TreeArmer;
  readonly #interpreter: EventInterpreter;
  readonly #debouncer: Debouncer;
  readonly #lone: LonePath;
  readonly #rearms: RearmSchedule;
  readonly #polling: Polling;
  #events: readonly InotifyEvent[] = [];
  #nextEvent = 0;
  /** Before everything has been armed once, nothing is told: all of it will be read. */
  #telling = false;
  #rootArmed = false;
  #turning = false;
  #isHandling = false;
  /** Events so far. */
  #handled = 0;
  /** When something was due last. */
  #toldAt = -Infinity;
  readonly #alarm: Alarm;
  #closed = false;

  /** Owns `inotify` and `root` from now on. */
  constructor(
    private readonly reactor: Reactor,
    private readonly inotify: Inotify,
    private readonly root: Directory,
    private readonly sink: WatchSink,
    private readonly options: TreeWatchOptions,
  ) {
    this.#alarm = new Alarm(reactor, () => this.#work());
    this.#debouncer = new Debouncer(options.debounceMs);
    this.#lone = new LonePath(options.debounceMs);
    this.#rearms = new RearmSchedule(options.debounceMs);
    const findings = this.#findings();
    this.#watches = new WatchSet(root, inotify, findings);
    this.#armer = new TreeArmer(root, this.#watches, findings);
    this.#interpreter = new EventInterpreter(this.#watches.tree, findings, options.excludes);
    this.#polling = new Polling(this.#watches, this.#armer, {
      pollMs: options.pollMs,
      reread: (directory) => {
        if (!this.#closed) sink.reread(directory, "unwatched");
      },
      rearm: () => this.#rearm("unwatched"),
      onTrouble: (message) => options.onTrouble("unwatched", message),
    });
  }

  /** Arms the whole tree, and from then on tells what happens. */
  start(): void {
    this.#rearm("overflow");
    this.reactor.add(this.inotify, EPOLL.IN, () => this.#work());
    this.#work();
  }

  /** Paths that wait, and one for everything else that is still to be done. */
  get pending(): number {
    const isBusy = this.#turning || this.#armer.busy || this.#rearms.isWanted ||
      this.#interpreter.departures > 0;
    return this.#debouncer.size + (isBusy ? 1 : 0);
  }

  /** See `Watcher`. */
  get waiting(): Iterable<RelativePath> {
    return this.#debouncer.paths;
  }

  /** See `Watcher`. */
  get hasUnread(): boolean {
    return this.#debouncer.hasMoved;
  }

  get watched(): number {
    return this.#watches.tree.watched;
  }

  /** See `Watcher`. */
  catchUp(): boolean {
    if (this.#closed || !this.#telling || this.#isHandling) return false;
    try {
      if (!this.#handleEvents(performance.now() + PART_OF_TURN_MS) || this.#closed) return false;
      this.#interpreter.expire(performance.now());
      return true;
    } catch {
      return false; // the next turn meets it as well, and tells
    } finally {
      this.#work();
    }
  }

  /** See `Watcher`. */
  uncovered(path: RelativePath): void {
    if (this.#closed) return;
    const parent = this.#watches.tree.at(parentOf(path));
    if (parent === undefined) this.#touch(path, { event: "settled", below: "moved" });
    else this.#armer.request(parent, nameOf(path), "moved");
    this.#work();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#alarm.close();
    this.#armer.close();
    this.reactor.remove(this.inotify);
    this.inotify.close();
    this.root.close();
  }

  #findings(): Findings & ArmerOptions & WatchSetOptions {
    const { options } = this;
    return {
      excludes: options.excludes,
      mostWatches: options.mostWatches,
      catchUp: () => this.#handleSome(),
      met: (path) => {
        if (this.#telling) this.sink.found?.(path);
      },
      covered: (path) => this.sink.covered?.(path),
      touch: (path, touch) => this.#touch(path, touch),
      found: (path) => {
        if (this.#telling) this.sink.found?.(path);
        this.#touch(path, { event: "other", below: "nothing" });
      },
      unwatched: (path) => this.#touch(path, { event: "other", below: "moved" }),
      moved: (from, to, when) => {
        if (this.#telling) this.sink.moved(from, to, when);
      },
      departed: (path, mark) => {
        if (this.#telling) this.sink.departed?.(path, mark);
      },
      paired: (mark) => {
        if (this.#telling) this.sink.paired?.(mark);
      },
      mark: () => this.sink.mark?.() ?? 0,
      // Later than what is found in a directory that was made a moment before.
      movedOut: (path, touch, mark) =>
        this.#armer.after(() => {
          if (this.#telling) this.sink.movedOut?.(mark);
          this.#touch(path, touch);
        }),
      arrived: (parent, name, purpose) => this.#armer.request(parent, name, purpose),
      armed: (path, purpose) => {
        if (purpose === "retry") this.#polling.retried(path);
        else this.#arrived(path, purpose);
      },
      rootArmed: () => {
        this.#rootArmed = true;
      },
      overflow: () => this.#lost("overflow"),
      tooMuch: () => this.#lost("limit"),
      watchGone: (watch) => this.#watches.watchGone(watch),
      rootChanged: (unwatched) => options.onRootChanged(unwatched),
    };
  }

  #arrived(path: RelativePath, below: Below): void {
    const isRead = this.#telling && below === "moved" && this.options.readsMovedAtOnce === true;
    this.#touch(path, { event: "settled", below: isRead ? "nothing" : below });
    if (isRead) this.sink.reread(path, below);
  }

  #touch(path: RelativePath, touch: Touch): void {
    if (!this.#telling) return;
    this.#debouncer.touch(path, performance.now(), touch);
    const { sink } = this;
    if (sink.soon === undefined) return;
    // Where there are too many to be kept apart, none is alone (I6).
    if (this.#debouncer.dueAt(path) === Infinity) this.#lone.clear();
    else if (!sink.expects?.(path)) this.#lone.add(path);
  }

  #lost(reason: RereadReason): void {
    if (!this.#rearms.want(reason, performance.now())) return;
    this.options.onTrouble(
      reason,
      reason === "overflow"
        ? "changes came faster than they could be read, and some were lost: everything is read again " +
          "(a higher sysctl fs.inotify.max_queued_events makes this less likely)"
        : "more directories change at once than can be followed singly: everything is read again",
    );
  }

  #rearm(reason?: RereadReason): void {
    this.#rearms.begin(performance.now(), reason);
    this.#armer.rearm();
  }

  /** Begins to take turns, if it does not already. */
  #work(): void {
    if (!this.#turning && !this.#closed) this.#takeTurns();
  }

  async #takeTurns(): Promise<void> {
    this.#turning = true;
    while (!this.#closed && this.#turn()) await nextTurn();
    this.#turning = false;
    if (!this.#closed) this.#setTimer();
  }

  /** `true` if more is to be done at once. */
  #turn(): boolean {
    try {
      const caughtUp = this.#handleEvents(performance.now() + PART_OF_TURN_MS);
      if (!this.#closed && caughtUp) this.#interpreter.expire(performance.now());
      // Whoever is told what is found knows what has departed.
      const isArming = !this.#closed && !this.#interpreter.isUntold;
      if (isArming) this.#armer.step(performance.now() + PART_OF_TURN_MS);
      if (!this.#closed) this.#tell(performance.now() + PART_OF_TURN_MS);
      if (!this.#closed) this.#tellSoon();
      if (this.#closed) return false;
      const now = performance.now();
      if (this.#rearms.dueAt <= now) this.#rearm();
      this.#polling.poll(now);
      return !caughtUp || this.#armer.busy || this.#debouncer.nextDueAt <= now;
    } catch (error) {
      // Nothing here is known to throw. If it does, the one thing that is safe is to read everything again.
      const cause = messageOf(error);
      this.options.onTrouble("failure", `watching failed and is set up anew: ${cause}`);
      this.#rearms.abandon("overflow", performance.now());
      return false;
    }
  }

  /** `false` if there was none. */
  #handleSome(): boolean {
    if (this.#isHandling || this.#closed) return false;
    const before = this.#handled;
    const caughtUp = this.#handleEvents(performance.now() + PART_OF_TURN_MS);
    if (caughtUp && !this.#closed) this.#interpreter.tellHalves();
    return this.#handled > before && !this.#closed;
  }

  /** `true` if no event is left. */
  #handleEvents(deadlineMs: number): boolean {
    this.#isHandling = true;
    try {
      return this.#handleUntil(deadlineMs);
    } finally {
      this.#isHandling = false;
    }
  }

  #handleUntil(deadlineMs: number): boolean {
    let hasRead = false;
    while (!this.#closed) {
      if (this.#nextEvent === this.#events.length) {
        if (hasRead && !this.inotify.mayHaveMore) return true;
        hasRead = true;
        this.#events = this.inotify.read();
        this.#nextEvent = 0;
        if (this.#events.length === 0) return true;
      }
      const now = performance.now();
      if (now > deadlineMs) return false;
      const end = Math.min(this.#nextEvent + EVENTS_A_LOOK, this.#events.length);
      while (this.#nextEvent < end && !this.#closed) {
        const event = this.#events[this.#nextEvent++];
        this.#handled++;
        if (event !== undefined) this.#interpreter.handle(event, now);
      }
    }
    return true;
  }

  #tell(deadlineMs: number): void {
    if (this.#rootArmed) this.#tellRootArmed();
    else if (!this.#telling) this.options.onProgress?.(this.watched);
    if (!this.#telling) return;
    this.#polling.tell();
    for (let now = performance.now(); now < deadlineMs; now = performance.now()) {
      const due = this.#debouncer.due(now, TOLD_A_LOOK);
      if (due.length === 0) return;
      this.#toldAt = now;
      for (const one of due) this.#tellDue(one);
    }
  }

  #tellSoon(): void {
    const { path } = this.#lone;
    if (path === undefined || this.#soonAt > performance.now()) return;
    this.#lone.told(this.#debouncer.dueAt(path));
    this.sink.soon?.(path);
  }

  get #soonAt(): number {
    const { path } = this.#lone;
    return path === undefined ? Infinity : this.#lone.soonAt(this.#debouncer.dueAt(path));
  }

  #tellRootArmed(): void {
    this.#rootArmed = false;
    const reason = this.#rearms.end(performance.now());
    if (this.#telling) {
      this.sink.reread(ROOT, reason);
    } else {
      this.#telling = true;
      this.options.onArmed();
    }
  }

  #tellDue(due: Due): void {
    if (this.#closed) return;
    if (due.kind === "everything") {
      this.#lone.clear();
      this.sink.reread(ROOT, "limit");
      return;
    }
    this.#lone.delete(due.path);
    this.sink.changed(due.path, due.closed, due.used);
    if (due.below !== "nothing" && !this.#closed) this.sink.reread(due.path, due.below);
  }

  #setTimer(): void {
    const { nextDueAt } = this.#debouncer;
    const at = Math.min(
      Math.max(nextDueAt, this.#toldAt + TOGETHER_MS),
      this.#soonAt,
      this.#interpreter.nextExpiryAt,
      this.#rearms.dueAt,
      this.#polling.nextAt,
    );
    if (at < this.#alarm.dueAt) this.#alarm.set(at, at === nextDueAt);
  }
}
