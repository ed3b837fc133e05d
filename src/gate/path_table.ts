/**
 * Something for each of many paths, found by whatever lies below one of them. A path has as many directories above it as
 * a guest likes, thousands in 8 KiB: to ask a Map for each of them would take a new string, and a pass over all of its
 * bytes, for each (I7).
 */

import type { RelativePath } from "../../ffi/byte_string.ts";

const SLASH = 0x2f;
/** Of FNV-1a. */
const PRIME = 0x01000193;
/** V8 has small integers of 31 bits; others are objects. */
const SMALL = 0x3fffffff;

export class PathTable<Value> {
  readonly #values = new Map<RelativePath, Value>();
  /** The paths by what `nearest` makes of their bytes; hardly ever two of them by the same. */
  readonly #byHash = new Map<number, RelativePath[]>();
  /** Nobody outside knows which paths have the same hash. */
  readonly #seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;

  get size(): number {
    return this.#values.size;
  }

  get(path: RelativePath): Value | undefined {
    return this.#values.get(path);
  }

  set(path: RelativePath, value: Value): void {
    if (!this.#values.has(path)) {
      const hash = this.#hashOf(path);
      const same = this.#byHash.get(hash);
      if (same === undefined) this.#byHash.set(hash, [path]);
      else same.push(path);
    }
    this.#values.set(path, value);
  }

  delete(path: RelativePath): void {
    if (!this.#values.delete(path)) return;
    const hash = this.#hashOf(path);
    const others = (this.#byHash.get(hash) ?? []).filter((other) => other !== path);
    if (others.length === 0) this.#byHash.delete(hash);
    else this.#byHash.set(hash, others);
  }

  /** In the order in which they were first set. */
  keys(): Iterable<RelativePath> {
    return this.#values.keys();
  }

  values(): Iterable<Value> {
    return this.#values.values();
  }

  /** That of `path`, or else of the lowest directory above it, of which `counts` holds. */
  nearest(path: RelativePath, counts: (value: Value) => boolean): Value | undefined {
    return this.covering(path).findLast(counts);
  }

  /** Those of the directories above `path`, the highest first, and of `path` itself. */
  covering(path: RelativePath): Value[] {
    const values: Value[] = [];
    if (this.#values.size === 0) return values;
    let hash = this.#seed;
    for (let at = 0; at <= path.length; at++) {
      const byte = path.charCodeAt(at); // NaN behind the end
      if (at === path.length || byte === SLASH) {
        const value = this.#begin(path, at, hash);
        if (value !== undefined) values.push(value);
      }
      hash = Math.imul(hash ^ byte, PRIME);
    }
    return values;
  }

  /** That of the path which is the first `length` bytes of `path`, of which `hash` was made. */
  #begin(path: RelativePath, length: number, hash: number): Value | undefined {
    for (const candidate of this.#byHash.get(hash & SMALL) ?? []) {
      if (candidate.length === length && path.startsWith(candidate)) {
        return this.#values.get(candidate);
      }
    }
    return undefined;
  }

  #hashOf(path: RelativePath): number {
    let hash = this.#seed;
    for (let at = 0; at < path.length; at++) hash = Math.imul(hash ^ path.charCodeAt(at), PRIME);
    return hash & SMALL;
  }
}
