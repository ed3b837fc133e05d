/**
 * What inotify's events mean for the tree of watched directories and for those who are told. Pure: events and
 * a clock in; the tree, and calls to `Findings`, out.
 */

import { asFileName, type FileName, join, type RelativePath } from "../../ffi/byte_string.ts";
import { IN, type InotifyEvent } from "../../ffi/inotify.ts";
import type { Touch } from "./debouncer.ts";
import { DisplacedDirectories } from "./displaced_directories.ts";
import { MovePairing } from "./move_pairing.ts";
import type { MoveTime } from "./watcher.ts";
import type { Purpose } from "./tree_armer.ts";
import { UNWATCHED, type WatchNode, type WatchTree } from "./watch_tree.ts";

export interface Findings {
  touch(path: RelativePath, touch: Touch): void;
  /** `when`: if that was not just now. */
  moved(from: RelativePath, to: RelativePath, when?: MoveTime): void;
  /**
   * What had this name has another one of which nothing is told so far: in a directory that is not watched (yet), or
   * outside.
   */
  departed(path: RelativePath, mark: number): void;
  /** What was told to have departed at that moment has arrived after all, as `moved` tells next. */
  paired(mark: number): void;
  /** A number for this moment, greater than those before. */
  mark(): number;
  /** What has this name now had another one that nobody told, or comes from outside. */
  found(path: RelativePath): void;
  /** Nothing will be told of that other name, unless it is found in a directory that is still to be armed. */
  movedOut(path: RelativePath, touch: Touch, mark: number): void;
  /** A directory may be there that is to be watched, with everything below it. */
  arrived(parent: WatchNode, name: FileName, purpose: Purpose): void;
  /** Events were lost. */
  overflow(): void;
  /** The root was removed, moved or unmounted; `unwatched` if its watch is gone with it. */
  rootChanged(unwatched: boolean): void;
  /** The kernel has removed this watch. */
  watchGone(watch: number): void;
}

/** See `Findings.mark`. */
interface Moment {
  readonly mark: number;
  /** Of the last thing that is known to have happened there before. */
  readonly after: number;
}

interface Departure {
  readonly cookie: number;
  readonly touch: Touch;
  /** Of the moment. */
  readonly mark: number;
  /** By `departed`. */
  isTold: boolean;
  /** If it is a directory: of what happened in it last. */
  lastMark: number;
  /** It left a directory that had departed itself. */
  readonly wasInDeparted: boolean;
  /** Not kept where it is so long that thousands of them would matter (I6). */
  readonly path: RelativePath | undefined;
  /** The directory that left, if it was known. */
  readonly node: WatchNode | undefined;
}

/** What got its name from somewhere of which nothing is told. */
interface Arrival {
  readonly parent: WatchNode;
  readonly name: FileName;
  readonly path: RelativePath;
  /** What had the name until then has been told to leave it. */
  hasReplaced: boolean;
}

const PATH_MAX = 4096;
/** The part of the time that is left before a departure that one thing takes: there are numbers for a thousand of them. */
const PART_OF_TIME = 1 / 64;
/** What is told of each may cost a look at what is known of it (I7). */
const EXPIRED_AT_ONCE = 64;

const CLOSED: Touch = { event: "closed", below: "nothing", name: "used" };
const WRITING: Touch = { event: "writing", below: "nothing", name: "used" };
const ATTRIBUTES: Touch = { event: "other", below: "nothing", name: "used" };
const CREATED: Touch = { event: "other", below: "nothing", name: "given" };
const ARRIVED: Touch = { event: "settled", below: "nothing", name: "given" };
const GONE: Touch = { event: "settled", below: "nothing", name: "given up" };
const TREE_GONE: Touch = { event: "settled", below: "moved", name: "given up" };

const OF_THE_DIRECTORY_ITSELF = IN.IGNORED | IN.UNMOUNT | IN.DELETE_SELF | IN.MOVE_SELF;

export class EventInterpreter {
  readonly #moves = new MovePairing<Departure>();
  /** What left its name last. Where it arrived, the next event tells, if any does. */
  #departing: Departure | undefined;
  /** What arrived last, if it came from nowhere. If the same name is given up next, that may be the other half of an exchange. */
  #arriving: Arrival | undefined;
  readonly #displaced: DisplacedDirectories;

  constructor(
    private readonly tree: WatchTree,
    private readonly findings: Findings,
    private readonly excludes?: (directory: RelativePath) => boolean,
  ) {
    this.#displaced = new DisplacedDirectories(tree);
  }

