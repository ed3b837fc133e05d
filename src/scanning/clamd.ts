/** Scans by clamd over its Unix socket. Only a descriptor is passed (FILDES), never a path and never content. */

import type { Descriptor } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { Address } from "../../ffi/socket.ts";
import { Admission, type Ticket } from "./admission.ts";
import { type ClamdLimits, DEFAULT_LIMITS, largestScannable } from "./clamd_configuration.ts";
import { ClamdControl } from "./clamd_control.ts";
import type { Answer, ClamdSession } from "./clamd_session.ts";
import { Health } from "./health.ts";
import type { Availability, ScanLimits, Scanner, Verdict } from "./scanner.ts";
import { SessionPool } from "./session_pool.ts";
import { createProbe, type Scannable, showSize, tooLargeForChannel } from "./size_limit.ts";
import { inWords } from "./trouble.ts";

/** Scans in flight where clamd does not tell its threads. */
const USUAL_THREADS = 8;
/** A scan that takes longer gives its place to another. */
const SLOW_MS = 2_000;
/** A scan that takes longer makes us ask whether clamd is alive at all. */
const DOUBTFUL_MS = 5_000;
const CONTROL_TIMEOUT_MS = 5_000;
const WATCH_MS = 250;
const SCAN_TIMEOUT_MS = 180_000;

export interface ClamdOptions {
  readonly reactor: Reactor;
  /** The path of clamd's Unix socket, or `@name`. */
  readonly socket: string;
  /** Scans in flight; clamd's number of threads if it is not given. */
  readonly concurrency?: number;
  /** Limits as clamd's configuration states them, where that can be read. */
  readonly limits?: ClamdLimits;
  /** When a scan without an answer is given up. Default 180 s: clamd's own MaxScanTime is 120 s. */
  readonly scanTimeoutMs?: number;
  /** Told, in words for the log, when clamd stops answering, and once if its limits cannot be probed. */
  onTrouble(message: string): void;
}

export class ClamdScanner implements Scanner {
  readonly #options: ClamdOptions;
  readonly #address: Address;
  readonly #limits: ClamdLimits;
  readonly #admission: Admission;
  readonly #pool: SessionPool;
  readonly #control: ClamdControl;
  readonly #health: Health;
  readonly #tickets = new Map<ClamdSession, Ticket>();
  #watch: ReturnType<typeof setTimeout> | undefined;
  #askAgainAt = 0;
  #knowsThreads: boolean;
  #toldOfFallback = false;
  #closed = false;

