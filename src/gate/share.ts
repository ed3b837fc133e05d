/** A producer's share: what is there, and what its watcher's events mean for the channel. */

import {
  display,
  type FileName,
  fromText,
  type RelativePath,
  ROOT,
} from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { ERRNO, SystemError } from "../../ffi/errno.ts";
import { ageMs, statusOf } from "../../ffi/file_status.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { PathTally } from "../collections/path_tally.ts";
import { RepeatLimit } from "../logging/repeat_limit.ts";
import { InotifyWatcher } from "../watching/inotify_watcher.ts";
import type { MoveTime, RereadReason, WatchSink } from "../watching/watcher.ts";
import type { ChannelConfig } from "./config/channel_config.ts";
import type { FileIndex } from "./file_index.ts";
import { type IgnoreRules, LONGEST_PATH } from "./ignore_patterns.ts";
import type { Place } from "./job.ts";
import { LinkedNames } from "./linked_names.ts";
import { type EverybodysRename, MoveMemory } from "./move_memory.ts";
import type { Seen } from "./planning/situation.ts";
import type { Wanted } from "./readings.ts";
import { Replica } from "./replica.ts";
import { UntoldRenames } from "./untold_renames.ts";

/** Of a long path, in messages. */
const SHOWN = 100;
/** Beyond them none is remembered: they only tell what need not be prepared for (I6). */
const MOST_EXPECTED = { paths: 10_000, bytes: 2 * 1024 * 1024 };
/** Of which nothing is told for whatever reason (I6). */
const MOST_RENAMES = 100;
/** Names that do not travel in the root of a share that counts as empty. */
const MOST_LEFTOVERS = 1_000;

export interface ShareParts {
  readonly config: Pick<ChannelConfig, "debounceMs" | "diodeProducers">;
  readonly reactor: Reactor;
  readonly index: FileIndex;
  readonly rules: IgnoreRules;
  /** The share's directory; `undefined` while it is not there. */
  openRoot(producer: FileName): Directory | undefined;
  /** Why it is none that can be used, if something else is there. */
  obstacle(producer: FileName): string | undefined;
  /** Whether nothing is new about what the share has at `path`: an event was the echo of the daemon's own work. */
  isEcho(share: Replica, path: RelativePath): boolean;
  /** `path` is to be looked at in a moment, if it stays as it is. */
  prepare(share: Replica, path: RelativePath): void;
  /** `path` is to be looked at. */
  lookAt(share: Replica, path: RelativePath): void;
  /** `from` became `to`, of which `reread` follows if it is a directory; with the number that this has in `moves`. */
  onMoved(share: Replica, from: RelativePath, to: RelativePath, number: number): void;
  /** `directory`, and what is below it, is to be read. */
  read(share: Replica, directory: RelativePath, what: Wanted): void;
  /** Whether something in it is to be read, or is being read. */
  isBeingRead(share: Replica): boolean;
  /** It is there, after it was not, or as another directory. */
  onFound(share: Replica): void;
  /** Something else is mounted at a path: when that is gone, `uncovered` is to be called. */
  onCovered(place: Place): void;
  onTrouble(message: string): void;
}

export class Share implements WatchSink {
  readonly replica: Replica;
  /** Renames in it. */
  readonly moves = new MoveMemory();
  readonly #parts: ShareParts;
  readonly #links: LinkedNames;
  readonly #watcher: InotifyWatcher;
  readonly #repeats = new RepeatLimit();
  /** Where the daemon did something of which an event is still to tell. */
  readonly #expected = new Set<RelativePath>();
  readonly #expectedTally = new PathTally(MOST_EXPECTED);
  /** Renames by the daemon of which an event is still to tell. */
  readonly #expectedRenames = new Set<EverybodysRename>();
  readonly #untold: UntoldRenames;
  #foundEmpty = false;
  /** It was found empty, and what was known of it still counts, whatever its guest may have written since. */
  #waitsEmptied = false;

