/** Scans by a clamd that only a stream of bytes reaches, such as the host's behind clamd-vproxy. */

import { Connection } from "../../ffi/connection.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import type { Address } from "../../ffi/socket.ts";
import {
  ClamdClient,
  type ClamdClientOptions,
  CONTROL_TIMEOUT_MS,
  type Job,
} from "./clamd_client.ts";
import { scanStream, type StreamAnswer } from "./instream.ts";
import type { Verdict } from "./scanner.ts";
import { createProbe, SizeLimit } from "./size_limit.ts";
import { inWords } from "./trouble.ts";

const STALL_TIMEOUT_MS = 30_000;
/**
 * What was proven of the clamd at the other end holds so long. Nobody tells when another takes its place, but
 * to end, to load real signatures and to answer takes longer than this.
 */
const PROOF_MS = 5_000;

export interface StreamScannerOptions extends ClamdClientOptions {
  /** clamd, or a proxy that lets INSTREAM, PING and VERSION through. */
  readonly address: Address;
  /** Scans in flight. */
  readonly concurrency: number;
}

export class StreamScanner extends ClamdClient {
  readonly #connections = new Map<Job, Connection>();
  #sizes = new SizeLimit();
  #provenSince = 0;

  constructor(options: StreamScannerOptions) {
    super(options, options.address, options.concurrency);
  }

  protected override abandon(job: Job): void {
    this.#connections.get(job)?.close();
  }

  protected override async attempt(job: Job): Promise<Verdict> {
    const begin = performance.now();
    const verdict = await this.#scan(job, job.file, job.size);
    if (verdict.kind !== "clean") return verdict;
    const probe = async (size: number): Promise<Verdict> => {
      using file = createProbe(size);
      return await this.#scan(job, file, size);
    };
    return await this.believe(job, performance.now() - begin, this.#currentSizes(), probe);
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

  /** One scan on a connection of its own. */
  async #scan(job: Job, file: Descriptor, size: number): Promise<Verdict> {
    const answer = await this.#stream(job, file, size);
    if (answer.kind !== "lost") return answer;
    this.#provenSince = -Infinity;
    this.health.suspect();
    return { kind: "error", reason: answer.reason };
  }

  async #stream(job: Job, file: Descriptor, size: number): Promise<StreamAnswer> {
    const { reactor, address } = this;
    let connection: Connection;
    try {
      connection = await Connection.connect(reactor, address, CONTROL_TIMEOUT_MS);
    } catch (error) {
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
