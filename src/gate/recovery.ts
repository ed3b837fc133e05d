/**
 * Removal and replacement by identity (I2, I3). Nothing is overwritten or unlinked where a guest can swap
 * it: the thing is taken out into the recovery directory first, looked at there, and put back if it is
 * not what was meant. What was taken out stays for a moment, since a guest may still write to it.
 *
 * Its name tells a later start what was to be taken out, and the journal where it came from.
 */

import {
  type ByteString,
  display,
  type FileName,
  join,
  nameOf,
  parentOf,
} from "../../ffi/byte_string.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import type { Directory } from "../../ffi/directory.ts";
import { isErrno, lacksDescriptors, SystemError } from "../../ffi/errno.ts";
import { closingFiles } from "../../ffi/file_descriptor.ts";
import { hasWriters } from "../../ffi/file_content.ts";
import { type FileStatus, statusOf } from "../../ffi/file_status.ts";
import { RENAME_EXCHANGE } from "../../ffi/platform.ts";
import { inProjectOf } from "../../ffi/project.ts";
import { Fifo } from "../collections/fifo.ts";
import { conflictName } from "./conflict_name.ts";
import { type JournalLine, type Origin, RecoveryJournal } from "./recovery_journal.ts";
import { nameOfTaken, type Taken, takenUnder } from "./recovery_name.ts";
import { refusal } from "./refusal.ts";
import { type FileIdentity, sameContentIdentity, sameIdentity } from "./replica_record.ts";

/**
 * How long a replaced or removed file is kept for writers that still hold it. Guests go on using what they looked up
 * for a second or so (virtiofs caches names), so it must be more than that.
 */
const LINGER_MS = 5000;
/** What a start takes for what an earlier daemon left; the rest comes later. */
const FIRST_SWEEP_MS = 50;
const MOST_LINGERING = 4096;
/** Large ones that the kernel has still to give up, above which the others linger on: each takes a descriptor. */
const MOST_CLOSING = 64;
/** What could not be put back or given up (share away, disk full, immutable) is tried again after this. */
const TRY_AGAIN_MS = 5000;
/** Of that in one go (I7): two guests can make very much of it. */
const MOST_TRIED_AT_ONCE = 500;

type TakenIdentity = FileIdentity & Pick<FileStatus, "links">;

/** What lies in recovery. */
interface Item extends Taken {
  readonly name: FileName;
  /** Nothing where the journal does not tell. */
  readonly origin: Origin | undefined;
}

interface Lingering {
  readonly item: Item;
  /** As it was when it had been taken out. */
  readonly identity: TakenIdentity;
  readonly until: number;
}

/** What could not be put back. */
interface Waiting {
  readonly item: Item;
  readonly isTold?: boolean;
}

/** What could not be given up, and is still to be if it is as it was when it had been taken out. */
interface Doomed extends Waiting {
  readonly identity: TakenIdentity;
}

/** It could not be looked at when it had been taken out: what is to become of it is still to be found out. */
interface Undecided extends Waiting {
  readonly isUndecided: true;
}

/** `changed`: what is there is not what was expected; it is as it was. */
export type Outcome = "done" | "changed";

/** `origin`: of what it is told, if that is known. */
type OnTrouble = (message: string, origin?: Origin) => void;

/** Finds the directory of a replica, for putting things back. */
export type FindReplica = (replica: ByteString) => Directory | undefined;

export class Recovery implements Disposable {
  readonly #directory: Directory;
  readonly #findReplica: FindReplica;
  readonly #onTrouble: OnTrouble;
  readonly #journal: RecoveryJournal;
  readonly #lingering = new Fifo<Lingering>();
  /** What is to be put back or given up as soon as that is possible. */
  readonly #waiting: (Waiting | Doomed | Undecided)[] = [];
  /** How many of the first of them are to be tried now. */
  #due = 0;
  #tryAgainAt = 0;
  #sequence = 0;

  constructor(
    directory: Directory,
    findReplica: FindReplica,
    onTrouble: OnTrouble,
  ) {
    this.#directory = directory;
    this.#findReplica = findReplica;
    this.#onTrouble = onTrouble;
    this.#journal = new RecoveryJournal(directory);
  }

