/** Connections to clamd: the last used is used next, so that those which nobody needs fall idle and end. */

import type { Reactor } from "../../ffi/reactor.ts";
import { ClamdSession } from "./clamd_session.ts";

export class SessionPool {
  readonly #reactor: Reactor;
  readonly #path: string;
  readonly #idle: ClamdSession[] = [];
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
    if (!this.#closed && this.#idle.length < keep) this.#idle.push(session);
    else session.close();
  }

  /** Closes the idle ones; those in use are closed when they are given back. */
  close(): void {
    this.#closed = true;
    for (const session of this.#idle.splice(0)) session.close();
  }

  #takeProven(size: number): ClamdSession | undefined {
    if (this.#idle.at(-1)?.sizes.covers(size) !== false) return undefined; // the usual one will do
    const at = this.#idle.findLastIndex((session) => session.isOpen && session.sizes.covers(size));
    return at < 0 ? undefined : this.#idle.splice(at, 1)[0];
  }
}
