/** How many paths are kept somewhere, and how long they are together: each may be as long as a guest likes (I6). */

import type { RelativePath } from "../../ffi/byte_string.ts";

export interface PathLimits {
  readonly paths: number;
  /** Of all paths together. */
  readonly bytes: number;
}

export class PathTally {
  #paths = 0;
  #bytes = 0;

  constructor(private readonly limits: PathLimits) {}

  get paths(): number {
    return this.#paths;
  }

  /** How much of what may be kept is: 1 and more is full. */
  get fullness(): number {
    return Math.max(this.#paths / this.limits.paths, this.#bytes / this.limits.bytes);
  }

  get isFull(): boolean {
    return this.fullness >= 1;
  }

  add(path: RelativePath): void {
    this.#paths++;
    this.#bytes += path.length;
  }

  /** One that was added. */
  remove(path: RelativePath): void {
    this.#paths--;
    this.#bytes -= path.length;
  }

  clear(): void {
    this.#paths = 0;
    this.#bytes = 0;
  }
}