  constructor(producer: FileName, parts: ShareParts) {
    const { config, reactor } = parts;
    this.#parts = parts;
    const role = config.diodeProducers.has(producer) ? "diode" : "producer";
    const replica = this.replica = new Replica(role, producer);
    this.#links = new LinkedNames({
      lookAt: (path) => parts.lookAt(replica, path),
      search: () => parts.read(replica, ROOT, "changed"),
    });
    this.#untold = new UntoldRenames({
      replica,
      moves: this.moves,
      index: parts.index,
      onRenamed: (from, to, when) => this.renamed(from, to, when),
    });
    this.#watcher = new InotifyWatcher(reactor, this, {
      debounceMs: config.debounceMs,
      openRoot: () => parts.openRoot(producer),
      excludes: (directory) => this.#isIgnored(directory),
      onTrouble: (message) => this.#tell(`: ${message}`),
    });
  }

  /** Has it take part, if it is there, before anything is heard of it. */
  open(): void {
    const { replica } = this;
    const { index, openRoot } = this.#parts;
    try {
      const root = openRoot(replica.producer);
      if (root !== undefined) return void this.#attach(root);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#tell(` cannot be opened, trying again: ${error.message}`); // its watcher does
    }
    // What it had when it was last there still counts.
    replica.id = index.lastId(replica.name);
  }

  /** Settles when it is watched, or there is nothing to watch. */
  async watch(onProgress: (status: string) => void): Promise<void> {
    const name = display(this.replica.name);
    await this.#watcher.start((directories) =>
      onProgress(
        `watching ${directories} ${directories === 1 ? "directory" : "directories"} of ${name}`,
      )
    );
    if (this.replica.root === undefined) this.#tellAbsence("is not there: waiting for it");
  }

  /**
   * To be called last, while its root is held. Whoever deleted everything did it while the daemon watched, and the next
   * start is not to take it for a mishap, even if nobody has come to it yet.
   */
  noteIfEmptied(): void {
    const { index, onTrouble } = this.#parts;
    const { id, root } = this.replica;
    try {
      const isThere = root !== undefined && statusOf(root).links > 0;
      if (isThere && this.isComplete && this.#isEmpty(root)) index.noteLeftEmpty(id);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      onTrouble(error.message); // then it counts as a mishap
    }
  }

  /** Tells nothing any more. */
  close(): void {
    this.#watcher.close();
    this.#links.close();
  }

  /** Whether what it lacks may be taken for deleted. */
  get isComplete(): boolean {
    return this.replica.root !== undefined && !this.#foundEmpty;
  }

  /** What a look at `path` found; `isKnown`: it was not changed. */
  seen(path: RelativePath, seen: Seen, isKnown: boolean): void {
    this.#links.seen(path, seen.kind === "file" ? seen.status : undefined, isKnown);
    if (isKnown) return;
    this.#untold.seen(path, seen);
  }

  /** The daemon itself has changed `path`. */
  expect(path: RelativePath): void {
    if (this.#expected.has(path)) return;
    if (this.#expectedTally.isFull) {
      this.#expected.clear();
      this.#expectedTally.clear();
    }
    this.#expected.add(path);
    this.#expectedTally.add(path);
  }

  expects(path: RelativePath): boolean {
    return this.#expected.has(path);
  }

  soon(path: RelativePath): void {
    const { replica } = this;
    if (path === ROOT || this.#isIgnored(path) || replica.root === undefined) return;
    this.#parts.prepare(replica, path);
  }

  changed(path: RelativePath, _closed = false, used = false): void {
    const { isEcho, lookAt } = this.#parts;
    const { replica } = this;
    if (this.#expected.delete(path)) this.#expectedTally.remove(path);
    if (path === ROOT || this.#isIgnored(path) || replica.root === undefined) return;
    if (used && this.#hasLostName(path)) this.#links.changedUnnamed();
    if (isEcho(replica, path)) return;
    this.#untold.changed(path);
    lookAt(replica, path);
  }

  /**
   * Whether what was used by the name has another one, as far as is known. virtiofsd goes on by the name by which its guest
   * had looked a file up first, as long as the guest remembers the file.
   */
  #hasLostName(path: RelativePath): boolean {
    if (this.replica.glanceIfPossible(path)?.kind !== "absent") return false;
    const to = this.moves.targetOf(path);
    return to === undefined || this.replica.glanceIfPossible(to)?.kind === "absent";
  }

  /** Milliseconds since the file at `path` was changed; `undefined` if there is none. */
  ageMs(path: RelativePath): number | undefined {
    const seen = this.replica.glanceIfPossible(path);
    return seen?.kind === "file" ? ageMs(seen.status) : undefined;
  }

  mark(): number {
    return this.moves.mark();
  }

  departed(path: RelativePath, mark: number): void {
    for (const rename of this.#expectedRenames) {
      // Into a directory that the daemon has made for it, and nobody watches yet.
      if (rename.from === path) return this.#wasRenamed(rename, mark);
    }
    this.#untold.departed(path, mark);
  }

  movedOut(mark: number): void {
    this.#untold.movedOut(mark);
  }

  paired(mark: number): void {
    this.#untold.paired(mark);
  }

  found(path: RelativePath): void {
    this.#untold.found(path);
  }

  /** See `Watcher`. */
  uncovered(path: RelativePath): void {
    this.#watcher.uncovered(path);
  }

  /** Whether all that was renamed in it up to now is in `moves`, unless `mayBeMet`. To be asked again if not. */
  catchUp(): boolean {
    return this.#watcher.catchUp();
  }

  /** Whether what had `path` may have a name that is still to be found. */
  mayBeMet(path: RelativePath): boolean {
    return this.#untold.mayBeMet(
      path,
      () => this.#watcher.hasUnread || this.#parts.isBeingRead(this.replica),
    );
  }

  reread(directory: RelativePath, reason: RereadReason): void {
    const { isEcho, lookAt, read } = this.#parts;
    const { replica } = this;
    if (reason === "overflow") this.#tell(": events were lost: reading it again");
    if (directory === ROOT) {
      this.#endExpectedRenames();
      this.#untold.allEnded();
    }
    if (reason === "created") return read(replica, directory, "vanished");
    // Directories that the daemon makes are moved in as well: they are not to be in the way of a guest's files (I7).
    if (directory !== ROOT && !isEcho(replica, directory)) lookAt(replica, directory);
    read(replica, directory, "changed");
  }

  moved(from: RelativePath, to: RelativePath, when?: MoveTime): void {
    const isFollowed = !this.#isIgnored(to); // else it arrives nowhere, and nothing waits for that
    const number = isFollowed ? this.moves.moved(from, to, when) : undefined;
    if (number !== undefined) this.#wasTold(from, to, when?.left ?? number);
    // How it came to the first of these names, nobody may have told.
    this.found(to);
    // Names of the past lead nowhere now.
    if (number !== undefined && !when) this.#parts.onMoved(this.replica, from, to, number);
  }

  /** `from` has become `to`, some time ago, which was not told. */
  renamed(from: RelativePath, to: RelativePath, when?: MoveTime): void {
    if (this.#isIgnored(to)) return;
    const number = this.moves.found(from, to, when);
    this.#wasTold(from, to, when?.left ?? number);
  }

  /** If the daemon has renamed it. */
  #wasTold(from: RelativePath, to: RelativePath, left: number): void {
    for (const rename of this.#expectedRenames) {
      // Of an exchange the second half is told last.
      const [first, last] = rename.isExchange ? [rename.to, rename.from] : [rename.from, rename.to];
      if (first === from && last === to) this.#wasRenamed(rename, left);
    }
  }

  #wasRenamed(rename: EverybodysRename, until: number): void {
    this.#expectedRenames.delete(rename);
    this.followed(rename, until);
  }

  /** What is told of them is lost. */
  #endExpectedRenames(): void {
    for (const rename of this.#expectedRenames) this.#wasRenamed(rename, this.moves.mark());
  }

  /** Whether `followed` takes but a moment. `until`: see `MoveMemory`. */
  canFollow(rename: EverybodysRename, until = Infinity): boolean {
    return this.moves.canFollow(rename, until) && this.#links.canFollow(rename);
  }

  /**
   * The daemon has renamed it here. What is told until that is told happened before, under the former names, of which nothing
   * else knows any more.
   */
  expectRename(rename: EverybodysRename): void {
    if (this.#expectedRenames.size >= MOST_RENAMES) this.#endExpectedRenames();
    this.#expectedRenames.add(rename);
  }

  /** `until`: see `MoveMemory`. */
  followed(rename: EverybodysRename, until: number): void {
    this.#untold.followed(this.moves.followed(rename, until));
    this.#links.followed(rename);
  }

  covered(path: RelativePath): void {
    this.#parts.onCovered({ replica: this.replica, path });
  }

  rootLost(): void {
    this.#tellAbsence("is gone: waiting for it; nothing is deleted");
    this.#endExpectedRenames();
    this.#untold.allEnded();
    this.replica.detach();
  }

  rootFound(root: Directory): void {
    if (this.#attach(root)) this.#parts.onFound(this.replica);
  }

  /**
   * Nothing that it lacks is deleted elsewhere if it is another directory than before, or suddenly empty. Takes over the
   * descriptor. `false` if it is the one that is held already.
   */
  #attach(root: Directory): boolean {
    const { index } = this.#parts;
    const { replica } = this;
    using owned = new DisposableStack();
    owned.use(root);
    const { inode } = statusOf(root);
    const held = replica.root;
    if (held !== undefined && statusOf(held).inode === inode) return false;
    const { id, known, leftEmpty } = index.replicaId(replica.name, inode);
    const wasEmptied = known && (this.#waitsEmptied ||
      (!leftEmpty && this.#isEmpty(root) && index.knowsFilesOf(id)));
    this.#waitsEmptied = wasEmptied;
    const counted = wasEmptied ? index.forgetReplica(replica.name, inode) : id;
    if (counted === undefined) this.#refuseEmpty();
    this.#waitsEmptied = false;
    // Once nothing can fail: the next attempt would take it for what it had.
    replica.attach(root, counted);
    owned.move();
    if (wasEmptied) {
      this.#foundEmpty = true;
      this.#tell(
        " is empty, but had files before: nothing is deleted elsewhere, the files are brought back",
      );
    }
    return true;
  }

  /** Were anything brought back now, a later start would take for deleted whatever is not back by then. */
  #refuseEmpty(): never {
    if (this.#repeats.admits("empty")) {
      this.#tell(" is empty, but had files before: it waits until the index can be written");
    }
    throw new SystemError("write", ERRNO.EIO, fromText("the index"));
  }

  /**
   * Whether nothing is there that travels: `rm -r *` leaves what is hidden, such as the mark for file browsers. Of more than
   * anybody leaves like that, a guest's by the million, the first tell enough (I7).
   */
  #isEmpty(root: Directory): boolean {
    const { isIgnored, isIgnoredDirectory } = this.#parts.rules;
    let left = MOST_LEFTOVERS;
    for (const { name, kind } of root.entries()) {
      if (left-- === 0) return false;
      if (kind === "link" || kind === "other") continue;
      if (kind === "file" ? !isIgnored(name) : !isIgnoredDirectory(name)) return false;
    }
    return true;
  }

  /** Whether `path`, and what is below it, is left alone. */
  #isIgnored(path: RelativePath): boolean {
    if (path.length > LONGEST_PATH && this.#repeats.admits("long path")) {
      const begin = display(path.slice(0, SHOWN) as RelativePath);
      this.#tell(
        `/${begin}… is a path of more than ${LONGEST_PATH} bytes: what lies so deep does not travel`,
      );
    }
    return this.#parts.rules.isIgnoredDirectory(path);
  }

  /** `what`: if there is nothing at all. */
  #tellAbsence(what: string): void {
    const { producer } = this.replica;
    const obstacle = this.#parts.obstacle(producer);
    this.#tell(
      obstacle === undefined
        ? ` ${what}`
        : ` cannot be used: ${obstacle}; waiting for that, and nothing is deleted`,
    );
  }

  /** `what` follows upon the share's name. */
  #tell(what: string): void {
    this.#parts.onTrouble(display(this.replica.name) + what);
  }
}
