/**
 * Connections to clamd, none of which is used or kept for long. While as many sessions are open as its queue has places, idle
 * ones included, clamd takes no other connection: whoever else wants something from it gets his turn when one ends.
 */

import type { Reactor } from "../../ffi/reactor.ts";
import { ClamdSession } from "./clamd_session.ts";
import { SizeLimit } from "./size_limit.ts";

/** Of a session, in ms, unless a scan runs on it. A new one costs as much as a scan of a small file. */
const LONGEST_MS = 1_000;
const SWEEP_MS = 500;
/** For how long it is kept in mind, in ms, which sizes clamd looks at: to find it out takes as long as to scan such a file. */
const PROOF_MS = 30_000;

export class SessionPool {
  readonly #reactor: Reactor;
  readonly #path: string;
  /** The last used is used next, so that those which nobody needs end. */
  #idle: ClamdSession[] = [];
  #open = 0;
  /** Of the clamd that has the sessions which are open: while one of them is, it takes the next one as well. */
  #sizes = new SizeLimit();
  /** Who listens. */
  #process: number | undefined;
  #sweeping: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(reactor: Reactor, path: string) {
    this.#reactor = reactor;
    this.#path = path;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** An open session. Throws SystemError. */
  take(): ClamdSession {
    let session = this.#idle.pop();
    while (session !== undefined && !session.isOpen) session = this.#idle.pop();
    return session ?? this.open();
  }

  /** A session that was never used: the old ones may all belong to a clamd that is gone. */
  open(): ClamdSession {
    const session = new ClamdSession(this.#reactor, this.#path, {
      sizesOf: (process) => {
        // Where systemd listens for it, another clamd answers only when the one before has ended its sessions.
        if (process !== this.#process) this.#sizes = new SizeLimit();
        this.#process = process;
        return this.#sizes;
      },
      onEnd: (byClamd) => {
        this.#open--;
        if (byClamd || this.#open === 0) session.sizes.forget();
      },
    });
    this.#open++;
    return session;
  }

  /** Gives one back; at most `keep` idle ones are kept. */
  give(session: ClamdSession, keep: number): void {
    if (!session.isOpen) return;
    if (this.#closed || this.#idle.length >= keep) return session.close();
    this.#idle.push(session);
    if (isOld(session)) this.#renew();
    if (this.#idle.length > 0) this.#sweeping ??= setTimeout(() => this.#sweep(), SWEEP_MS);
  }

  /** Closes the idle ones; those in use are closed when they are given back. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#sweeping);
    for (const session of this.#idle.splice(0)) session.close();
  }

  #sweep(): void {
    this.#renew();
    this.#sweeping = this.#idle.length > 0 ? setTimeout(() => this.#sweep(), SWEEP_MS) : undefined;
  }

  /** Closes the old ones. What is known of clamd needs one that is open, which waits behind the others then. */
  #renew(): void {
    const idle = this.#idle.filter(({ isOpen }) => isOpen);
    const old = idle.filter(isOld);
    this.#idle = idle.filter((session) => !isOld(session));
    if (old.length === this.#open && this.#sizes.wasAskedSince(performance.now() - PROOF_MS)) {
      this.#openAnother();
    }
    for (const session of old) session.close();
  }

  #openAnother(): void {
    try {
      this.#idle.push(this.open());
    } catch {
      // It is found out anew when it is needed.
    }
  }
}

function isOld({ openedAt }: ClamdSession): boolean {
  return performance.now() - openedAt >= LONGEST_MS;
}
