/**
 * Confined access to a tree that somebody else controls.
 *
 * A `Directory` holds a descriptor. Its methods take ONE name, so no symbolic link, `..`, mount point
 * or magic link can lead anywhere else (I2); `openBeneath` walks several components with openat2(2)
 * and RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS and RESOLVE_NO_XDEV.
 */

import { type ByteString, type FileName, type RelativePath, writeBytes } from "./byte_string.ts";
import { Descriptor, keptIf } from "./descriptor.ts";
import { type DirectoryEntry, mayBeDirectory, parseDirents } from "./dirent.ts";
import { check, ERRNO, SystemError } from "./errno.ts";
import { FileDescriptor } from "./file_descriptor.ts";
import {
  type FileStatus,
  lastMount,
  lastStatus,
  mountAt,
  mountOf,
  statusOf,
  statxAt,
} from "./file_status.ts";
import { errno, libc } from "./libc.ts";
import { readLastStatus } from "./status_words.ts";
import {
  AT,
  O,
  OPEN_HOW_SIZE,
  RENAME_NOREPLACE,
  RESOLVE_CONFINED,
  SYS_OPENAT2,
} from "./platform.ts";

const PATH_MAX = 4096;
const F_DUPFD_CLOEXEC = 1030;
/** To hold a directory and go on from there. */
const O_WALK = O.PATH | O.DIRECTORY | O.NOFOLLOW | O.CLOEXEC;

const scratch = new Uint8Array(PATH_MAX);
const secondScratch = new Uint8Array(PATH_MAX);

/** `text` with a terminating NUL in a buffer that the next call overwrites: for synchronous calls. */
function z(text: ByteString, target = scratch): Uint8Array<ArrayBuffer> {
  target[writeBytes(text, target)] = 0;
  return target;
}

const howBuffer = new Uint8Array(OPEN_HOW_SIZE);
const howView = new DataView(howBuffer.buffer);
howView.setBigUint64(16, BigInt(RESOLVE_CONFINED), true);

const LISTING_SIZE = 32 * 1024;

/** Serves all listings that are not nested: a new one for each directory costs more than reading it. */
let spareListing: Uint8Array<ArrayBuffer> | undefined;

/** Where AT_EMPTY_PATH needs a capability that we have not, unnamed files are named by way of /proc. */
let emptyPathWorks = true;
/** Where openat2 is not to be had (a seccomp filter, RestrictSUIDSGID=), components are walked singly. */
let openat2Works = true;

/** Errors that mean: by this path there is no such thing of ours (any more). */
const NOT_THERE: ReadonlySet<number> = new Set([
  ERRNO.ENOENT,
  ERRNO.ENOTDIR,
  ERRNO.ELOOP,
  ERRNO.EXDEV,
  ERRNO.ENAMETOOLONG,
]);

/** A regular file opened for reading and what it was when it was opened. */
export interface OpenedFile {
  readonly file: FileDescriptor;
  readonly status: FileStatus;
}

export class Directory extends Descriptor {
  /** Found out when it is asked for; what is opened beneath has the same. */
  #mountId: number | undefined;

  /**
   * Opens a directory by a path of the host's own (configuration). Links in it are followed: it must
   * not lie in a guest's reach.
   */
  static openTrusted(path: ByteString): Directory {
    if (path.length >= PATH_MAX) throw new SystemError("open", ERRNO.ENAMETOOLONG, path);
    if (path.includes("\0")) throw new SystemError("open", ERRNO.EINVAL, path); // C would cut it off there
    const flags = O.PATH | O.DIRECTORY | O.CLOEXEC;
    return new Directory(check(libc.openat(AT.FDCWD, z(path), flags, 0), "open", path));
  }

