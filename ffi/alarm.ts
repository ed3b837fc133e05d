/**
 * A timer that goes off when it is due: timerfd_create(2) on the reactor, within 0.1 ms of its time. setTimeout
 * counts whole milliseconds and comes one or two of them late.
 *
 * The kernel wakes the process a little early, and the reactor waits for the rest on its own thread: what an idle
 * machine needs to wake up, and a change of thread, are over when it is due.
 */

import { Descriptor } from "./descriptor.ts";
import { check } from "./errno.ts";
import { libc } from "./libc.ts";
import { O } from "./platform.ts";
import { EPOLL, type Reactor } from "./reactor.ts";

const CLOCK_MONOTONIC = 1;

/** Less than the reactor waits when it is told to expect something. */
const EARLY_MS = 0.8;

/** `struct itimerspec`: an interval, which stays zero, and the time until it goes off. */
const specification = new BigInt64Array(4);
const specificationBytes = new Uint8Array(specification.buffer);

export class Alarm implements Disposable {
  readonly #reactor: Reactor;
  readonly #timer: Descriptor;
  readonly #expirations = new Uint8Array(8);
  #dueAt = Infinity;

  /** `onDue` is called once for each time that was set. It must not throw. EMFILE is thrown. */
  constructor(reactor: Reactor, onDue: () => void) {
    this.#reactor = reactor;
    this.#timer = new Descriptor(
      check(libc.timerfd_create(CLOCK_MONOTONIC, O.CLOEXEC | O.NONBLOCK), "timerfd_create"),
    );
    reactor.add(this.#timer, EPOLL.IN, () => {
      // Nothing to read: it was set anew since it went off.
      if (libc.read(this.#timer.fd, this.#expirations, 8n) !== 8) return;
      if (performance.now() < this.#dueAt) {
        reactor.expect();
        this.#arm(this.#dueAt);
        return;
      }
      this.#dueAt = Infinity;
      onDue();
    });
  }

  /** When it goes off; Infinity if it is not set. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /**
   * Goes off at `dueAt` (performance.now()), or at once if that has passed; whatever was set before is not. What need not be
   * `exact` costs less.
   */
  set(dueAt: number, exact = true): void {
    this.#dueAt = dueAt;
    this.#arm(exact ? dueAt - EARLY_MS : dueAt);
  }

  #arm(at: number): void {
    // Zero would disarm it.
    const nanoseconds = Math.max(1, Math.ceil((at - performance.now()) * 1e6));
    specification[2] = BigInt(Math.floor(nanoseconds / 1e9));
    specification[3] = BigInt(nanoseconds % 1e9);
    check(libc.timerfd_settime(this.#timer.fd, 0, specificationBytes, null), "timerfd_settime");
  }

  close(): void {
    if (!this.#timer.isOpen) return;
    this.#reactor.remove(this.#timer);
    this.#timer.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
