/**
 * The one path that waits for its quiet time, but for those that are expected, and when it is near its end: what is
 * prepared for one of many would only wait as well. Pure.
 */

import type { RelativePath } from "../../ffi/byte_string.ts";

/** How long before its quiet time is over a path is near its end, but not in the first three quarters. */
const SOON_MS = 1;

export class LonePath {
  readonly #waiting = new Set<RelativePath>();
  readonly #soonMs: number;
  /** The due time of which was told that it is near. */
  #toldOf = -Infinity;

  constructor(debounceMs: number) {
    this.#soonMs = Math.min(SOON_MS, debounceMs / 4);
  }

  add(path: RelativePath): void {
    this.#waiting.add(path);
  }

  delete(path: RelativePath): void {
    this.#waiting.delete(path);
  }

  clear(): void {
    this.#waiting.clear();
  }

  /** `undefined` if there are none or several. */
  get path(): RelativePath | undefined {
    return this.#waiting.size === 1 ? this.#waiting.values().next().value : undefined;
  }

  /** When it is to be told that the path is near `dueAt`, its end; Infinity once it was. */
  soonAt(dueAt: number): number {
    return this.path === undefined || dueAt === this.#toldOf ? Infinity : dueAt - this.#soonMs;
  }

  /** It was told. */
  told(dueAt: number): void {
    this.#toldOf = dueAt;
  }
}
