import { type ByteString, display } from "./byte_string.ts";
import { errno } from "./libc.ts";

/** errno(3) numbers that the code decides by, or that users will meet; the same on both architectures. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  EPROTO: 71,
  EOVERFLOW: 75,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EINPROGRESS: 115,
  ESTALE: 116,
  EDQUOT: 122,
} as const;

export type ErrnoName = keyof typeof ERRNO;

const NAMES = new Map<number, string>(Object.entries(ERRNO).map(([name, value]) => [value, name]));

const MEANINGS: Partial<Record<ErrnoName, string>> = {
  EPERM: "operation not permitted",
  ENOENT: "no such file or directory",
  EIO: "input/output error",
  EACCES: "permission denied",
  EBUSY: "busy",
  EEXIST: "exists already",
  EXDEV: "on another filesystem or mount",
  ENOTDIR: "not a directory",
  EISDIR: "is a directory",
  EINVAL: "invalid argument",
  ENFILE: "too many open files on this machine",
  EMFILE: "too many open files (raise LimitNOFILE)",
  EFBIG: "larger than a file may be (raise LimitFSIZE)",
  ENOSPC: "no space left",
  EROFS: "read-only file system",
  ENOTEMPTY: "directory not empty",
  ELOOP: "a symbolic link, which is never followed",
  EOPNOTSUPP: "not supported here",
  EADDRINUSE: "address in use",
  ECONNREFUSED: "nobody listens there",
  ETIMEDOUT: "timed out",
  EDQUOT: "quota exceeded",
};

/** What they mean for these calls. */
const SPECIAL_MEANINGS: Readonly<Record<string, string>> = {
  "read EFBIG": "larger than it ever should be",
  "copy EFBIG": "larger than can be counted here",
  "inotify_add_watch ENOSPC": "the limit fs.inotify.max_user_watches is reached",
  "inotify_init1 EMFILE":
    "too many open files (raise LimitNOFILE), or inotify instances of this user (raise the sysctl fs.inotify.max_user_instances)",
};

/** The errno's symbolic name (`ENOENT`), or `errno N`. */
export function errnoName(number: number): string {
  return NAMES.get(number) ?? `errno ${number}`;
}

/** A system call that failed. The message names the call and, escaped, what it was about. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  readonly code: string;
  /** The message without what it was about. */
  readonly reason: string;
  constructor(readonly call: string, readonly errno: number, readonly subject?: ByteString) {
    const code = errnoName(errno);
    const meaning = SPECIAL_MEANINGS[`${call} ${code}`] ?? MEANINGS[code as ErrnoName];
    const outcome = meaning === undefined ? code : `${code} (${meaning})`;
    super(`${call}${subject === undefined ? "" : ` ${display(subject)}`}: ${outcome}`);
    this.code = code;
    this.reason = `${call}: ${outcome}`;
  }

  is(...names: ErrnoName[]): boolean {
    return names.some((name) => ERRNO[name] === this.errno);
  }
}

/** Whether `error` is a SystemError with one of the names. */
export function isErrno(error: unknown, ...names: ErrnoName[]): error is SystemError {
  return error instanceof SystemError && error.is(...names);
}

/** Whether a system call failed for want of descriptors, the process's or the machine's: no fault of what it was about. */
export function lacksDescriptors(error: unknown): error is SystemError {
  return isErrno(error, "EMFILE", "ENFILE");
}

/** Throws for a result of -1; to be called with nothing between the system call and it. */
export function check(result: number, call: string, subject?: ByteString): number {
  if (result >= 0) return result;
  throw new SystemError(call, errno(), subject);
}

/** What cannot be done is done at another time, or is not worth more. */
export function ignoringRefusal<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return undefined;
  }
}

/** What an error says; also of something that was thrown and is none. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
