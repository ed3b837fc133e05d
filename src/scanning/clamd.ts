/** Scans by clamd over its Unix socket. Only a descriptor is passed (FILDES), never a path and never content. */

import { pause } from "../../ffi/clock.ts";
import { isErrno } from "../../ffi/errno.ts";
import {
  ClamdClient,
  type ClamdClientOptions,
  CONTROL_TIMEOUT_MS,
  type Job,
} from "./clamd_client.ts";
import type { Answer, ClamdSession } from "./clamd_session.ts";
import type { Availability, Verdict } from "./scanner.ts";
import { SessionPool } from "./session_pool.ts";
import { createProbe } from "./size_limit.ts";
import { inWords } from "./trouble.ts";

/** Scans in flight where clamd does not tell its threads. */
const USUAL_THREADS = 8;
const BUSY_RETRY_MS = 10;

export interface ClamdOptions extends ClamdClientOptions {
  /** The path of clamd's Unix socket, or `@name`. */
  readonly socket: string;
  /** Scans in flight, if clamd has more threads than that. */
  readonly concurrency?: number;
}

export class ClamdScanner extends ClamdClient {
  readonly #pool: SessionPool;
  readonly #sessions = new Map<Job, ClamdSession>();
  readonly #most: number;
  #hasAskedThreads = false;

  constructor(options: ClamdOptions) {
    const { reactor, socket, concurrency } = options;
    super(options, { family: "unix", path: socket }, concurrency ?? USUAL_THREADS);
    this.#pool = new SessionPool(reactor, socket);
    this.#most = concurrency ?? Infinity;
    // It may have come back with another configuration.
    this.onRecovery(() => this.#askThreads());
  }

  override async check(): Promise<Availability> {
    const result = await super.check();
    if (result.available && !this.#hasAskedThreads) {
      const asking = this.#askThreads();
      if (this.#most === Infinity) await asking;
    }
    return result;
  }

  override close(): void {
    super.close();
    this.#pool.close();
  }

  protected override abandon(job: Job): void {
    this.#sessions.get(job)?.close();
  }

  protected override async attempt(job: Job): Promise<Verdict> {
    const taken = this.#connect(() => this.#pool.take());
    // The scan has begun when this returns, where that can be.
    const session = taken instanceof Promise ? await taken : taken;
    const wasFresh = session.isFresh;
    let answer = await this.#scanOn(session, job);
    // clamd ends idle connections, and all of them when it is restarted: that says nothing about now.
    if (answer.kind === "lost" && answer.silent && !wasFresh) {
      answer = await this.#scanOn(await this.#connect(() => this.#pool.open()), job);
    }
    if (answer.kind !== "lost") return answer;
    this.health.suspect();
    return { kind: "error", reason: answer.reason };
  }

  /** At once, unless clamd's listening queue is full: that says nothing of clamd, for a while. */
  #connect(
    open: () => ClamdSession,
    giveUpAt = performance.now() + CONTROL_TIMEOUT_MS,
  ): ClamdSession | Promise<ClamdSession> {
    try {
      return open();
    } catch (error) {
      const waits = isErrno(error, "EAGAIN") && performance.now() < giveUpAt;
      if (waits && !this.#pool.isClosed) {
        return pause(BUSY_RETRY_MS).then(() => this.#connect(open, giveUpAt));
      }
      // Descriptors that we have not are no trouble of clamd's.
      if (isErrno(error, "ENOENT", "ECONNREFUSED", "EACCES")) {
        this.health.fail(inWords(error, this.address));
      } else if (isErrno(error, "EAGAIN")) this.health.suspect();
      throw error;
    }
  }

  async #scanOn(session: ClamdSession, job: Job): Promise<Answer> {
    this.#sessions.set(job, session);
    try {
      const answering = session.scan(job.file);
      // Alone it is answered soon, and the thread has nothing else to do.
      if (this.#sessions.size === 1) this.reactor.expect();
      const answer = await answering;
      if (answer.kind !== "clean") return answer;
      const probe = async (size: number): Promise<Verdict> => {
        using file = createProbe(size);
        const found = await session.scan(file);
        return found.kind === "lost" ? { kind: "error", reason: found.reason } : found;
      };
      const tookMs = performance.now() - session.startedAt;
      return await this.believe(job, tookMs, session.sizes, probe);
    } finally {
      this.#sessions.delete(job);
      this.#pool.give(session, this.admission.limit);
    }
  }

  /** What is slow leaves its place to others, up to as many as clamd certainly has room for. */
  async #askThreads(): Promise<void> {
    this.#hasAskedThreads = true;
    const threads = await this.control.threads().catch(() => undefined); // it is busy: as it was
    if (threads === undefined) return;
    this.admission.limit = Math.min(threads, this.#most);
    this.admission.most = sessionsOf(threads);
  }
}

/** Sessions that a clamd with so many threads can have, and still take another connection: its queue has twice as many places. */
function sessionsOf(threads: number): number {
  return 2 * threads - 1;
}
