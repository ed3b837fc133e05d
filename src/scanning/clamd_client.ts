/** What every way to clamd has in common: admission, limits of time, health, and when an OK may be believed. */

import type { Descriptor } from "../../ffi/descriptor.ts";
import { lacksDescriptors } from "../../ffi/errno.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { Address } from "../../ffi/socket.ts";
import { Admission, type Ticket } from "./admission.ts";
import { type ClamdLimits, DEFAULT_LIMITS, largestScannable } from "./clamd_configuration.ts";
import { ClamdControl } from "./clamd_control.ts";
import { Health } from "./health.ts";
import type { Availability, ScanLimits, Scanner, Verdict } from "./scanner.ts";
import {
  ALWAYS_SCANNABLE,
  type Probe,
  showSize,
  type SizeLimit,
  tooLargeForChannel,
} from "./size_limit.ts";
import { inWords } from "./trouble.ts";

/** A scan that takes longer, in ms, gives its place to another. */
const SLOW_MS = 2_000;
/** A scan that takes longer makes us ask whether clamd is alive at all, again and again. */
const DOUBTFUL_MS = 5_000;
const WATCH_MS = 250;
/** When a scan without an answer is given up. clamd's own MaxScanTime is 120 s. */
const SCAN_TIMEOUT_MS = 180_000;
/** When clamd is taken to hang: no answer to a PING, no connection. */
export const CONTROL_TIMEOUT_MS = 5_000;

export interface ClamdClientOptions {
  readonly reactor: Reactor;
  /** Limits as clamd's configuration states them (`readClamdLimits`), where it can be read. */
  readonly limits?: ClamdLimits;
  /** When a scan is given up, in ms. Default 180 s. */
  readonly scanTimeoutMs?: number;
  /** Told, in words for the log, when clamd stops answering, and once if its limits cannot be probed. */
  onTrouble(message: string): void;
}

/** One file that was admitted. */
export interface Job {
  readonly file: Descriptor;
  readonly size: number;
  /** The user has said up to which size an OK counts, and this file is no larger. */
  readonly sizeIsDecided: boolean;
}

interface Running {
  readonly ticket: Ticket;
  /** In ms of `performance.now()`. */
  readonly since: number;
  /** Why it was given up. */
  abandoned?: string;
}

const CLEAN: Verdict = { kind: "clean" };

const TOOK_TOO_LONG: Verdict = {
  kind: "unscannable",
  reason:
    "the scan took longer than clamd's MaxScanTime, so clamd may not have looked at all of it",
};

export abstract class ClamdClient implements Scanner {
  protected readonly reactor: Reactor;
  protected readonly admission: Admission;
  protected readonly control: ClamdControl;
  protected readonly health: Health;
  readonly #options: ClamdClientOptions;
  readonly #limits: ClamdLimits;
  readonly #running = new Map<Job, Running>();
  #watch: ReturnType<typeof setTimeout> | undefined;
  #askAgainAt = 0;
  #toldOfFallback = false;
  #closed = false;

  constructor(
    options: ClamdClientOptions,
    protected readonly address: Address,
    concurrency: number,
  ) {
    this.reactor = options.reactor;
    this.#options = options;
    this.#limits = options.limits ?? DEFAULT_LIMITS;
    this.admission = new Admission(concurrency);
    this.control = new ClamdControl(options.reactor, address, CONTROL_TIMEOUT_MS);
    this.health = new Health({
      ask: () => this.control.ping(),
      onTrouble: (message) => options.onTrouble(message),
    });
  }

  /** One scan. What it throws counts as an error verdict, but for want of descriptors. */
  protected abstract attempt(job: Job): Promise<Verdict>;

  /** Makes an `attempt` that is under way end soon. */
  protected abstract abandon(job: Job): void;

  get concurrency(): number {
    return this.admission.limit;
  }

  get isDown(): boolean {
    return this.health.trouble !== undefined;
  }

  onRecovery(listener: () => void): void {
    this.health.onRecovery(listener);
  }

  async check(): Promise<Availability> {
    const reason = await this.health.check();
    if (reason !== undefined) return { available: false, reason };
    const version = await this.control.version().catch(() => "clamd"); // it is alive all the same
    return { available: true, version };
  }