  handle(event: InotifyEvent, nowMs: number): void {
    const { mask, watch } = event;
    const arrives = (mask & IN.MOVED_TO) !== 0 && event.cookie === this.#departing?.cookie;
    const node = this.tree.byWatch(watch);
    if (arrives) this.#departing = undefined;
    else this.#tellDeparted();
    if (!this.#noteReplaced(node, event)) this.#tellArrived();
    if (mask & IN.Q_OVERFLOW) return this.findings.overflow();
    if (mask & OF_THE_DIRECTORY_ITSELF) return this.#directoryItself(watch, mask, node);
    // Attributes of the directory itself have no name: its parent tells them too.
    const name = asFileName(event.name);
    if (node === undefined || name === undefined) return;
    if (mask & IN.MOVED_FROM) this.#movedFrom(node, name, event, nowMs);
    else if (mask & IN.MOVED_TO) this.#movedTo(node, name, event, nowMs);
    else if (mask & IN.ISDIR) this.#directory(node, name, mask);
    else this.#touch(node, name, fileTouch(mask));
  }

  /** When `expire` has something to do. */
  get nextExpiryAt(): number {
    return Math.min(this.#moves.nextExpiryAt, this.#displaced.nextExpiryAt);
  }

  /** Whether what was handled last is half of a rename that is not told yet, since the next event may tell more of it. */
  get isUntold(): boolean {
    return this.#departing !== undefined || this.#arriving !== undefined;
  }

  /** Names that were given up, and wait for the ones that were taken. */
  get departures(): number {
    return this.#moves.size;
  }

  /**
   * Tells what has departed, and forgets directories that were moved out of the tree, so that nothing outside is told: some
   * of those that are due. Only when all events so far have been handled.
   */
  expire(nowMs: number): void {
    this.tellHalves();
    for (const departure of this.#moves.expired(nowMs, EXPIRED_AT_ONCE)) this.#movedOut(departure);
    this.#displaced.expire(nowMs);
  }

  /** Only when all events so far have been handled. */
  tellHalves(): void {
    this.#tellDeparted();
    this.#tellArrived();
  }

  /**
   * Of an exchange with something that is not watched, the arrival is told first, and then the departure of what had the name
   * until then: in that order, what arrived would seem to have left again. Whether this is that departure.
   */
  #noteReplaced(parent: WatchNode | undefined, { mask, name }: InotifyEvent): boolean {
    const arriving = this.#arriving;
    if (arriving === undefined || arriving.hasReplaced || !(mask & IN.MOVED_FROM)) return false;
    if (parent !== arriving.parent || name !== arriving.name) return false;
    arriving.hasReplaced = true;
    return true;
  }

  #tellArrived(): void {
    const arriving = this.#arriving;
    this.#arriving = undefined;
    if (arriving !== undefined) this.findings.found(arriving.path);
  }

  #tellDeparted(): void {
    const departing = this.#departing;
    this.#departing = undefined;
    if (departing?.path === undefined) return;
    departing.isTold = true;
    this.findings.departed(departing.path, departing.mark);
  }

