/**
 * What differs between the two supported architectures, and kernel constants that do not.
 * Sources: the kernel's uapi headers (asm/fcntl.h, linux/fcntl.h, linux/openat2.h, linux/stat.h,
 * linux/fs.h, linux/inotify.h, linux/eventpoll.h, asm/unistd.h).
 */

type Architecture = "x86_64" | "aarch64";

function architecture(): Architecture {
  const arch = Deno.build.arch;
  if (arch === "x86_64" || arch === "aarch64") return arch;
  throw new Error(`unsupported processor architecture ${arch}: x86_64 and aarch64 are known`);
}

const arch = architecture();
const onArm = arch === "aarch64";

/** Absolute paths under which distributions install glibc; the first permitted one that opens is used. */
export const LIBC_CANDIDATES: readonly string[] = onArm
  ? ["/lib/aarch64-linux-gnu/libc.so.6", "/usr/lib/aarch64-linux-gnu/libc.so.6", "/lib64/libc.so.6"]
  : ["/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6"];

/** Flags of open(2). */
export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  NOATIME: 0o1000000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
  DIRECTORY: onArm ? 0o40000 : 0o200000,
  NOFOLLOW: onArm ? 0o100000 : 0o400000,
  TMPFILE: 0o20000000 | (onArm ? 0o40000 : 0o200000),
} as const;

export const AT = {
  FDCWD: -100,
  SYMLINK_NOFOLLOW: 0x100,
  REMOVEDIR: 0x200,
  SYMLINK_FOLLOW: 0x400,
  NO_AUTOMOUNT: 0x800,
  EMPTY_PATH: 0x1000,
  STATX_DONT_SYNC: 0x4000,
} as const;

/** openat2(2): `struct open_how` is three u64: flags, mode, resolve. */
export const RESOLVE_CONFINED = 0x01 | 0x02 | 0x04 | 0x08; // NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, BENEATH
export const OPEN_HOW_SIZE = 24;

/** System calls without a glibc wrapper; the same number on both architectures. */
export const SYS_OPENAT2 = 437n;

export const RENAME_REPLACE = 0;
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

export const FICLONE = 0x40049409n;
export const BTRFS_IOC_START_SYNC = 0x80089418n;
export const BTRFS_IOC_WAIT_SYNC = 0x40089416n;
export const FS_IOC_FSGETXATTR = 0x801c581fn;
export const FS_IOC_FSSETXATTR = 0x401c5820n;

/** `struct epoll_event` is packed on x86-64 only. */
export const EPOLL_EVENT_SIZE = onArm ? 16 : 12;
export const EPOLL_DATA_OFFSET = onArm ? 8 : 4;

export const STATX_SIZE = 256;
export const STATX_BASIC_AND_MOUNT = 0x7ff | 0x1000; // STATX_BASIC_STATS, STATX_MNT_ID

/** The type bits of a mode (inode(7)). */
export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;

/** In bytes: sizeof(sockaddr_un.sun_path), less its NUL (unix(7)). */
export const LONGEST_SOCKET_PATH = 107;
