/** What a virus scanner offers. clamd is one implementation. */

import type { Descriptor } from "../../ffi/descriptor.ts";

/** Four verdicts, never two: only `infected` ever removes a file. */
export type Verdict =
  | { readonly kind: "clean" }
  | { readonly kind: "infected"; readonly signature: string }
  /** The scanner would skip it (too large for its limits): no proof of anything. */
  | { readonly kind: "unscannable"; readonly reason: string }
  /** No answer, a broken answer, or the scanner's own error: to be tried again. */
  | { readonly kind: "error"; readonly reason: string };

export interface Scanner {
  /**
   * Scans the whole content behind a descriptor that is open for reading and that nobody else can write to.
   * Never rejects. The descriptor stays the caller's and open until it settles.
   */
  scan(file: Descriptor, size: number): Promise<Verdict>;

  /** Whether the scanner answers now; the reason, in words, if it does not. */
  check(): Promise<
    { readonly available: true } | { readonly available: false; readonly reason: string }
  >;

  /** How many scans are worth having in flight. */
  readonly concurrency: number;

  /** `listener` is called when the scanner answers again after it had not. */
  onRecovery(listener: () => void): void;

  close(): void;
}
