/**
 * The C library, opened once. Each symbol stands with the C types of its parameters; a name that
 * ends in `Blocking` is the same function on Deno's thread pool (its result is a promise). Results that
 * fit are "i32" also where C says long: a bigint would be allocated before errno can be read.
 *
 * A scoped grant (`--allow-ffi=/absolute/libc.so.6`) is enough: pointers never pass through
 * `Deno.UnsafePointer`, which such a grant denies; `memcpy` does what is needed of it.
 */

import { maybeWrapped } from "./fault_hook.ts";
import { LIBC_CANDIDATES } from "./platform.ts";

const SYMBOLS = {
  // Memory and errno
  addressOf: { name: "memcpy", parameters: ["buffer", "buffer", "usize"], result: "usize" },
  memcmp: { parameters: ["buffer", "buffer", "usize"], result: "i32" },
  malloc_trim: { parameters: ["usize"], result: "i32" },
  copyFromAddress: { name: "memcpy", parameters: ["buffer", "usize", "usize"], result: "void" },
  __errno_location: { parameters: [], result: "usize" },

  // clockid_t, struct timespec *
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },

  // This process
  geteuid: { parameters: [], result: "u32" },
  // path, char *const argv[], char *const envp[]
  execve: { parameters: ["buffer", "buffer", "buffer"], result: "i32" },
  // int, sighandler_t
  signal: { parameters: ["i32", "usize"], result: "usize" },
  // int how, const sigset_t *, sigset_t *
  pthread_sigmask: { parameters: ["i32", "buffer", "buffer"], result: "i32" },

  // Descriptors
  close: { parameters: ["i32"], result: "i32" },
  closeBlocking: { name: "close", parameters: ["i32"], result: "i32", nonblocking: true },
  // The third argument is variadic: int, or a pointer in the second form.
  fcntl: { parameters: ["i32", "i32", "i64"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "i32" },
  preadBlocking: {
    name: "pread",
    parameters: ["i32", "buffer", "usize", "i64"],
    result: "i32",
    nonblocking: true,
  },
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "i32" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  fdatasyncBlocking: { name: "fdatasync", parameters: ["i32"], result: "i32", nonblocking: true },

  // Names (dirfd, name, …)
  openat: { parameters: ["i32", "buffer", "i32", "u32"], result: "i32" },
  // openat2: number, dirfd, path, struct open_how *, size
  openat2: {
    name: "syscall",
    parameters: ["i64", "i64", "buffer", "buffer", "usize"],
    result: "i32",
  },
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  mkdirat: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  unlinkat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  linkat: { parameters: ["i32", "buffer", "i32", "buffer", "i32"], result: "i32" },
  // target, dirfd, name
  symlinkat: { parameters: ["buffer", "i32", "buffer"], result: "i32" },
  renameat2: { parameters: ["i32", "buffer", "i32", "buffer", "u32"], result: "i32" },
  readlinkat: { parameters: ["i32", "buffer", "buffer", "usize"], result: "i32" },
  getdents64: { parameters: ["i32", "buffer", "usize"], result: "i32" },

  // Content and attributes
  // FICLONE takes the source descriptor by value as the variadic argument.
  ioctl: { parameters: ["i32", "u64", "i64"], result: "i32" },
  ioctlBlocking: {
    name: "ioctl",
    parameters: ["i32", "u64", "i64"],
    result: "i32",
    nonblocking: true,
  },
  // out, in, off_t *, count; the offset is left to the descriptor (null)
  sendfile: { parameters: ["i32", "i32", "buffer", "usize"], result: "i32" },
  sendfileBlocking: {
    name: "sendfile",
    parameters: ["i32", "i32", "buffer", "usize"],
    result: "i64",
    nonblocking: true,
  },
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  copyFileRangeBlocking: {
    name: "copy_file_range",
    parameters: ["i32", "buffer", "i32", "buffer", "usize", "u32"],
    result: "i64",
    nonblocking: true,
  },
  fchown: { parameters: ["i32", "u32", "u32"], result: "i32" },
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  futimens: { parameters: ["i32", "buffer"], result: "i32" },
  // fd, name, value, size
  fgetxattr: { parameters: ["i32", "buffer", "buffer", "usize"], result: "i32" },
  fremovexattr: { parameters: ["i32", "buffer"], result: "i32" },
  fstatfs: { parameters: ["i32", "buffer"], result: "i32" },

  // inotify, epoll, eventfd
  inotify_init1: { parameters: ["i32"], result: "i32" },
  inotify_add_watch: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  inotify_rm_watch: { parameters: ["i32", "i32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  epoll_waitBlocking: {
    name: "epoll_wait",
    parameters: ["i32", "buffer", "i32", "i32"],
    result: "i32",
    nonblocking: true,
  },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  // clockid_t, int flags
  timerfd_create: { parameters: ["i32", "i32"], result: "i32" },
  // fd, int flags, const struct itimerspec *, struct itimerspec *
  timerfd_settime: { parameters: ["i32", "i32", "buffer", "buffer"], result: "i32" },

  // Sockets
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  accept4: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "i32" },
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  umask: { parameters: ["u32"], result: "u32" },
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

function openLibc(): Libc {
  const failures: string[] = [];
  for (const path of LIBC_CANDIDATES) {
    try {
      return Deno.dlopen(path, SYMBOLS).symbols;
    } catch (error) {
      failures.push(`${path}: ${error instanceof Error ? error.message : error}`);
    }
  }
  throw new Error(
    `cannot open the C library. Grant --allow-ffi for its absolute path. ${failures.join("; ")}`,
  );
}

/** The C library's functions. Use them in `ffi/` only. */
export const libc: Libc = maybeWrapped(openLibc());

const NOTHING = new Uint8Array(0);

/**
 * The address of a buffer's bytes, for structures that hold pointers (struct iovec, struct msghdr).
 * The caller keeps a reference to the buffer for as long as the kernel may use it.
 */
export function addressOf(buffer: Uint8Array<ArrayBuffer>): bigint {
  return BigInt(libc.addressOf(buffer, NOTHING, 0n));
}

const errnoAddress = BigInt(libc.__errno_location());
const errnoBytes = new Int32Array(1);

/**
 * errno of the call before. Right only in the very next statement after a synchronous call: Deno's own
 * work (garbage collection, another call) overwrites it.
 */
export function errno(): number {
  libc.copyFromAddress(errnoBytes, errnoAddress, 4n);
  return errnoBytes[0] ?? 0;
}
