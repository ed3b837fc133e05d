/** inotify(7): one queue of events, watches on directories that are held by descriptor. */

import { type ByteString, fromBytes, writeBytes } from "./byte_string.ts";
import { Descriptor } from "./descriptor.ts";
import { check, ERRNO, errnoName, SystemError } from "./errno.ts";
import { errno, libc } from "./libc.ts";
import { O } from "./platform.ts";

/** Event bits of linux/inotify.h. */
export const IN = {
  MODIFY: 0x2,
  ATTRIB: 0x4,
  CLOSE_WRITE: 0x8,
  MOVED_FROM: 0x40,
  MOVED_TO: 0x80,
  CREATE: 0x100,
  DELETE: 0x200,
  DELETE_SELF: 0x400,
  MOVE_SELF: 0x800,
  UNMOUNT: 0x2000,
  Q_OVERFLOW: 0x4000,
  IGNORED: 0x8000,
  ONLYDIR: 0x1000000,
  DONT_FOLLOW: 0x2000000,
  EXCL_UNLINK: 0x4000000,
  MASK_ADD: 0x20000000,
  ISDIR: 0x40000000,
} as const;

/** One event as the kernel tells it; `name` is empty for events of the watched directory itself. */
export interface InotifyEvent {
  readonly watch: number;
  readonly mask: number;
  readonly cookie: number;
  readonly name: ByteString;
}

const HEADER = 16;
/** About 2,000 events: what is read at once is also handled before others get their turn. */
const BUFFER = 64 * 1024;
/** The longest name, with its NUL. */
const LARGEST_EVENT = HEADER + 256;

/** Used anew by each call: 100,000 watches are set in a row. */
const pathZ = new Uint8Array(32);

/** Why a watch could not be set. */
export type WatchFailure = "limit" | "gone";

export class Inotify extends Descriptor {
  readonly #buffer = new Uint8Array(BUFFER);
  #mayHaveMore = true;

  constructor() {
    super(check(libc.inotify_init1(O.CLOEXEC | O.NONBLOCK), "inotify_init1"));
  }

  /**
   * Watches exactly the directory that `directory` holds, wherever it has been moved to. The same
   * directory watched again has the same number, and is watched for `mask` as well.
   */
  addWatch(directory: { readonly fd: number }, mask: number): number | WatchFailure {
    pathZ[writeBytes(`/proc/self/fd/${directory.fd}` as ByteString, pathZ)] = 0;
    // Otherwise the kernel clears the mask of a watch that is there before it sets it again, and what happens in
    // between is told to nobody.
    const watch = libc.inotify_add_watch(this.fd, pathZ, mask | IN.MASK_ADD);
    if (watch >= 0) return watch;
    const number = errno();
    switch (errnoName(number)) {
      case "ENOSPC":
      case "ENOMEM":
        return "limit";
      case "ENOENT":
      case "ENOTDIR":
        return "gone";
      default:
        throw new SystemError("inotify_add_watch", number);
    }
  }

  removeWatch(watch: number): void {
    libc.inotify_rm_watch(this.fd, watch); // EINVAL: the directory is gone, and the watch with it
  }

  /** Whether the last `read` left something behind, for want of room. */
  get mayHaveMore(): boolean {
    return this.#mayHaveMore;
  }

  /** The events that wait, at most one buffer of them; empty if there are none. */
  read(): InotifyEvent[] {
    const length = libc.read(this.fd, this.#buffer, BigInt(this.#buffer.length));
    this.#mayHaveMore = length > BUFFER - LARGEST_EVENT;
    if (length < 0) {
      const number = errno();
      if (number === ERRNO.EAGAIN || number === ERRNO.EINTR) return [];
      throw new SystemError("read(inotify)", number);
    }
    return parseEvents(this.#buffer, length);
  }
}

/** Reads `struct inotify_event` records; public for tests of the layout. */
export function parseEvents(buffer: Uint8Array<ArrayBuffer>, length: number): InotifyEvent[] {
  const view = new DataView(buffer.buffer, buffer.byteOffset, length);
  const events: InotifyEvent[] = [];
  for (let at = 0; at + HEADER <= length;) {
    const nameLength = view.getUint32(at + 12, true);
    const end = at + HEADER + nameLength;
    let nameEnd = at + HEADER;
    while (nameEnd < end && buffer[nameEnd] !== 0) nameEnd++;
    events.push({
      watch: view.getInt32(at, true),
      mask: view.getUint32(at + 4, true),
      cookie: view.getUint32(at + 8, true),
      name: fromBytes(buffer, at + HEADER, nameEnd),
    });
    at = end;
  }
  return events;
}
