/**
 * Scans by whatever listens at a Unix socket: a clamd in this machine takes descriptors (FILDES). Behind a socket that
 * is forwarded, or that is a proxy's, no descriptor arrives, and the content has to travel (INSTREAM).
 */

import type { Descriptor } from "../../ffi/descriptor.ts";
import { ClamdScanner } from "./clamd.ts";
import type { ClamdClientOptions } from "./clamd_client.ts";
import type { Availability, ScanLimits, Scanner, Verdict } from "./scanner.ts";
import { StreamScanner } from "./stream_scanner.ts";

/** For so long a socket that only a stream has brought a verdict from is not tried otherwise: it may have been a mishap. */
const STREAMING_MS = 60_000;
/** Whoever does not understand says so at once; an error that took longer, in ms, is of another kind. */
const AT_ONCE_MS = 5_000;
/** Or says nothing. */
const SILENT_MS = 2_000;

export interface SocketScannerOptions extends ClamdClientOptions {
  /** The path of the Unix socket, or `@name`. */
  readonly socket: string;
  /** Scans in flight. */
  readonly concurrency: number;
}

export class SocketScanner implements Scanner {
  readonly #byDescriptor: ClamdScanner;
  readonly #byStream: StreamScanner;
  /** In ms of the process's time: until then nothing but streams is tried. */
  #streamsUntil = -Infinity;
  /** A descriptor has brought a verdict. */
  #isUnderstood = false;
  /** A descriptor is on its way that is the first, or the first after another's silence: what becomes of it decides. */
  #trial: Promise<void> | undefined;

  constructor(options: SocketScannerOptions, private readonly streamingMs = STREAMING_MS) {
    this.#byDescriptor = new ClamdScanner(options);
    this.#byStream = new StreamScanner({
      ...options,
      address: { family: "unix", path: options.socket },
    });
    // Another may listen there now.
    this.onRecovery(() => {
      this.#streamsUntil = -Infinity;
      this.#isUnderstood = false;
    });
  }

  get concurrency(): number {
    return this.#byDescriptor.concurrency;
  }

  async scan(file: Descriptor, size: number, limits?: ScanLimits): Promise<Verdict> {
    while (this.#trial !== undefined) await this.#trial;
    if (performance.now() < this.#streamsUntil) {
      return await this.#byStream.scan(file, size, limits);
    }
    const begin = performance.now();
    const scanning = this.#byDescriptor.scan(file, size, limits);
    const verdict = this.#isUnderstood ? await scanning : await this.#try(scanning);
    if (verdict !== undefined && verdict.kind !== "error") {
      this.#isUnderstood = true;
      return verdict;
    }
    if (verdict !== undefined && performance.now() - begin > AT_ONCE_MS) return verdict;
    if (!(await this.check()).available) return verdict ?? await scanning;
    const streamed = await this.#byStream.scan(file, size, limits);
    if (streamed.kind === "error") return verdict ?? await scanning;
    const isVerdict = streamed.kind !== "unscannable";
    if (isVerdict) this.#streamsUntil = performance.now() + this.streamingMs;
    return streamed;
  }

  /** The first verdict, for which the others wait; `undefined` if it does not come soon. */
  async #try(scanning: Promise<Verdict>): Promise<Verdict | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silence = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), SILENT_MS);
    });
    const verdict = Promise.race([scanning, silence]);
    this.#trial = verdict.then(() => {}, () => {}).then(() => {
      clearTimeout(timer);
      this.#trial = undefined;
    });
    return await verdict;
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