  /**
   * At startup: discards our own clones (very many of them soon after), lets known versions linger whose removal had been
   * decided, puts everything else back beside whatever is there now, and begins a new journal, if there is room for one.
   * What belongs to a share that is not there stays.
   */
  recover(): void {
    const origins = this.#journal.read();
    for (const { name } of [...this.#directory.entries()]) {
      if (RecoveryJournal.isOwn(name)) continue;
      const taken = takenUnder(name);
      if (taken === undefined) {
        this.#keep(name);
        continue;
      }
      const item = { name, ...taken, origin: origins.get(name) };
      this.#tryToDecide({ item, isUndecided: true });
    }
    try {
      this.#journal.rewrite(this.#lines());
    } catch (error) {
      if (!isErrno(error, "ENOSPC", "EDQUOT")) throw error;
      this.#journal.resume();
    }
    // Names must not collide with what stays.
    this.#sequence = Date.now();
    try {
      this.sweep(performance.now(), false, FIRST_SWEEP_MS);
    } catch (error) {
      if (!lacksDescriptors(error)) throw error; // the next one will have them
    }
  }

  /**
   * Puts `prepared` (an unnamed, complete file) in the place of what is in `parent` at `origin`, if that is `expected`.
   * Readers see the old or the new, never nothing. `keep`: a writer's last words to the old one are waited for.
   */
  replace(
    prepared: Descriptor,
    parent: Directory,
    origin: Origin,
    expected: FileIdentity,
    keep = true,
  ): Outcome {
    const name = nameOf(origin.path);
    using old = parent.openHandle(name);
    if (old === undefined || !sameIdentity(statusOf(old), expected)) return "changed";
    const item = this.#begin(origin, { expected, clone: statusOf(prepared).inode });
    const { name: place, clone } = item;
    this.#directory.linkUnnamed(prepared, place);
    const exchange = () => this.#directory.rename(place, parent, name, RENAME_EXCHANGE);
    try {
      inProjectOf(parent, prepared, exchange);
    } catch (error) {
      this.#directory.removeFile(place);
      if (this.#tellsOfChange(error)) return "changed";
      throw error;
    }
    if (this.#tookOut(old, item, keep)) return "done";
    // Somebody was quicker: what we took out is not what we had looked at. Exchange again.
    try {
      exchange();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      // The clone is gone from there already, or the disk lets nothing happen.
    }
    try {
      if (this.#directory.status(place)?.inode === clone) this.#directory.removeFile(place);
      else this.#giveBack({ item });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#wait({ item, isUndecided: true }, cannotLookAt(error));
    }
    return "changed";
  }

  /** Removes what is in `parent` at `origin`, if it is `expected`. `keep`: a writer's last words are waited for. */
  remove(parent: Directory, origin: Origin, expected: FileIdentity, keep: boolean): Outcome {
    const name = nameOf(origin.path);
    using old = parent.openHandle(name);
    if (old === undefined || !sameIdentity(statusOf(old), expected)) return "changed";
    const item = this.#begin(origin, { expected, clone: 0 });
    try {
      parent.rename(name, this.#directory, item.name);
    } catch (error) {
      if (this.#tellsOfChange(error)) return "changed";
      throw error;
    }
    if (this.#tookOut(old, item, keep)) return "done";
    this.#giveBack({ item });
    return "changed";
  }

  /** Whether what was to be renamed is gone; not this directory, of which ENOENT would tell as well. */
  #tellsOfChange(error: unknown): boolean {
    return isErrno(error, "ENOENT") && statusOf(this.#directory).links > 0;
  }

  /** What an earlier daemon or a failing disk left: it lingers if it was to be taken out, and goes back if not. */
  #decide(item: Item, status: FileStatus): void {
    // Whose content and journal a power failure has taken is of no use to anybody.
    const isUseless = status.inode === item.clone ||
      (item.origin === undefined && status.size === 0);
    if (!isUseless && !sameContentIdentity(item.expected, status)) return this.#giveBack({ item });
    // A writer has its time, however often the daemon is started anew meanwhile.
    const until = isUseless ? 0 : performance.now() + LINGER_MS;
    this.#lingering.push({ item, identity: status, until });
  }

  /**
   * Discards what has been quiet since it was taken out, and puts back what has to; to be called now and then. `true` if
   * that took `mostMs`, and there is more.
   */
  sweep(now: number, everything = false, mostMs = Infinity): boolean {
    const end = performance.now() + mostMs;
    if (this.#due === 0 && now >= this.#tryAgainAt) this.#due = this.#waiting.length;
    this.#tryWaiting();
    for (
      let { first } = this.#lingering;
      first !== undefined;
      first = this.#lingering.first
    ) {
      const force = everything || this.#lingering.length > MOST_LINGERING;
      if (!force && (first.until > now || closingFiles() >= MOST_CLOSING)) break;
      if (performance.now() >= end) return true;
      this.#lingering.shift();
      this.#discard(first, now, force);
    }
    return this.#journal.isLong && !this.#shortenJournal(end);
  }

  /** `false` if it has to be gone on with. Without room for a new one, the long one stays for now. */
  #shortenJournal(endMs: number): boolean {
    try {
      return this.#journal.rewriteUntil(endMs, () => this.#lines());
    } catch (error) {
      if (!isErrno(error, "ENOSPC", "EDQUOT")) throw error;
      return true;
    }
  }

  /** Begins to put back what could not be: a share is there again. */
  putBackWaiting(): void {
    this.#due = this.#waiting.length;
    this.#tryWaiting();
  }

  #tryWaiting(): void {
    if (this.#due === 0) return;
    const tried = this.#waiting.splice(0, Math.min(this.#due, MOST_TRIED_AT_ONCE));
    this.#due -= tried.length;
    if (this.#due === 0) this.#tryAgainAt = performance.now() + TRY_AGAIN_MS;
    for (const waiting of tried) {
      if ("identity" in waiting) this.#tryToGiveUp(waiting);
      else if ("isUndecided" in waiting) this.#tryToDecide(waiting);
      else this.#giveBack(waiting);
    }
  }

  #tryToGiveUp(waiting: Doomed): void {
    try {
      using held = this.#directory.openHandle(waiting.item.name); // so that it is closed on the thread pool
      if (held !== undefined) this.#giveUp(waiting, statusOf(held));
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#wait(waiting);
    }
  }

  #tryToDecide(waiting: Undecided): void {
    try {
      const status = this.#directory.status(waiting.item.name);
      if (status !== undefined) this.#decide(waiting.item, status);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#wait(waiting);
    }
  }

  get lingering(): number {
    return this.#lingering.length;
  }

  /** What still lingers is decided on at the next start. */
  close(): void {
    this.#journal.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #discard(lingering: Lingering, now: number, force: boolean): void {
    const { item, identity } = lingering;
    try {
      const opened = this.#directory.openRegular(item.name);
      using file = opened?.file;
      const status = opened?.status ?? this.#directory.status(item.name);
      if (status === undefined) return;
      if (!force && file !== undefined && hasWriters(file) === true) {
        this.#lingering.push({ ...lingering, until: now + LINGER_MS });
      } else {
        this.#giveUp({ item, identity }, status);
      }
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (!lacksDescriptors(error)) return this.#wait({ item, identity }, cannotGiveUp(error));
      this.#lingering.push({ ...lingering, until: now + LINGER_MS });
      throw error;
    }
  }

  /** Removes what is, by its `status`, still as it was when it had been taken out. Somebody holds a descriptor of it. */
  #giveUp(waiting: Doomed, status: TakenIdentity): void {
    const { item, identity, ...told } = waiting;
    // Written to after it had been replaced or deleted elsewhere: a change of its own.
    if (!isAsTaken(status, identity)) return this.#giveBack({ item, ...told });
    try {
      this.#directory.removeFile(item.name);
    } catch (error) {
      // A guest that has another name of it can make it immutable.
      if (!(error instanceof SystemError)) throw error;
      this.#wait(waiting, cannotGiveUp(error));
    }
  }

  /** Whether `old` is what was meant, and is what was taken out. Then it lingers, or goes at once. */
  #tookOut(old: Descriptor, item: Item, keep: boolean): boolean {
    const { name, expected } = item;
    let identity: TakenIdentity;
    try {
      identity = statusOf(old);
      if (this.#directory.status(name)?.inode !== expected.inode) return false;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      // Whatever it is, it is not there any more: it comes back if it is something else.
      this.#wait({ item, isUndecided: true }, cannotLookAt(error));
      return true;
    }
    if (!sameContentIdentity(identity, expected)) return false;
    if (keep) this.#lingering.push({ item, identity, until: performance.now() + LINGER_MS });
    else this.#giveUp({ item, identity }, identity);
    return true;
  }

  /** Puts something back, now or when it is possible. */
  #giveBack(waiting: Waiting): void {
    const { item } = waiting;
    if (item.origin === undefined) return this.#keep(item.name);
    try {
      if (!this.#putBack(item.name, item.origin)) this.#wait(waiting);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (this.#isGone(item.name)) return; // taken out of recovery by hand
      this.#wait(waiting, `cannot be put back now (${refusal(error)})`);
    }
  }

  #isGone(name: FileName): boolean {
    try {
      return this.#directory.status(name) === undefined;
    } catch {
      return false; // as far as is known
    }
  }

  /** It is tried again. `trouble`, for which it is, is told once. */
  #wait(waiting: Waiting | Doomed | Undecided, trouble?: string): void {
    const { item: { name, origin }, isTold = false } = waiting;
    if (trouble !== undefined && !isTold) {
      const what = origin === undefined ? "what was taken out" : showOrigin(origin);
      this.#onTrouble(
        `${what} ${trouble}: it is kept as ${showPlace(name)}, and tried again`,
        origin,
      );
    }
    if (this.#waiting.length === 0) this.#tryAgainAt = performance.now() + TRY_AGAIN_MS;
    this.#waiting.push({ ...waiting, isTold: isTold || trouble !== undefined });
  }

  /** Back to where it came from, or beside what is there now. `false` if the share is not there. */
  #putBack(place: FileName, origin: Origin): boolean {
    const root = this.#findReplica(origin.replica);
    if (root === undefined) return false;
    using parent = root.openBeneath(parentOf(origin.path)) ?? root.duplicate();
    const name = nameOf(origin.path);
    const time = new Date();
    for (let attempt = -1; attempt < 100; attempt++) {
      const free = attempt < 0 ? name : conflictName(name, origin.producer, time, attempt);
      try {
        this.#directory.rename(place, parent, free);
        if (attempt >= 0) {
          this.#onTrouble(
            `${showOrigin(origin)} was changed from two sides at once: ` +
              `one version is now ${display(join(parentOf(origin.path), free))}`,
            origin,
          );
        }
        return true;
      } catch (error) {
        if (!isErrno(error, "EEXIST")) throw error;
      }
    }
    return false;
  }