  constructor(options: ClamdOptions) {
    const { reactor, socket } = options;
    this.#options = options;
    this.#address = { family: "unix", path: socket };
    this.#limits = options.limits ?? DEFAULT_LIMITS;
    this.#admission = new Admission(options.concurrency ?? USUAL_THREADS);
    this.#knowsThreads = options.concurrency !== undefined;
    this.#pool = new SessionPool(reactor, socket);
    this.#control = new ClamdControl(reactor, this.#address, CONTROL_TIMEOUT_MS);
    this.#health = new Health({
      ask: () => this.#control.ping(),
      onTrouble: (message) => options.onTrouble(message),
    });
    this.#health.onRecovery(() => this.#learnThreads());
  }

  get concurrency(): number {
    return this.#admission.limit;
  }

  onRecovery(listener: () => void): void {
    this.#health.onRecovery(listener);
  }

  async check(): Promise<Availability> {
    const reason = await this.#health.check();
    if (reason !== undefined) return { available: false, reason };
    const [version] = await Promise.all([
      this.#control.version().catch(() => "clamd"), // it is alive, whatever it calls itself
      this.#learnThreads(),
    ]);
    return { available: true, version };
  }

  async scan(file: Descriptor, size: number, limits: ScanLimits = {}): Promise<Verdict> {
    const { maxFileSize } = limits;
    if (maxFileSize !== undefined && size > maxFileSize) {
      return tooLargeForChannel(size, maxFileSize);
    }
    const suspicion = this.#health.settled;
    if (suspicion !== undefined) await suspicion;
    if (this.#unable !== undefined) return this.#unable;
    const place = this.#admission.enter();
    const ticket = place instanceof Promise ? await place : place;
    try {
      // While it waited, clamd may have gone.
      return this.#unable ?? await this.#scan(file, size, maxFileSize !== undefined, ticket);
    } catch (error) {
      return { kind: "error", reason: inWords(error, this.#address) };
    } finally {
      ticket.done();
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#watch);
    this.#health.close();
    this.#control.close();
    this.#pool.close();
  }

  /** Why no scan is even tried. */
  get #unable(): Verdict | undefined {
    if (this.#closed) return { kind: "error", reason: "the scanner was closed" };
    const reason = this.#health.trouble;
    return reason === undefined ? undefined : { kind: "error", reason };
  }

  async #scan(file: Descriptor, size: number, sizeIsDecided: boolean, ticket: Ticket) {
    if (!this.#knowsThreads) this.#learnThreads();
    const session = this.#connect(() => this.#pool.take(size));
    const wasFresh = session.isFresh;
    let answer = await this.#scanOn(session, file, size, sizeIsDecided, ticket);
    // clamd ends idle connections, and all of them when it is restarted: that says nothing about now.
    if (answer.kind === "lost" && answer.silent && !wasFresh) {
      const fresh = this.#connect(() => this.#pool.open());
      answer = await this.#scanOn(fresh, file, size, sizeIsDecided, ticket);
    }
    if (answer.kind !== "lost") return answer;
    this.#health.suspect();
    return { kind: "error", reason: answer.reason } as const;
  }

  #connect(open: () => ClamdSession): ClamdSession {
    try {
      return open();
    } catch (error) {
      // Descriptors that we have not are no trouble of clamd's.
      if (isErrno(error, "ENOENT", "ECONNREFUSED", "EACCES")) {
        this.#health.fail(inWords(error, this.#address));
      } else if (isErrno(error, "EAGAIN")) this.#health.suspect();
      throw error;
    }
  }

  async #scanOn(
    session: ClamdSession,
    file: Descriptor,
    size: number,
    sizeIsDecided: boolean,
    ticket: Ticket,
  ): Promise<Answer> {
    this.#tickets.set(session, ticket);
    this.#watch ??= setTimeout(() => this.#lookAround(), WATCH_MS);
    try {
      const answer = await session.scan(file);
      if (answer.kind !== "clean") return answer;
      if (performance.now() - session.startedAt >= this.#limits.maxScanTimeMs) return tookTooLong;
      if (sizeIsDecided || session.sizes.covers(size)) return answer;
      const proof = await this.#prove(session, size);
      return proof.kind === "scannable" ? answer : proof;
    } finally {
      this.#tickets.delete(session);
      this.#pool.give(session, this.#admission.limit);
    }
  }

  /** Whether the clamd at the other end of the session looks at files of `size` bytes. */
  #prove(session: ClamdSession, size: number): Promise<Scannable> {
    const probe = async (probeSize: number): Promise<Verdict> => {
      using file = createProbe(probeSize);
      const answer = await session.scan(file);
      return answer.kind === "lost" ? { kind: "error", reason: answer.reason } : answer;
    };
    const largest = largestScannable(this.#limits);
    return session.sizes.check(size, probe, { largest, used: () => this.#tellOfFallback(largest) });
  }

  #tellOfFallback(largest: number): void {
    if (this.#toldOfFallback) return;
    this.#toldOfFallback = true;
    const source = this.#options.limits === undefined
      ? "its configuration is not known, so the usual limit holds"
      : "its configuration decides";
    this.#options.onTrouble(
      `clamd's signatures do not show how large a file it looks at; ${source}: ${
        showSize(largest)
      }`,
    );
  }

  /** What takes long: stops counting, is asked about, is given up. */
  #lookAround(): void {
    this.#watch = undefined;
    const now = performance.now();
    const timeoutMs = this.#options.scanTimeoutMs ?? SCAN_TIMEOUT_MS;
    let longestMs = 0;
    for (const [session, ticket] of this.#tickets) {
      const ageMs = now - session.startedAt;
      if (ageMs > SLOW_MS) ticket.release();
      if (ageMs > timeoutMs) session.abandon(`clamd gave no verdict within ${timeoutMs / 1000} s`);
      longestMs = Math.max(longestMs, ageMs);
    }
    if (longestMs > DOUBTFUL_MS && now >= this.#askAgainAt) this.#askWhetherAlive();
    if (this.#tickets.size > 0) this.#watch = setTimeout(() => this.#lookAround(), WATCH_MS);
  }

  async #askWhetherAlive(): Promise<void> {
    this.#askAgainAt = Infinity;
    const reason = await this.#health.check();
    this.#askAgainAt = performance.now() + DOUBTFUL_MS;
    if (reason === undefined) return;
    for (const session of [...this.#tickets.keys()]) session.abandon(reason);
  }

  async #learnThreads(): Promise<void> {
    if (this.#options.concurrency !== undefined) return;
    this.#knowsThreads = true;
    const threads = await this.#control.threads().catch(() => undefined); // it is alive, but busy
    this.#admission.limit = threads ?? USUAL_THREADS;
  }
}

const tookTooLong: Verdict = {
  kind: "unscannable",
  reason:
    "the scan took longer than clamd's MaxScanTime, so clamd may not have looked at all of it",
};
