/**
 * A worker that changes a tree at random, as fast as it can or with pauses: makes, writes, renames, exchanges, removes,
 * and moves files and directories in and out. The same orders do the same, as far as others let them.
 */

import { fileName, fromText } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { SystemError } from "../../ffi/errno.ts";
import { RENAME_EXCHANGE } from "../../ffi/platform.ts";

export interface Orders {
  readonly inside: string;
  readonly outside: string;
  readonly seed: number;
  readonly operations: number;
  /** The longest pause after an operation, of which most have none. */
  readonly pauseMs: number;
}

const NAMES = ["a", "b", "c", "d"];

class Attacker {
  #state: number;

  constructor(private readonly orders: Orders) {
    this.#state = orders.seed;
  }

  /** mulberry32: 0 or more, below `limit`. */
  #below(limit: number): number {
    let mixed = (this.#state = (this.#state + 0x6d2b79f5) | 0);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 1 | mixed);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * limit);
  }

  #name(): string {
    return NAMES[this.#below(NAMES.length)] ?? "a";
  }

  #directory(deepest = 4): string {
    const names = Array.from({ length: 1 + this.#below(deepest) }, () => this.#name());
    return [this.orders.inside, ...names].join("/");
  }

  #file(): string {
    return `${this.#directory()}/f${this.#name()}`;
  }

  #outside(): string {
    return `${this.orders.outside}/${this.#name()}`;
  }

  #exchange(): void {
    using one = Directory.openTrusted(fromText(this.#directory(2)));
    using other = Directory.openTrusted(fromText(this.#directory(2)));
    one.rename(fileName(this.#name()), other, fileName(this.#name()), RENAME_EXCHANGE);
  }

  #makeAndWrite(): void {
    const directory = this.#directory();
    Deno.mkdirSync(directory, { recursive: true });
    Deno.writeTextFileSync(`${directory}/f${this.#name()}`, "x");
  }

  readonly #operations: readonly (() => void)[] = [
    () => Deno.mkdirSync(this.#directory(5), { recursive: true }),
    () => Deno.mkdirSync(this.#directory(5), { recursive: true }),
    () => this.#makeAndWrite(),
    () => Deno.writeTextFileSync(this.#file(), "x".repeat(this.#below(100))),
    () => Deno.writeTextFileSync(this.#file(), "x".repeat(this.#below(100))),
    () => Deno.renameSync(this.#directory(), this.#directory()),
    () => Deno.renameSync(this.#directory(), this.#directory()),
    () => Deno.renameSync(this.#directory(), this.#directory()),
    () => Deno.renameSync(this.#directory(), this.#outside()),
    () => Deno.renameSync(this.#outside(), this.#directory()),
    () => this.#below(3) === 0 && Deno.removeSync(this.#directory(), { recursive: true }),
    () => Deno.chmodSync(this.#directory(), 0o700 + this.#below(64)),
    () => Deno.truncateSync(this.#file(), this.#below(100)),
    () => Deno.renameSync(this.#file(), this.#file()),
    () => this.#exchange(),
  ];

  run(): void {
    const { operations, pauseMs } = this.orders;
    for (let i = 0; i < operations; i++) {
      try {
        this.#operations[this.#below(this.#operations.length)]?.();
      } catch (error) {
        // Most names are not there, or are something else.
        if (!(error instanceof SystemError) && !isFileError(error)) throw error;
      }
      if (pauseMs > 0 && this.#below(10) === 0) sleepNow(this.#below(pauseMs));
    }
  }
}

/** What Deno throws for failed system calls: errors of its own with a code, or with the system's text. */
function isFileError(error: unknown): boolean {
  return error instanceof Error && ("code" in error || /os error/.test(error.message));
}

function sleepNow(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

declare const self: {
  onmessage: ((message: MessageEvent<Orders>) => void) | null;
  postMessage(message: string): void;
};

self.onmessage = ({ data }) => {
  new Attacker(data).run();
  self.postMessage("done");
};