  /** Before anything is taken out. */
  #begin(origin: Origin, taken: Taken): Item {
    const name = nameOfTaken(this.#sequence++, taken);
    this.#journal.append({ ...origin, name });
    return { ...taken, name, origin };
  }

  /** Nobody knows where it is to be put back. */
  #keep(name: FileName): void {
    this.#onTrouble(`${showPlace(name)} is of unknown origin: kept there, have a look at it`);
  }

  /** With what is still of use only. */
  #lines(): JournalLine[] {
    const items = [...this.#waiting, ...this.#lingering].map(({ item }) => item);
    return items.flatMap(({ name, origin }) => origin === undefined ? [] : [{ ...origin, name }]);
  }
}

function showPlace(name: FileName): string {
  return `recovery/${display(name)}`;
}

function showOrigin({ replica, path }: Origin): string {
  return `${display(replica)}/${display(path)}`;
}

/** What happens to one name of a file is a change of all its names: then the time of change tells nothing of content. */
function isAsTaken(status: TakenIdentity, taken: TakenIdentity): boolean {
  const hadNames = status.links > 1 || taken.links > 1;
  return hadNames ? sameContentIdentity(status, taken) : sameIdentity(status, taken);
}

function cannotLookAt({ message }: SystemError): string {
  return `cannot be looked at now (${message})`;
}

function cannotGiveUp({ message }: SystemError): string {
  return `cannot be given up now (${message})`;
}
