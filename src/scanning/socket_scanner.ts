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
  /** The first descriptor is on its way, and others wait until there is a verdict, or silence. */
  #trial: Promise<void> | undefined;
  #hasTried = false;

  constructor(options: SocketScannerOptions, private readonly streamingMs = STREAMING_MS) {
    this.#byDescriptor = new ClamdScanner(options);
    this.#byStream = new StreamScanner({
      ...options,
      address: { family: "unix", path: options.socket },
    });
    // Another may listen there now.
    this.onRecovery(() => {
      this.#streamsUntil = -Infinity;
      this.#isUnderstood = this.#hasTried = false;
    });
  }

  get concurrency(): number {
    return this.#byDescriptor.concurrency;
  }

  async scan(file: Descriptor, size: number, limits?: ScanLimits): Promise<Verdict> {
    while (this.#trial !== undefined) await this.#trial;
    const stream = () => this.#byStream.scan(file, size, limits);
    if (performance.now() < this.#streamsUntil) return await stream();
    const begin = performance.now();
    const scanning = this.#noted(this.#byDescriptor.scan(file, size, limits));
    const verdict = this.#isUnderstood ? await scanning : await this.#try(scanning);
    if (verdict === undefined) return await this.#race(scanning, stream);
    if (verdict.kind !== "error" || performance.now() - begin > AT_ONCE_MS) return verdict;
    if (!(await this.check()).available) return verdict;
    const streamed = await stream();
    if (isConclusive(streamed)) this.#streamForNow();
    return streamed.kind === "error" ? verdict : streamed;
  }

  /** A verdict, however late, shows that descriptors are understood. */
  async #noted(scanning: Promise<Verdict>): Promise<Verdict> {
    const verdict = await scanning;
    if (verdict.kind !== "error") {
      this.#isUnderstood = true;
      this.#streamsUntil = -Infinity;
    }
    return verdict;
  }

  /** The verdict; `undefined` if it does not come soon. */
  async #try(scanning: Promise<Verdict>): Promise<Verdict | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silence = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), SILENT_MS);
    });
    const verdict = Promise.race([scanning, silence]);
    const end = () => {
      clearTimeout(timer);
      this.#trial = undefined;
    };
    if (!this.#hasTried) this.#trial = verdict.then(end, end);
    this.#hasTried = true;
    return await verdict;
  }

  /** Of a descriptor that is met with silence, or takes long, and the content in a stream: the first that has a verdict. */
  async #race(scanning: Promise<Verdict>, stream: () => Promise<Verdict>): Promise<Verdict> {
    if (!(await this.check()).available || this.#isUnderstood) return await scanning;
    const streaming = stream().then(async (streamed) => {
      if (!isConclusive(streamed)) {
        // It may be too large for a stream only.
        const verdict = await scanning;
        return verdict.kind === "error" ? streamed : verdict;
      }
      if (!this.#isUnderstood) this.#streamForNow();
      return streamed;
    });
    const passed = scanning.then((verdict) => verdict.kind === "error" ? streaming : verdict);
    return await Promise.race([passed, streaming]);
  }

  #streamForNow(): void {
    this.#streamsUntil = performance.now() + this.streamingMs;
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

function isConclusive({ kind }: Verdict): boolean {
  return kind === "clean" || kind === "infected";
}
