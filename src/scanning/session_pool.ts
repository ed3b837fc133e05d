/** Connections to clamd: the last used is used next, so that those which nobody needs fall idle and end. */

import type { Reactor } from "../../ffi/reactor.ts";
import { ClamdSession } from "./clamd_session.ts";

export class SessionPool {
  readonly #reactor: Reactor;
  readonly #path: string;
  readonly #idle: ClamdSession[] = [];
  readonly #busy = new Set<ClamdSession>();

  constructor(reactor: Reactor, path: string) {
    this.#reactor = reactor;
    this.#path = path;
  }

  /** Sessions with a scan on its way. */
  get busy(): ReadonlySet<ClamdSession> {
    return this.#busy;
  }

  /** An open session; rather one that has proven to look at files of `size` bytes. Throws SystemError. */
  take(size: number): ClamdSession {
    let session = this.#takeProven(size) ?? this.#idle.pop();
    while (session !== undefined && !session.isOpen) session = this.#idle.pop();
    return this.#use(session ?? new ClamdSession(this.#reactor, this.#path));
  }

  /** A session that was never used: the old ones may all belong to a clamd that is gone. */
  open(): ClamdSession {
    return this.#use(new ClamdSession(this.#reactor, this.#path));
  }

  /** Gives one back; at most `keep` idle ones are kept. */
  give(session: ClamdSession, keep: number): void {
    this.#busy.delete(session);
    if (!session.isOpen) return;
    if (this.#idle.length < keep) this.#idle.push(session);
    else session.close();
  }

  close(): void {
    for (const session of [...this.#idle, ...this.#busy]) session.close();
    this.#idle.length = 0;
  }

  #takeProven(size: number): ClamdSession | undefined {
    if (this.#idle.at(-1)?.sizes.covers(size) !== false) return undefined; // the usual one will do
    const at = this.#idle.findLastIndex((session) => session.isOpen && session.sizes.covers(size));
    return at < 0 ? undefined : this.#idle.splice(at, 1)[0];
  }

  #use(session: ClamdSession): ClamdSession {
    this.#busy.add(session);
    return session;
  }
}
