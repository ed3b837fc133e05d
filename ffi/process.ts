/** This process: how it was started, starting it anew in its own place, and signals that wait meanwhile. */

import { type ByteString, fromText, toBytes } from "./byte_string.ts";
import { canonicalPath } from "./canonical_path.ts";
import { Descriptor } from "./descriptor.ts";
import { check, ignoringRefusal, SystemError } from "./errno.ts";
import { readHostFile, readHostText } from "./host_file.ts";
import { addressOf, errno, libc } from "./libc.ts";
import { AT, O } from "./platform.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What a process was started with. */
export class Start {
  private constructor(
    private readonly executable: ByteString,
    private readonly args: readonly Bytes[],
    private readonly environment: readonly Bytes[],
  ) {}

  /**
   * The start of this process: its executable, or what was installed in its place since then, its arguments, and
   * its environment as it was, with what was taken out later. Throws SystemError where it cannot be repeated.
   */
  static ofThisProcess(): Start {
    using running = openPath(fromText("/proc/self/exe"));
    const executable = canonicalPath(running).replace(/ \(deleted\)$/, "") as ByteString;
    openPath(executable).close(); // it is there
    return new Start(executable, strings("/proc/self/cmdline"), strings("/proc/self/environ"));
  }

  /**
   * Starts again in the same process (execve(2)): the process ID, the sandbox, and whatever is not closed on exec
   * stay, all threads and memory go. `handedOver`: what it finds as `startVariables` of each name, and nothing else.
   * Returns only where that fails, with the reason.
   */
  repeat(handedOver: Readonly<Record<string, readonly string[]>>): SystemError {
    const path = zeroEnded(this.executable);
    const variables = Object.entries(handedOver);
    const isKept = (entry: Bytes) =>
      variables.every(([variable]) => valueIn(entry, variable) === undefined);
    const environment = [
      ...this.environment.filter(isKept),
      ...variables.flatMap(([variable, values]) =>
        values.map((value) => zeroEnded(fromText(`${variable}=${value}`)))
      ),
    ];
    libc.execve(path, pointers(this.args), pointers(environment));
    return new SystemError("execve", errno(), this.executable);
  }
}

/**
 * The values of a variable that the environment may hold several times, as this process was started with it. Needs no
 * permission of Deno's. None where /proc does not tell.
 */
export function startVariables(name: string): readonly string[] {
  const environment = ignoringRefusal(() => strings("/proc/self/environ")) ?? [];
  return environment.flatMap((entry) => valueIn(entry, name) ?? []);
}

function valueIn(entry: Bytes, variable: string): string | undefined {
  const text = new TextDecoder().decode(entry).replace(/\0$/, "");
  return text.startsWith(`${variable}=`) ? text.slice(variable.length + 1) : undefined;
}

function openPath(path: ByteString): Descriptor {
  return new Descriptor(
    check(libc.openat(AT.FDCWD, zeroEnded(path), O.PATH | O.CLOEXEC, 0), "open", path),
  );
}

function zeroEnded(text: ByteString): Bytes {
  return toBytes(`${text}\0` as ByteString);
}

/** The strings in a file of /proc, each with the NUL that ends it. */
function strings(path: string): Bytes[] {
  const bytes = readHostFile(path);
  const found: Bytes[] = [];
  for (let from = 0; from < bytes.length;) {
    const end = bytes.indexOf(0, from) + 1 || bytes.length;
    found.push(bytes.subarray(from, end));
    from = end;
  }
  return found;
}

/** `char *const []`; the strings must outlive it. */
function pointers(list: readonly Bytes[]): Bytes {
  return new Uint8Array(new BigUint64Array([...list.map(addressOf), 0n]).buffer);
}

/** The user as whom it acts (credentials(7)): the owner of what it creates. */
export function effectiveUser(): number {
  return libc.geteuid();
}

/** Its number in capabilities(7). */
export const CAP_CHOWN = 0;

/** Whether it has a capability; where /proc does not tell, it is taken to. */
export function hasCapability(number: number): boolean {
  const status = ignoringRefusal(() => readHostText("/proc/self/status")) ?? "";
  const [, effective] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  return effective === undefined || (BigInt(`0x${effective}`) >> BigInt(number) & 1n) === 1n;
}

export const SIGHUP = 1;
export const SIGINT = 2;
export const SIGTERM = 15;

/** The same number on both architectures. */
const SIGXFSZ = 25;

const SIG_DFL = 0n;
const SIG_IGN = 1n;
const SIG_BLOCK = 0;
const SIG_UNBLOCK = 1;

/**
 * Lets a signal wait that comes to this thread, and to a program that `Start.repeat` starts, until
 * `admitSignal`: a program that has just begun would be ended by it.
 */
export function holdSignal(signal: number): void {
  check(libc.pthread_sigmask(SIG_BLOCK, signalSet(signal), null), "pthread_sigmask");
}

/** What has waited comes now. */
export function admitSignal(signal: number): void {
  check(libc.pthread_sigmask(SIG_UNBLOCK, signalSet(signal), null), "pthread_sigmask");
}

/** From now on the signal does what it does to a program that knows nothing of it; handlers of before hear no more. */
export function defaultSignal(signal: number): void {
  libc.signal(signal, SIG_DFL);
}

/**
 * What would make a file larger than the process's limit fails with EFBIG from now on, as for any other file that cannot be
 * written; the signal that comes with it (setrlimit(2), RLIMIT_FSIZE) would end the process. So it stays for what
 * `Start.repeat` starts.
 */
export function outliveFileSizeLimit(): void {
  libc.signal(SIGXFSZ, SIG_IGN);
}

/** `sigset_t`: 1024 bits. */
function signalSet(signal: number): Bytes {
  const set = new Uint8Array(128);
  set[(signal - 1) >> 3] = 1 << ((signal - 1) & 7);
  return set;
}
