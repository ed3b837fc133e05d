/**
 * How large a file may be so that a scanner's OK means anything. clamd says OK to what it skips, so a size
 * counts as scannable only when a probe of at least that size, infected on purpose, was found.
 */

import type { Descriptor } from "../../ffi/descriptor.ts";
import { truncate, writeAll } from "../../ffi/file_content.ts";
import { createMemoryFile } from "../../ffi/memory_file.ts";
import { LARGEST_FILE } from "./clamd_configuration.ts";
import type { Verdict } from "./scanner.ts";

/** Up to this size, in bytes, every configuration that is of any use looks at a file. */
export const ALWAYS_SCANNABLE = 256 * 1024;

const MIB = 1024 * 1024;
const LARGEST_STEP = 64 * MIB;

/** The EICAR test string, put together so that no scanner takes this source for it. */
const EICAR = new TextEncoder().encode(
  ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "STANDARD", "ANTIVIRUS", "TEST", "FILE!$H+H*"].join("-"),
);

/** Scans a probe of this many bytes. */
export type Probe = (size: number) => Promise<Verdict>;

/** What holds where probes prove nothing, and who is told so. */
export interface Fallback {
  /** The largest size in bytes that counts as scannable then. */
  readonly largest: number;
  used(): void;
}

export type Scannable =
  | { readonly kind: "scannable" }
  | { readonly kind: "unscannable"; readonly reason: string }
  | { readonly kind: "error"; readonly reason: string };

const SCANNABLE: Scannable = { kind: "scannable" };

/** What is known of ONE running scanner. Another process may have other limits: it needs another object. */
export class SizeLimit {
  #proven = ALWAYS_SCANNABLE;
  #failed = Infinity;
  #probesWork: boolean | undefined;
  /** In ms of `performance.now()`. */
  #askedAt = -Infinity;

  /** Whether something was to be known of it since then, in ms of `performance.now()`. */
  wasAskedSince(time: number): boolean {
    return this.#askedAt >= time;
  }

  /** Another process may be there now. */
  forget(): void {
    this.#proven = ALWAYS_SCANNABLE;
    this.#failed = Infinity;
    this.#probesWork = undefined;
  }

  /** Whether an OK to a file of `size` bytes is a verdict; makes as few probes as will do. */
  async check(size: number, probe: Probe, fallback: Fallback): Promise<Scannable> {
    this.#askedAt = performance.now();
    if (size <= this.#proven) return SCANNABLE;
    if (this.#probesWork === undefined) {
      // A database may know the bare string only; then a failed probe would tell nothing.
      const first = await probe(ALWAYS_SCANNABLE);
      if (first.kind === "error") return first;
      this.#probesWork = first.kind === "infected";
      if (!this.#probesWork) fallback.used();
    }
    if (!this.#probesWork) {
      return size <= fallback.largest ? SCANNABLE : tooLarge(size);
    }
    for (const step of [roundedUp(size), size]) {
      if (step >= this.#failed) continue;
      const verdict = await probe(step);
      if (verdict.kind === "error") return verdict;
      if (verdict.kind === "infected") {
        this.#proven = Math.max(this.#proven, step);
        return SCANNABLE;
      }
      this.#failed = Math.min(this.#failed, step);
    }
    return tooLarge(size);
  }
}

/** The next power of two, or of 64 MiB the next multiple: files of similar size need no probe of their own. */
function roundedUp(size: number): number {
  if (size > LARGEST_STEP) return Math.ceil(size / LARGEST_STEP) * LARGEST_STEP;
  return 2 ** Math.ceil(Math.log2(size));
}

function tooLarge(size: number): Scannable {
  const advice = size > LARGEST_FILE
    ? "can look at, however it is configured: what becomes of them in a channel, its scanning.oversize and scanning.maxFileSize say"
    : "looks at: raise MaxFileSize and MaxScanSize in its configuration to more than that";
  return { kind: "unscannable", reason: `${showSize(size)} are more than clamd ${advice}` };
}

/** The verdict for a file that is larger than its channel allows. */
export function tooLargeForChannel(size: number, largest: number): Verdict {
  const reason = `${showSize(size)} are more than scanning.maxFileSize, ${showSize(largest)}`;
  return { kind: "unscannable", reason };
}

/** An infected file of exactly `size` bytes that takes no room. The label shows in clamd's log. */
export function createProbe(size: number): Descriptor {
  const file = createMemoryFile("probe-of-clamd's-size-limit");
  try {
    writeAll(file, EICAR);
    truncate(file, size);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** `25 MiB`, `1.5 GiB`, or bytes where a unit would hide the difference. */
export function showSize(size: number): string {
  const units = ["GiB", "MiB", "KiB"];
  for (const [i, unit] of units.entries()) {
    const value = size / 1024 ** (3 - i);
    if (value >= 1 && Number.isInteger(value * 10)) return `${value} ${unit}`;
  }
  return `${size} bytes`;
}
