/**
 * How many jobs may run while something that each of them needs is short, such as descriptors: half as many
 * each time that one of them misses it, and one more again after each while without that. Pure.
 */

/** After which time one more is tried. */
export const ONE_MORE_MS = 250;

export class Shortage {
  #most = Infinity;
  #since = 0;

  /** One of `running` jobs missed something. Where it was the only one, even that has to wait. */
  met(running: number, nowMs: number): void {
    if (running === 0) return; // no job is to blame, and none would ever begin where others miss it again and again
    this.#most = Math.min(running >> 1, this.most(nowMs));
    this.#since = nowMs;
  }

  /** How many may run. */
  most(nowMs: number): number {
    return this.#most + Math.floor((nowMs - this.#since) / ONE_MORE_MS);
  }
}
