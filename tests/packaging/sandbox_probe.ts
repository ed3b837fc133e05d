/**
 * Tries what a daemon that was taken over would try, and prints what came of it: a JSON object with
 * "allowed", or the error's name, for each attempt. Run inside a unit's sandbox, with all of Deno's
 * permissions: what is denied here is denied by systemd and the kernel alone.
 *
 * Argument: a directory that the unit may write to, or "-".
 */

import { fromText, toBytes } from "../../ffi/byte_string.ts";
import { errnoName } from "../../ffi/errno.ts";
import { NESTED_MARK } from "../support/nested_systemd.ts";

const [writable = "-"] = Deno.args;

const libc = Deno.dlopen("libc.so.6", {
  __errno_location: { parameters: [], result: "pointer" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  ptrace: { parameters: ["i64", "i64", "usize", "usize"], result: "i64" },
  unshare: { parameters: ["i32"], result: "i32" },
  mount: { parameters: ["buffer", "buffer", "buffer", "u64", "usize"], result: "i32" },
  chroot: { parameters: ["buffer"], result: "i32" },
  setuid: { parameters: ["u32"], result: "i32" },
  kill: { parameters: ["i32", "i32"], result: "i32" },
  personality: { parameters: ["u64"], result: "i32" },
  sched_setscheduler: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  sethostname: { parameters: ["buffer", "usize"], result: "i32" },
  clock_settime: { parameters: ["i32", "buffer"], result: "i32" },
  mknod: { parameters: ["buffer", "u32", "u64"], result: "i32" },
  chmod: { parameters: ["buffer", "u32"], result: "i32" },
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "i64" },
  chown: { parameters: ["buffer", "u32", "u32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "i64" },
  process_vm_readv: {
    parameters: ["i32", "buffer", "u64", "buffer", "u64", "u64"],
    result: "i64",
  },
}).symbols;

const O_WRONLY_CREAT = 0o101;
const MIB = 2n ** 20n;

/** What a call that returns -1 on failure came to. */
function outcome(result: number | bigint): string {
  if (Number(result) !== -1) return "allowed";
  const location = libc.__errno_location();
  if (location === null) return "unknown";
  return errnoName(new Deno.UnsafePointerView(location).getInt32());
}

const path = (text: string) => toBytes(fromText(`${text}\0`));
const open = (name: string, flags: number) => outcome(libc.open(path(name), flags, 0o644));
/** What is hidden may be an empty file in its place. */
function content(name: string): string {
  const fd = libc.open(path(name), 0, 0);
  if (fd < 0) return outcome(fd);
  const count = libc.read(fd, new Uint8Array(1), 1n);
  return Number(count) === 0 ? "empty" : outcome(count);
}

/** Reads a byte of systemd's memory: struct iovec is an address and a length. */
function readMemory(): string {
  const target = new Uint8Array(1);
  const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(target));
  const [local, remote] = [new BigUint64Array([address, 1n]), new BigUint64Array([4096n, 1n])];
  return outcome(libc.process_vm_readv(1, local, 1n, remote, 1n, 0n));
}

const create = (name: string) => open(name, O_WRONLY_CREAT);
const socket = (family: number, type = 1, protocol = 0) =>
  outcome(libc.socket(family, type, protocol));

/** Connects to a Unix socket by its path. */
function connect(name: string): string {
  const address = new Uint8Array(110);
  address.set([1, 0, ...toBytes(fromText(name))]);
  const fd = libc.socket(1, 1, 0);
  return fd < 0 ? outcome(fd) : outcome(libc.connect(fd, address, address.length));
}

/** Runs a program that was copied into a directory that guests can write to. */
function executeFrom(folder: string): string {
  try {
    Deno.copyFileSync("/usr/bin/true", `${folder}/probe-program`);
    Deno.chmodSync(`${folder}/probe-program`, 0o755);
    return new Deno.Command(`${folder}/probe-program`).outputSync().success ? "allowed" : "failed";
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}

const attempts: Readonly<Record<string, () => string>> = {
  "write /etc": () => create("/etc/probe"),
  "write /usr": () => create("/usr/probe"),
  "write /var/lib": () => create("/var/lib/probe"),
  "write /run": () => create("/run/probe"),
  "write /dev/shm": () => create("/dev/shm/probe"),
  "write /home": () => create("/home/ann/probe"),
  "write /proc/sys": () => open("/proc/sys/kernel/core_pattern", 1),
  "write /sys": () => open("/sys/kernel/uevent_helper", 1),
  "read /home": () => content("/home/ann/secret"),
  "read /root": () => content("/root/secret"),
  "read /etc/shadow": () => content("/etc/shadow"),
  "read another process": () => content("/proc/1/environ"),
  "open a disk": () => open("/dev/loop0", 0),
  "open /dev/kmsg": () => open("/dev/kmsg", 0),
  "connect to systemd": () => connect("/run/systemd/private"),
  "AF_INET socket": () => socket(2),
  "AF_INET6 socket": () => socket(10),
  "AF_NETLINK socket": () => socket(16, 3),
  "AF_PACKET socket": () => socket(17, 3),
  "AF_VSOCK socket": () => socket(40),
  "AF_UNIX socket": () => socket(1),
  "ptrace": () => outcome(libc.ptrace(0x4206n, 1n, 0n, 0n)), // PTRACE_SEIZE
  "read systemd's memory": readMemory,
  "signal systemd": () => outcome(libc.kill(1, 0)),
  "personality": () => outcome(libc.personality(0x40000n)), // ADDR_NO_RANDOMIZE
  "real-time scheduling": () =>
    outcome(libc.sched_setscheduler(0, 1, new Uint8Array([1, 0, 0, 0]))),
  "set the host name": () => outcome(libc.sethostname(path("probe"), 5n)),
  // A time before 1970: EINVAL where it is not denied.
  "set the clock": () => outcome(libc.clock_settime(0, new BigInt64Array([-1n, 0n]))),
  "make a device": () => outcome(libc.mknod(path("/tmp/probe-device"), 0o20600, 0x103n)),
  "make a set-user-ID file": () => {
    Deno.writeTextFileSync("/tmp/probe-suid", "");
    return outcome(libc.chmod(path("/tmp/probe-suid"), 0o4755));
  },
  "write to executable memory": () => outcome(libc.mmap(0n, MIB, 7, 0x22, -1, 0n)),
  "write to its own directory": () => create(`${writable}/probe`),
  "give a file away": () => outcome(libc.chown(path(`${writable}/probe`), 1000, 1000)),
  "execute what a guest wrote": () => executeFrom(writable),
  // What would change the process itself comes last.
  "unshare a user namespace": () => outcome(libc.unshare(0x10000000)),
  "unshare a mount namespace": () => outcome(libc.unshare(0x20000)),
  "mount": () => outcome(libc.mount(path("none"), path("/tmp"), path("tmpfs"), 0n, 0n)),
  "chroot": () => outcome(libc.chroot(path("/tmp"))),
  "setuid": () => outcome(libc.setuid(12345)),
};

if (import.meta.main) {
  // Where an attempt succeeds, it must do no harm: not on the machine itself.
  Deno.statSync(NESTED_MARK);
  const results = Object.entries(attempts).map(([name, attempt]) => [name, attempt()]);
  Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(Object.fromEntries(results))));
}
