/** What a virus scanner offers. clamd is one implementation. */

import type { Descriptor } from "../../ffi/descriptor.ts";

/**
 * Four verdicts, never two: only `infected` ever removes a file. Their texts are one line each, and what they quote is
 * escaped already.
 */
export type Verdict =
  | { readonly kind: "clean" }
  | { readonly kind: "infected"; readonly signature: string }
  /** The scanner would skip it (too large for its limits): no proof of anything. */
  | { readonly kind: "unscannable"; readonly reason: string }
  /** No answer, a broken answer, or the scanner's own error: to be tried again. */
  | { readonly kind: "error"; readonly reason: string };

export interface ScanLimits {
  /** The largest file, in bytes, whose scan counts: decided by the user, in place of what the scanner can prove. */
  readonly maxFileSize?: number;
}

export type Availability =
  /** What answers, in one line, escaped. */
  | { readonly available: true; readonly version: string }
  /** Why nothing does, in words, escaped. */
  | { readonly available: false; readonly reason: string };

export interface Scanner {
  /**
   * Scans the whole content behind a descriptor that is open for reading and that nobody else can write to; `size` is
   * its length in bytes. Rejects only for want of descriptors (`lacksDescriptors`), which says nothing about the
   * scanner. The descriptor stays the caller's and open until it settles.
   */
  scan(file: Descriptor, size: number, limits?: ScanLimits): Promise<Verdict>;

  /** Whether the scanner answers now. */
  check(): Promise<Availability>;

  /**
   * Whether it did not answer when it was asked last, other than for want of descriptors: `onRecovery` tells when it does
   * again.
   */
  readonly isDown: boolean;

  /** How many scans are worth having in flight; may change when the scanner was asked. */
  readonly concurrency: number;

  /** `listener` is called when the scanner answers again after it had not. */
  onRecovery(listener: () => void): void;

  /** Scans in flight end as errors. */
  close(): void;
}