  /**
   * The directory at `path` below this one, reached without a link or a mount point in between.
   * `undefined` if there is no such directory. Any depth: long paths are walked in pieces. `onMount` is called if there is
   * none because something is mounted at one of its components.
   */
  openBeneath(path: RelativePath, onMount?: () => void): Directory | undefined {
    let current: Directory | undefined;
    let rest: RelativePath = path;
    do {
      const piece = firstPiece(rest);
      rest = rest.slice(piece.length + 1) as RelativePath;
      const base: Directory = current ?? this;
      let next: Directory | undefined;
      try {
        next = base.#openDirectoryPiece(piece, onMount);
      } finally {
        if (base !== this) base.close();
      }
      if (next === undefined) return undefined;
      current = next;
    } while (rest !== "");
    return current;
  }

  #openDirectoryPiece(path: RelativePath, onMount?: () => void): Directory | undefined {
    if (path === "") {
      return new Directory(check(libc.openat(this.fd, z(DOT), O_WALK, 0), "open"));
    }
    if (openat2Works) {
      howView.setBigUint64(0, BigInt(O_WALK), true);
      const size = BigInt(OPEN_HOW_SIZE);
      const opened = libc.openat2(SYS_OPENAT2, BigInt(this.fd), z(path), howBuffer, size);
      if (opened >= 0) return this.#onSameMount(opened);
      const number = errno();
      if (number === ERRNO.EXDEV) onMount?.();
      if (NOT_THERE.has(number)) return undefined;
      if (number === ERRNO.ENOSYS || number === ERRNO.EPERM) openat2Works = false;
      // EAGAIN: a rename or a mount somewhere came in between. Singly, nothing can.
      else if (number !== ERRNO.EAGAIN) throw new SystemError("openat2", number, path);
    }
    return this.#walk(path, onMount);
  }

  /** The same without openat2: component by component, each checked to be on the same mount. */
  #walk(path: RelativePath, onMount?: () => void): Directory | undefined {
    const { mountId } = this;
    let current: Directory | undefined;
    for (const name of path.split("/") as FileName[]) {
      const base: Directory = current ?? this;
      const opened = libc.openat(base.fd, z(name), O_WALK, 0);
      const number = opened < 0 ? errno() : 0;
      if (base !== this) base.close();
      if (NOT_THERE.has(number)) return undefined;
      if (number !== 0) throw new SystemError("openat", number, path);
      current = ifOnMount(new Directory(opened), mountId);
      if (current === undefined) {
        onMount?.();
        return undefined;
      }
    }
    return current;
  }

  #onSameMount(opened: number): Directory {
    const directory = new Directory(opened);
    directory.#mountId = this.#mountId;
    return directory;
  }

  /** The mount that it lies on (statx(2), stx_mnt_id). */
  get mountId(): number {
    return this.#mountId ??= mountOf(this);
  }

  /** Whether there is anything of that name. What may be mounted there is not asked for anything. */
  has(name: FileName): boolean {
    return succeeded(mountAt(this.fd, z(name)), ERRNO.ENOENT, "statx", name);
  }

  /** Whether something is mounted at `name`. */
  isMountPoint(name: FileName): boolean {
    const { mountId } = this;
    return this.has(name) && lastMount() !== mountId;
  }

  /** What `name` is, links not followed; `undefined` if it does not exist. */
  status(name: FileName): FileStatus | undefined {
    return this.#statx(name) ? lastStatus() : undefined;
  }

  /** The same as words (`status_words.ts`); `false` if it does not exist. */
  statusWords(name: FileName, words: Uint32Array): boolean {
    if (!this.#statx(name)) return false;
    readLastStatus(words);
    return true;
  }

  #statx(name: FileName): boolean {
    return succeeded(statxAt(this.fd, z(name)), ERRNO.ENOENT, "statx", name);
  }

  /**
   * Opens `name` for reading if it is a regular file on this directory's mount. The type is decided on an
   * O_PATH descriptor first: opening a device or a FIFO would have effects.
   */
  openRegular(name: FileName): OpenedFile | undefined {
    using handle = this.openHandle(name);
    if (handle === undefined) return undefined;
    if (mountOf(handle) !== this.mountId) {
      handle.blocks = 0; // another file system's, which is not asked
      return undefined;
    }
    const status = statusOf(handle);
    handle.blocks = status.blocks;
    if (status.kind !== "file") return undefined;
    const flags = O.RDONLY | O.NONBLOCK | O.NOCTTY | O.CLOEXEC;
    return { file: reopen(handle, flags), status };
  }

  /**
   * The directory `name` opened for reading, so that its attributes can be set; undefined if there is none on
   * this directory's mount.
   */
  openSubdirectory(name: FileName): Directory | undefined {
    const { mountId } = this;
    const opened = this.#open(name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW | O.CLOEXEC);
    if (opened === undefined) return undefined;
    return ifOnMount(new Directory(opened), mountId);
  }

  /** An O_PATH descriptor of whatever `name` is (a link itself, not its target); undefined if nothing. */
  openHandle(name: FileName): FileDescriptor | undefined {
    const opened = this.#open(name, O.PATH | O.NOFOLLOW | O.CLOEXEC);
    return opened === undefined ? undefined : new FileDescriptor(opened);
  }

  #open(name: FileName, flags: number): number | undefined {
    const opened = libc.openat(this.fd, z(name), flags, 0);
    if (opened >= 0) return opened;
    const number = errno();
    if (NOT_THERE.has(number)) return undefined;
    throw new SystemError("openat", number, name);
  }

  /** A file without a name on this directory's filesystem, readable and writable (O_TMPFILE), mode 0600. */
  createUnnamed(): FileDescriptor {
    const flags = O.TMPFILE | O.RDWR | O.CLOEXEC;
    const opened = check(libc.openat(this.fd, z(DOT), flags, 0o600), "open(O_TMPFILE)");
    return new FileDescriptor(opened);
  }

  /** A new file, readable and writable; EEXIST if the name is taken. */
  createFile(name: FileName, mode: number): Descriptor {
    const flags = O.RDWR | O.CREAT | O.EXCL | O.NOFOLLOW | O.CLOEXEC;
    return new Descriptor(check(libc.openat(this.fd, z(name), flags, mode), "open", name));
  }

  /** The file `name`, readable and writable, made if it is missing. For the daemon's own directories. */
  openOrCreateFile(name: FileName, mode: number): Descriptor {
    const flags = O.RDWR | O.CREAT | O.NOFOLLOW | O.CLOEXEC;
    return new Descriptor(check(libc.openat(this.fd, z(name), flags, mode), "open", name));
  }

  /** Gives an unnamed file a name here; EEXIST if the name is taken (nothing is replaced). */
  linkUnnamed(file: Descriptor, name: FileName): void {
    if (emptyPathWorks) {
      const from = z(NOTHING, secondScratch);
      if (libc.linkat(file.fd, from, this.fd, z(name), AT.EMPTY_PATH) === 0) return;
      const number = errno();
      // Before Linux 6.10 it needs CAP_DAC_READ_SEARCH; but the directory can be gone as well.
      if (number !== ERRNO.ENOENT) throw new SystemError("linkat", number, name);
    }
    const from = z(`/proc/self/fd/${file.fd}` as ByteString, secondScratch);
    check(libc.linkat(AT.FDCWD, from, this.fd, z(name), AT.SYMLINK_FOLLOW), "linkat", name);
    emptyPathWorks = false;
  }

  /** `false` if the name is taken. */
  makeDirectory(name: FileName, mode: number): boolean {
    return succeeded(libc.mkdirat(this.fd, z(name), mode), ERRNO.EEXIST, "mkdir", name);
  }

  /** The name must be free. */
  makeSymbolicLink(name: FileName, target: ByteString): void {
    check(libc.symlinkat(z(target, secondScratch), this.fd, z(name)), "symlink", name);
  }

  /** Removes a name that is not a directory; `false` if there was none. */
  removeFile(name: FileName): boolean {
    return succeeded(libc.unlinkat(this.fd, z(name), 0), ERRNO.ENOENT, "unlink", name);
  }

  /** Removes an EMPTY directory; `false` if there was none. ENOTEMPTY is thrown. */
  removeDirectory(name: FileName): boolean {
    return succeeded(libc.unlinkat(this.fd, z(name), AT.REMOVEDIR), ERRNO.ENOENT, "rmdir", name);
  }

  /** renameat2(2); `flags` RENAME_NOREPLACE, RENAME_EXCHANGE or RENAME_REPLACE. */
  rename(name: FileName, target: Directory, targetName: FileName, flags = RENAME_NOREPLACE): void {
    const result = libc.renameat2(
      this.fd,
      z(name),
      target.fd,
      z(targetName, secondScratch),
      flags,
    );
    check(result, "renameat2", name);
  }

  /** A copy of the descriptor with an owner of its own. */
  duplicate(): Directory {
    return new Directory(check(libc.fcntl(this.fd, F_DUPFD_CLOEXEC, 0n), "fcntl"));
  }

  /**
   * The entries but `.` and `..`, in the filesystem's order, read as they are asked for. An entry that is created
   * or removed meanwhile may be missing or be told twice (readdir(3)).
   */
  *entries(): Generator<DirectoryEntry> {
    for (const { buffer, length } of this.#listing()) yield* parseDirents(buffer, length);
  }

  /**
   * The names of entries that are directories, or may be; in pieces, of which some are empty, so that whoever goes through
   * a large directory can rest in between.
   */
  *subdirectories(): Generator<readonly FileName[]> {
    for (const { buffer, length } of this.#listing()) {
      yield Array.from(parseDirents(buffer, length, mayBeDirectory), ({ name }) => name);
    }
  }

  /**
   * What getdents64(2) tells, piece by piece. By a descriptor of its own: btrfs lists what was there when it was opened, and a
   * directory is held before it is watched.
   */
  *#listing(): Generator<{ readonly buffer: Uint8Array; readonly length: number }> {
    const flags = O.RDONLY | O.DIRECTORY | O.CLOEXEC;
    using listing = new Descriptor(check(libc.openat(this.fd, z(DOT), flags, 0), "open"));
    const buffer = spareListing ?? new Uint8Array(LISTING_SIZE);
    spareListing = undefined; // for as long as somebody reads it
    try {
      for (;;) {
        const length = libc.getdents64(listing.fd, buffer, BigInt(buffer.length));
        if (length < 0) {
          const number = errno();
          // The directory was removed while we read it: it has no entries.
          if (number === ERRNO.ENOENT) return;
          throw new SystemError("getdents64", number);
        }
        if (length === 0) return;
        yield { buffer, length };
      }
    } finally {
      spareListing = buffer;
    }
  }
}

/** Opens again what a descriptor holds, with other flags, whatever its name has become. */
export function reopen(handle: Descriptor, flags: number): FileDescriptor {
  const path = `/proc/self/fd/${handle.fd}` as ByteString;
  return new FileDescriptor(check(libc.openat(AT.FDCWD, z(path), flags, 0), "open"));
}

const DOT = "." as ByteString;
const NOTHING = "" as ByteString;

function ifOnMount(directory: Directory, mountId: number): Directory | undefined {
  return keptIf(directory, (opened) => mountOf(opened) === mountId);
}

/** `false` if a call failed with `expected`; to be called with nothing between the system call and it. */
function succeeded(result: number, expected: number, call: string, name: FileName): boolean {
  if (result === 0) return true;
  const number = errno();
  if (number === expected) return false;
  throw new SystemError(call, number, name);
}

/** As many whole components as one system call takes. */
function firstPiece(path: RelativePath): RelativePath {
  if (path.length < PATH_MAX) return path;
  return path.slice(0, path.lastIndexOf("/", PATH_MAX - 1)) as RelativePath;
}
