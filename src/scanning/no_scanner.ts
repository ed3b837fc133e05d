import type { Availability, Scanner, Verdict } from "./scanner.ts";

const CLEAN: Promise<Verdict> = Promise.resolve({ kind: "clean" });

/** For channels whose users trust each other (`scanning.enable: false`, `--no-scan`): everything is clean. */
export class NoScanner implements Scanner {
  /** Nothing limits scans that are none; what a pipeline has in flight otherwise is plenty. */
  readonly concurrency = 32;
  readonly isDown = false;

  scan(): Promise<Verdict> {
    return CLEAN;
  }

  check(): Promise<Availability> {
    return Promise.resolve({ available: true, version: "scanning is off" });
  }

  /** It never fails, so it never recovers. */
  onRecovery(): void {}

  close(): void {}
}
