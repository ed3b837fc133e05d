/** Scans by a clamd that only a stream of bytes reaches, such as the host's behind clamd-vproxy. */

import { pause } from "../../ffi/clock.ts";
import { Connection } from "../../ffi/connection.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { lacksDescriptors } from "../../ffi/errno.ts";
import {
  ClamdClient,
  type ClamdClientOptions,
  CONTROL_TIMEOUT_MS,
  type Job,
} from "./clamd_client.ts";
import { scanStream, type StreamAnswer } from "./instream.ts";
import type { Verdict } from "./scanner.ts";
import { createProbe, SizeLimit } from "./size_limit.ts";
import { inWords, type ScannerAddress } from "./trouble.ts";

const STALL_TIMEOUT_MS = 30_000;
/** Pauses while the other side has no place for us. */
const BUSY_FIRST_MS = 50;
const BUSY_LAST_MS = 1_000;
/**
 * What was proven of the clamd at the other end holds so long. Nobody tells when another takes its place, but
 * to end, to load real signatures and to answer takes longer than this.
 */
const PROOF_MS = 5_000;

interface TimedVerdict {
  readonly verdict: Verdict;
  readonly tookMs: number;
}

const GIVEN_UP: Verdict = { kind: "error", reason: "too many others are scanning" };

export interface StreamScannerOptions extends ClamdClientOptions {
  /** clamd, or a proxy that lets INSTREAM, PING and VERSION through. */
  readonly address: ScannerAddress;
  /** Scans in flight. */
  readonly concurrency: number;
}

export class StreamScanner extends ClamdClient {
  readonly #connections = new Map<Job, Connection>();
  readonly #abandoned = new WeakSet<Job>();
  #sizes = new SizeLimit();
  #provenSince = 0;

  constructor(options: StreamScannerOptions) {
    super(options, options.address, options.concurrency);
  }

  protected override abandon(job: Job): void {
    this.#abandoned.add(job);
    this.#connections.get(job)?.close();
  }

  protected override async attempt(job: Job): Promise<Verdict> {
    const { verdict, tookMs } = await this.#scan(job, job.file, job.size);
    if (verdict.kind !== "clean") return verdict;
    const probe = async (size: number): Promise<Verdict> => {
      using file = createProbe(size);
      return (await this.#scan(job, file, size)).verdict;
    };
    return await this.believe(job, tookMs, this.#currentSizes(), probe);
  }

  /** What is known of the scanner, if that is recent. */
  #currentSizes(): SizeLimit {
    const now = performance.now();
    if (now - this.#provenSince > PROOF_MS) {
      this.#sizes = new SizeLimit();
      this.#provenSince = now;
    }
    return this.#sizes;
  }

  /** One scan on a connection of its own. A proxy whose places are all taken is asked until it has one. */
  async #scan(job: Job, file: Descriptor, size: number): Promise<TimedVerdict> {
    for (let pauseMs = BUSY_FIRST_MS;; pauseMs = Math.min(BUSY_LAST_MS, pauseMs * 2)) {
      const begin = performance.now();
      const answer = await this.#stream(job, file, size);
      const tookMs = performance.now() - begin;
      if (answer.kind === "lost") {
        this.#provenSince = -Infinity;
        this.health.suspect();
        return { verdict: { kind: "error", reason: answer.reason }, tookMs };
      }
      if (answer.kind !== "busy") return { verdict: answer, tookMs };
      if (!this.#abandoned.has(job)) await pause(pauseMs);
      if (this.#abandoned.has(job)) return { verdict: GIVEN_UP, tookMs };
    }
  }

  async #stream(job: Job, file: Descriptor, size: number): Promise<StreamAnswer> {
    const { reactor, address } = this;
    let connection: Connection;
    try {
      connection = await Connection.connect(reactor, address, CONTROL_TIMEOUT_MS);
    } catch (error) {
      if (lacksDescriptors(error)) throw error;
      return { kind: "lost", reason: inWords(error, address) };
    }
    this.#connections.set(job, connection);
    try {
      return await scanStream(connection, file, size, {
        address,
        stallTimeoutMs: STALL_TIMEOUT_MS,
      });
    } finally {
      this.#connections.delete(job);
      connection.close();
    }
  }
}