  #movedOut(departure: Departure): void {
    this.#forget(departure);
    const { path, touch, mark } = departure;
    if (path !== undefined) this.findings.movedOut(path, touch, mark);
  }

  #forget({ node }: Departure): void {
    // It has a place again if it was met somewhere before its arrival was told.
    if (node !== undefined && !this.tree.isAttached(node)) this.tree.remove(node);
  }

  #directoryItself(watch: number, mask: number, node: WatchNode | undefined): void {
    const isGone = (mask & (IN.IGNORED | IN.UNMOUNT)) !== 0;
    if (isGone) this.findings.watchGone(watch);
    if (node === this.tree.root) this.findings.rootChanged(isGone);
    else if (node !== undefined && isGone) this.tree.watchEnded(node);
  }

  /** A directory was created or removed, or its attributes changed. */
  #directory(parent: WatchNode, name: FileName, mask: number): void {
    if (mask & IN.CREATE) {
      this.#touch(parent, name, ARRIVED);
      if (!this.#isExcluded(parent, name)) this.#arrived(parent, name, "created");
      return;
    }
    if (!(mask & IN.DELETE)) {
      this.#touch(parent, name, ATTRIBUTES);
      return;
    }
    const node = this.tree.child(parent, name);
    // A directory is empty when it is removed. How it came to be was told only if it was watched all the time.
    const wasTold = node !== undefined && node.watch !== UNWATCHED && !this.tree.isDoubtful(node);
    this.#touch(parent, name, wasTold ? GONE : TREE_GONE);
    if (node !== undefined) this.tree.remove(node);
  }

  #movedFrom(parent: WatchNode, name: FileName, event: InotifyEvent, nowMs: number): void {
    const isDirectory = (event.mask & IN.ISDIR) !== 0;
    const touch = isDirectory ? TREE_GONE : GONE;
    const { path, moment } = this.#placeIn(parent, name);
    const node = isDirectory
      ? this.#displaced.take(parent, name) ?? this.tree.child(parent, name)
      : undefined;
    if (node !== undefined) {
      this.tree.detach(node);
      // What was known there may be what came in its place.
      this.findings.arrived(parent, name, "moved");
    }
    const kept = path !== undefined && path.length <= PATH_MAX ? path : undefined;
    if (path !== undefined && kept === undefined) this.findings.touch(path, touch);
    const { mark, after } = moment ?? this.#now();
    const departure: Departure = {
      cookie: event.cookie,
      path: kept,
      node,
      touch,
      mark,
      isTold: false,
      lastMark: after,
      wasInDeparted: moment !== undefined,
    };
    this.#departing = departure;
    const expelled = this.#moves.departed(event.cookie, departure, nowMs);
    if (expelled !== undefined) this.#movedOut(expelled);
  }

  #now(): Moment {
    const mark = this.findings.mark();
    return { mark, after: mark - 1 };
  }

  /**
   * The path of an entry. In a directory that has departed, and may still arrive, it is the former one: as if all that
   * happens there had happened before that, in the same order, at `moment`.
   */
  #placeIn(
    parent: WatchNode,
    name: FileName,
  ): { readonly path: RelativePath | undefined; readonly moment?: Moment } {
    const path = this.tree.pathIn(parent, name);
    if (path !== undefined || this.#moves.size === 0) return { path };
    const { top, names } = this.tree.placeOf(parent);
    const departure = this.#moves.find(({ node }) => node === top);
    if (departure?.path === undefined) return { path };
    const after = departure.lastMark;
    const mark = departure.lastMark = after + (departure.mark - after) * PART_OF_TIME;
    return {
      path: [...names, name].reduce<RelativePath>(join, departure.path),
      moment: { mark, after },
    };
  }

  #movedTo(
    parent: WatchNode,
    name: FileName,
    { cookie, mask }: InotifyEvent,
    nowMs: number,
  ): void {
    const departure = this.#moves.arrived(cookie);
    const { path, moment } = this.#placeIn(parent, name);
    if (departure?.path !== undefined) {
      this.findings.touch(departure.path, departure.touch);
      const isNow = moment === undefined && !departure.wasInDeparted;
      const when = isNow ? undefined : { left: departure.mark, arrived: moment?.mark };
      if (path !== undefined) {
        if (departure.isTold) this.findings.paired(departure.mark);
        this.findings.moved(departure.path, path, when);
      }
    } else if (path !== undefined && departure === undefined) {
      this.#arriving = { parent, name, path, hasReplaced: false };
    }
    this.#touch(parent, name, ARRIVED);
    if (!(mask & IN.ISDIR)) return;
    if (this.#isExcluded(parent, name)) {
      if (departure !== undefined) this.#forget(departure);
      return;
    }
    if (departure?.node !== undefined && !this.#settle(departure.node, parent, name, nowMs)) return;
    // Also where its watches came with it: an event may have been assigned to a name that was out of date.
    this.tree.doubt(this.#arrived(parent, name, "moved"));
  }

  /** It has a place before it is watched: it may be exchanged for another one until then. */
  #arrived(parent: WatchNode, name: FileName, purpose: Purpose): WatchNode {
    this.findings.arrived(parent, name, purpose);
    return this.tree.child(parent, name) ?? this.tree.add(parent, name);
  }

  /**
   * Gives a directory that left its place the one where it arrived. `false` if that is known to lie below it, which
   * is knowledge of a later time: both have moved since, and what tells that arms them again.
   */
  #settle(node: WatchNode, parent: WatchNode, name: FileName, nowMs: number): boolean {
    if (this.tree.isForgotten(node) || this.tree.isAttached(node)) return true;
    this.#displaced.displace(parent, name, nowMs);
    if (this.tree.attach(node, parent, name)) return true;
    this.tree.remove(node);
    return false;
  }

  #isExcluded(parent: WatchNode, name: FileName): boolean {
    if (this.excludes === undefined) return false;
    const path = this.tree.pathIn(parent, name);
    return path !== undefined && this.excludes(path);
  }

  /** Unless the directory has no path: then it is read again as a whole when it arrives somewhere. */
  #touch(parent: WatchNode, name: FileName, touch: Touch): void {
    const path = this.tree.pathIn(parent, name);
    if (path !== undefined) this.findings.touch(path, touch);
  }
}

function fileTouch(mask: number): Touch {
  if (mask & IN.CLOSE_WRITE) return CLOSED;
  if (mask & IN.DELETE) return GONE;
  if (mask & IN.MODIFY) return WRITING;
  return mask & IN.CREATE ? CREATED : ATTRIBUTES;
}
