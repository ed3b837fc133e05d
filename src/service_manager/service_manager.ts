/** The daemon's side of sd_notify(3): says how it is, and shows that it lives. */

import { isErrno } from "../../ffi/errno.ts";
import type { ServiceEnvironment } from "./environment.ts";
import { encodeNotification, type Notification } from "./notification.ts";

export interface ServiceManagerParts {
  readonly environment: ServiceEnvironment;
  /** Sends a datagram to a Unix socket (a path, or `@name`) without waiting; may throw. */
  readonly send: (address: string, datagram: Uint8Array<ArrayBuffer>) => void;
  /** CLOCK_MONOTONIC, in microseconds. */
  readonly monotonicUsec: () => bigint;
  /** Told of the first message that could not be sent; a daemon goes on without its manager. */
  readonly onFailure: (error: unknown) => void;
}

/** setInterval takes no more. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;

/** How soon a manager whose queue was full is told again. */
const RETRY_MS = 100;
/** Changes of state that wait for it. Beyond them the oldest is forgotten (I6). */
const MOST_UNSENT = 16;

/**
 * Without a manager every method does nothing. One that is too busy to take a message gets it later: it would wait in vain
 * for a `READY=1` that is lost.
 */
export class ServiceManager {
  readonly #parts: ServiceManagerParts;
  /** The oldest first. */
  readonly #unsent: Notification[] = [];
  #retry: ReturnType<typeof setTimeout> | undefined;
  #hasFailed = false;

  constructor(parts: ServiceManagerParts) {
    this.#parts = parts;
  }

  /** Started (`READY=1`), or done with a reload. */
  ready(status: string): void {
    this.#send({ state: "ready", status });
  }

  status(status: string): void {
    this.#send({ status });
  }

  /** A reload of the configuration begins; `ready` ends it. */
  reloading(status: string): void {
    this.#send({ state: { reloadingSinceUsec: this.#parts.monotonicUsec() }, status });
  }

  stopping(status: string): void {
    this.#send({ state: "stopping", status });
  }

  /** Starting or stopping goes on: give it this many milliseconds from now. */
  extendTimeout(milliseconds: number, status: string): void {
    this.#send({ extendTimeoutMs: milliseconds, status });
  }

  /**
   * Gives signs of life, twice in the time that the manager allows, as long as `isHealthy` says so.
   * Ends with the returned object.
   */
  startWatchdog(isHealthy: () => boolean = () => true): Disposable {
    const { watchdogMs } = this.#parts.environment;
    if (watchdogMs === undefined) return { [Symbol.dispose]() {} };
    const beat = () => {
      if (isHealthy()) this.#send({ watchdog: true });
    };
    beat();
    const timer = setInterval(beat, Math.min(watchdogMs / 2, LONGEST_INTERVAL_MS));
    Deno.unrefTimer(timer); // a daemon that has nothing left to do may end
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  #send(notification: Notification): void {
    const { notifySocket } = this.#parts.environment;
    if (notifySocket === undefined) return;
    // What is no change of state goes with the one before it, and a later status in place of an earlier one.
    const before = notification.state === undefined ? this.#unsent.pop() : undefined;
    this.#unsent.push({ ...before, ...notification });
    if (this.#unsent.length > MOST_UNSENT) this.#unsent.shift();
    if (this.#retry === undefined) this.#sendAll(notifySocket);
  }

  #sendAll(notifySocket: string): void {
    this.#retry = undefined;
    const { send, onFailure } = this.#parts;
    for (let next = this.#unsent[0]; next !== undefined; next = this.#unsent[0]) {
      try {
        send(notifySocket, encodeNotification(next));
      } catch (error) {
        if (isErrno(error, "EAGAIN")) {
          this.#retry = setTimeout(() => this.#sendAll(notifySocket), RETRY_MS);
          Deno.unrefTimer(this.#retry); // a message alone keeps no program running
          return;
        }
        if (!this.#hasFailed) onFailure(error);
        this.#hasFailed = true;
      }
      this.#unsent.shift();
    }
  }
}
