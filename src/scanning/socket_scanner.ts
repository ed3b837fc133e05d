/**
 * Scans by whatever listens at a Unix socket: a clamd in this machine takes descriptors (FILDES). Behind a socket that
 * is forwarded, or that is a proxy's, no descriptor arrives, and the content has to travel (INSTREAM).
 */

import type { Descriptor } from "../../ffi/descriptor.ts";
import { ClamdScanner } from "./clamd.ts";
import type { ClamdClientOptions } from "./clamd_client.ts";
import type { Availability, ScanLimits, Scanner, Verdict } from "./scanner.ts";
import { StreamScanner } from "./stream_scanner.ts";

/** Whoever does not understand says so at once; an error that took longer, in ms, is of another kind. */
const AT_ONCE_MS = 5_000;

export interface SocketScannerOptions extends ClamdClientOptions {
  /** The path of the Unix socket, or `@name`. */
  readonly socket: string;
  /** Scans in flight. */
  readonly concurrency: number;
}

export class SocketScanner implements Scanner {
  readonly #byDescriptor: ClamdScanner;
  readonly #byStream: StreamScanner;
  /** Only a stream has brought a verdict so far. */
  #mustStream = false;

  constructor(options: SocketScannerOptions) {
    this.#byDescriptor = new ClamdScanner(options);
    this.#byStream = new StreamScanner({
      ...options,
      address: { family: "unix", path: options.socket },
    });
    // Another may listen there now.
    this.onRecovery(() => this.#mustStream = false);
  }

  get concurrency(): number {
    return this.#byDescriptor.concurrency;
  }

  async scan(file: Descriptor, size: number, limits?: ScanLimits): Promise<Verdict> {
    if (this.#mustStream) return await this.#byStream.scan(file, size, limits);
    const begin = performance.now();
    const verdict = await this.#byDescriptor.scan(file, size, limits);
    if (verdict.kind !== "error" || performance.now() - begin > AT_ONCE_MS) return verdict;
    if (!(await this.check()).available) return verdict;
    const streamed = await this.#byStream.scan(file, size, limits);
    if (streamed.kind === "error") return verdict;
    this.#mustStream = true;
    return streamed;
  }

  check(): Promise<Availability> {
    return this.#byDescriptor.check();
  }

  get isDown(): boolean {
    return this.#byDescriptor.isDown;
  }

  onRecovery(listener: () => void): void {
    this.#byDescriptor.onRecovery(listener);
    this.#byStream.onRecovery(listener);
  }

  close(): void {
    this.#byDescriptor.close();
    this.#byStream.close();
  }
}
