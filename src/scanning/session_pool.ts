/**
 * Connections to clamd, none of which is used or kept for long. While as many sessions are open as its queue has places, idle
 * ones included, clamd takes no other connection: whoever else wants something from it gets his turn when one ends.
 */

import type { Reactor } from "../../ffi/reactor.ts";
import { ClamdSession } from "./clamd_session.ts";

/** Of a session, in ms, unless a scan runs on it. A new one costs as much as a scan of a small file. */
const LONGEST_MS = 1_000;
const SWEEP_MS = 500;

export class SessionPool {
  readonly #reactor: Reactor;
  readonly #path: string;
  /** The last used is used next, so that those which nobody needs end. */
  #idle: ClamdSession[] = [];
  #sweeping: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(reactor: Reactor, path: string) {
    this.#reactor = reactor;
    this.#path = path;
  }

  /** An open session; rather one that has proven to look at files of `size` bytes. Throws SystemError. */
  take(size: number): ClamdSession {
    let session = this.#takeProven(size) ?? this.#idle.pop();
    while (session !== undefined && !session.isOpen) session = this.#idle.pop();
    return session ?? this.open();
  }

  /** A session that was never used: the old ones may all belong to a clamd that is gone. */
  open(): ClamdSession {
    return new ClamdSession(this.#reactor, this.#path);
  }

  /** Gives one back; at most `keep` idle ones are kept. */
  give(session: ClamdSession, keep: number): void {
    if (!session.isOpen) return;
    if (this.#closed || this.#idle.length >= keep || isOld(session)) return session.close();
    this.#idle.push(session);
    this.#sweeping ??= setTimeout(() => this.#sweep(), SWEEP_MS);
  }

  /** Closes the idle ones; those in use are closed when they are given back. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#sweeping);
    for (const session of this.#idle.splice(0)) session.close();
  }

  #sweep(): void {
    for (const session of this.#idle) if (isOld(session)) session.close();
    this.#idle = this.#idle.filter(({ isOpen }) => isOpen);
    this.#sweeping = this.#idle.length > 0 ? setTimeout(() => this.#sweep(), SWEEP_MS) : undefined;
  }

  #takeProven(size: number): ClamdSession | undefined {
    if (this.#idle.at(-1)?.sizes.covers(size) !== false) return undefined; // the usual one will do
    const at = this.#idle.findLastIndex((session) => session.isOpen && session.sizes.covers(size));
    return at < 0 ? undefined : this.#idle.splice(at, 1)[0];
  }
}

function isOld({ openedAt }: ClamdSession): boolean {
  return performance.now() - openedAt >= LONGEST_MS;
}
