/** A scanner under test: its reactor, what it told, and files to scan. */

import type { Descriptor } from "../../ffi/descriptor.ts";
import { truncate, writeAll } from "../../ffi/file_content.ts";
import { createMemoryFile } from "../../ffi/memory_file.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { ClamdScanner } from "../../src/scanning/clamd.ts";
import { parseClamdLimits } from "../../src/scanning/clamd_configuration.ts";
import type { ScanLimits, Scanner, Verdict } from "../../src/scanning/scanner.ts";
import { StreamScanner } from "../../src/scanning/stream_scanner.ts";
import { Clamd, type ClamdOptions, SIGNATURE } from "./clamd.ts";
import { missingPackages } from "./prerequisites.ts";

export const CLEAN: Verdict = { kind: "clean" };
export const INFECTED: Verdict = { kind: "infected", signature: SIGNATURE };

/** How a file's content gets to clamd. */
export type Way = "FILDES" | "INSTREAM";
export const WAYS: readonly Way[] = ["FILDES", "INSTREAM"];

export interface BenchOptions {
  readonly way?: Way;
  readonly concurrency?: number;
  /** The text of clamd's configuration as far as the scanner knows it. */
  readonly configuration?: string;
  readonly scanTimeoutMs?: number;
}

export class ScannerBench implements AsyncDisposable {
  readonly #reactor = new Reactor();
  readonly scanner: Scanner;
  /** What it told for the log. */
  readonly told: string[] = [];
  recoveries = 0;

  constructor(socket: string, options: BenchOptions = {}) {
    const { way, concurrency, configuration, scanTimeoutMs } = options;
    const common = {
      reactor: this.#reactor,
      onTrouble: (message: string) => this.told.push(message),
      ...(configuration === undefined ? {} : { limits: parseClamdLimits(configuration) }),
      ...(scanTimeoutMs === undefined ? {} : { scanTimeoutMs }),
    };
    const address = { family: "unix", path: socket } as const;
    this.scanner = way === "INSTREAM"
      ? new StreamScanner({ ...common, address, concurrency: concurrency ?? 4 })
      : new ClamdScanner({
        ...common,
        socket,
        ...(concurrency === undefined ? {} : { concurrency }),
      });
    this.scanner.onRecovery(() => this.recoveries++);
  }

  /** Scans `content`, made `size` bytes long by zeros behind it. */
  async scan(
    content: Uint8Array<ArrayBuffer>,
    size = content.length,
    limits?: ScanLimits,
  ): Promise<Verdict> {
    using file = fileOf(content, size);
    return await this.scanner.scan(file, size, limits);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.scanner.close();
    await this.#reactor.stop();
    this.#reactor[Symbol.dispose]();
  }
}

/** An unnamed file with `content`, and zeros behind it up to `size`. */
export function fileOf(content: Uint8Array<ArrayBuffer>, size = content.length): Descriptor {
  const file = createMemoryFile("test");
  writeAll(file, content);
  truncate(file, size);
  return file;
}

/** The reason in a verdict, or the verdict's kind where there is none. */
export function reasonOf(verdict: Verdict): string {
  return "reason" in verdict ? verdict.reason : `(${verdict.kind})`;
}

/** How many sockets this process has open. */
export function openSockets(): number {
  return [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith("socket:");
    } catch {
      return false; // the one that lists the others
    }
  }).length;
}

/** Defines a test with a real clamd of its own, left out where clamd is not installed. */
export function testWithClamd(
  name: string,
  options: ClamdOptions,
  body: (clamd: Clamd) => Promise<void>,
): void {
  const missing = missingPackages().find(({ program }) => program === "clamd");
  Deno.test({
    name: missing === undefined ? name : `${name} [needs the package ${missing.name}]`,
    ignore: missing !== undefined,
    fn: async () => {
      await using clamd = Clamd.prepare(options);
      await body(clamd);
    },
  });
}