  async scan(file: Descriptor, size: number, limits: ScanLimits = {}): Promise<Verdict> {
    const { maxFileSize } = limits;
    if (maxFileSize !== undefined && size > maxFileSize) {
      return tooLargeForChannel(size, maxFileSize);
    }
    if (this.health.settled !== undefined) await this.health.settled;
    if (this.#unable !== undefined) return this.#unable;
    const place = this.admission.enter();
    const ticket = place instanceof Promise ? await place : place;
    try {
      // While it waited, clamd may have gone.
      return this.#unable ??
        await this.#run({ file, size, sizeIsDecided: maxFileSize !== undefined }, ticket);
    } finally {
      ticket.done();
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#watch);
    this.health.close();
    this.control.close();
    this.#abandonAll("the scanner was closed");
  }

  async #run(job: Job, ticket: Ticket): Promise<Verdict> {
    const running: Running = { ticket, since: performance.now() };
    this.#running.set(job, running);
    this.#watch ??= setTimeout(() => this.#lookAround(), WATCH_MS);
    let verdict: Verdict;
    try {
      verdict = await this.attempt(job);
    } catch (error) {
      // Not "tried, and no verdict": permissive channels let such files through.
      if (lacksDescriptors(error)) throw error;
      verdict = { kind: "error", reason: inWords(error, this.address) };
    } finally {
      this.#running.delete(job);
    }
    return verdict.kind === "error" && running.abandoned !== undefined
      ? { kind: "error", reason: running.abandoned }
      : verdict;
  }

  /** What takes long: stops counting, is asked about, is given up. */
  #lookAround(): void {
    const now = performance.now();
    const timeoutMs = this.#options.scanTimeoutMs ?? SCAN_TIMEOUT_MS;
    let longestMs = 0;
    for (const [job, running] of this.#running) {
      const ageMs = now - running.since;
      longestMs = Math.max(longestMs, ageMs);
      if (ageMs > SLOW_MS) running.ticket.release();
      if (ageMs > timeoutMs) {
        this.#abandon(job, running, `clamd gave no verdict within ${timeoutMs / 1000} s`);
      }
    }
    if (longestMs > DOUBTFUL_MS && now >= this.#askAgainAt) this.#askWhetherAlive();
    this.#watch = this.#running.size > 0
      ? setTimeout(() => this.#lookAround(), WATCH_MS)
      : undefined;
  }

  async #askWhetherAlive(): Promise<void> {
    this.#askAgainAt = Infinity;
    await this.health.check();
    this.#askAgainAt = performance.now() + DOUBTFUL_MS;
    const { trouble } = this.health;
    if (trouble !== undefined) this.#abandonAll(trouble);
  }

  #abandonAll(reason: string): void {
    for (const [job, running] of this.#running) this.#abandon(job, running, reason);
  }

  #abandon(job: Job, running: Running, reason: string): void {
    running.abandoned ??= reason;
    this.abandon(job);
  }

  /**
   * What an OK that took `tookMs` is worth: clamd says it also of what it skips. `sizes` and `probe` belong to
   * the very process that said it.
   */
  protected async believe(
    job: Job,
    tookMs: number,
    sizes: SizeLimit,
    probe: Probe,
  ): Promise<Verdict> {
    if (tookMs >= this.#limits.maxScanTimeMs) return TOOK_TOO_LONG;
    if (job.sizeIsDecided || job.size <= ALWAYS_SCANNABLE) return CLEAN;
    const largest = largestScannable(this.#limits);
    const used = () => this.#tellOfFallback(largest);
    const proof = await sizes.check(job.size, probe, { largest, used });
    return proof.kind === "scannable" ? CLEAN : proof;
  }

  /** Why no scan is even tried. */
  get #unable(): Verdict | undefined {
    if (this.#closed) return { kind: "error", reason: "the scanner was closed" };
    const reason = this.health.trouble;
    return reason === undefined ? undefined : { kind: "error", reason };
  }

  #tellOfFallback(largest: number): void {
    if (this.#toldOfFallback) return;
    this.#toldOfFallback = true;
    const instead = this.#options.limits === undefined
      ? "its configuration is not known either, so this is taken as its limit"
      : "its configuration says";
    this.#options.onTrouble(
      "clamd's signatures do not know the test string in a file of another size, so how large a file " +
        `clamd looks at cannot be shown; ${instead}: ${showSize(largest)}`,
    );
  }
}
