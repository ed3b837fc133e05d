/**
 * Stands between our code and the C library. To be imported before anything that imports `ffi/libc.ts`;
 * then every system call passes by here, on its way there and back.
 */

import { wrapLibrary } from "../../../ffi/fault_hook.ts";

/** Sees each call of a C function before it happens. */
export interface Interceptor {
  /**
   * May act as somebody else would at this moment, or throw; a number is an errno with which the call fails instead
   * of being made.
   */
  before(name: string, args: readonly unknown[]): number | void;
  after?(name: string, result: unknown): void;
}

let interceptor: Interceptor | undefined;
/**
 * The errno of the last call that failed or was made to, until it is asked for. Ours is kept at once, too:
 * what is done here after a call (a garbage collection is enough) overwrites the thread's own.
 */
let lastErrno: number | undefined;

/** What our code has opened and not closed. */
const descriptors = new Set<number>();

export function ownDescriptors(): ReadonlySet<number> {
  return descriptors;
}

/** From now on `next` sees all calls; `undefined`: nobody. */
export function intercept(next: Interceptor | undefined): void {
  interceptor = next;
}

/** How our code learns of errno, addresses and bytes: no system calls. */
const PLUMBING: ReadonlySet<string> = new Set([
  "addressOf",
  "malloc_trim",
  "memcmp",
  "copyFromAddress",
  "__errno_location",
  "clock_gettime",
]);

type Call = (...args: unknown[]) => unknown;

function wrapCall(name: string, call: Call, readErrno: () => number): Call {
  if (name === "copyFromAddress") return (...args) => tellErrno(args) ? undefined : call(...args);
  if (PLUMBING.has(name)) return call;
  const isBlocking = name.endsWith("Blocking");
  const plainName = isBlocking ? name.slice(0, -"Blocking".length) : name;
  return (...args) => {
    lastErrno = undefined;
    const failure = interceptor?.before(plainName, args);
    if (typeof failure === "number") {
      lastErrno = failure;
      return isBlocking ? Promise.resolve(-1) : -1;
    }
    const result = call(...args);
    if (result === -1) lastErrno = readErrno();
    noteDescriptor(plainName, args, Number(result));
    interceptor?.after?.(plainName, result);
    return result;
  };
}

function noteDescriptor(name: string, args: readonly unknown[], result: number): void {
  if (name === "close") descriptors.delete(Number(args[0]));
  if (opensDescriptor(name, args) && result >= 0) descriptors.add(result);
}

const F_DUPFD_CLOEXEC = 1030;
const OPENERS: ReadonlySet<string> = new Set([
  "accept4",
  "epoll_create1",
  "eventfd",
  "inotify_init1",
  "memfd_create",
  "openat",
  "openat2",
  "socket",
  "timerfd_create",
]);

const EPOLL_CTL_ADD = 1;

/** Whether the call may be refused: of epoll_ctl only what adds has a good reason to fail, of `never` none. */
export function mayFail(
  name: string,
  args: readonly unknown[],
  never: ReadonlySet<string>,
): boolean {
  return name === "epoll_ctl" ? args[1] === EPOLL_CTL_ADD : !never.has(name);
}

/** Whether what the call returns is a descriptor, which there may be none left of. */
export function opensDescriptor(name: string, args: readonly unknown[]): boolean {
  return OPENERS.has(name) || (name === "fcntl" && args[1] === F_DUPFD_CLOEXEC);
}

/** Answers the question for errno in the C library's place. */
function tellErrno([target]: readonly unknown[]): boolean {
  if (lastErrno === undefined || !(target instanceof Int32Array)) return false;
  target[0] = lastErrno;
  lastErrno = undefined;
  return true;
}

/** What a wrapper of `library` needs to read errno by. */
function errnoReader(library: object): () => number {
  const { copyFromAddress, __errno_location } = library as Partial<Record<string, Call>>;
  if (copyFromAddress === undefined || __errno_location === undefined) {
    throw new Error("the C library has no errno");
  }
  const address = __errno_location();
  const bytes = new Int32Array(1);
  return () => {
    copyFromAddress(bytes, address, 4n);
    return bytes[0] ?? 0;
  };
}

wrapLibrary({
  wrap<Library extends object>(library: Library): Library {
    const readErrno = errnoReader(library);
    const wrapped = Object.entries(library).map(([name, call]): [string, unknown] => [
      name,
      typeof call === "function"
        ? wrapCall(name, (...args) => Reflect.apply(call, library, args), readErrno)
        : call,
    ]);
    // The same names with functions of the same kind: the shape that was asked for.
    return Object.fromEntries(wrapped) as Library;
  },
});
