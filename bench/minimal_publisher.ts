/** A C program that makes the system calls that one file needs, and no others (reference/publish.c). */

import { PAUSE_MS } from "./guest.ts";
import { build, nextSeed, numbersOf } from "./reference.ts";
import type { Stage } from "./stage.ts";

export class MinimalPublisher {
  private constructor(
    private readonly program: string,
    private readonly places: readonly string[],
    private readonly clamdSocket: string,
    private readonly debounceMs: number,
  ) {}

  /** With directories of its own on the stage's filesystem: staging, one guest's share, three targets. */
  static async prepare(stage: Stage, debounceMs: number): Promise<MinimalPublisher> {
    const program = await build("publish");
    const places = ["staging", "source", "one", "two", "three"].map((n) => `${stage.outside}/${n}`);
    for (const place of places) await Deno.mkdir(place);
    return new MinimalPublisher(program, places, stage.clamd?.socket ?? "-", debounceMs);
  }

  /**
   * Milliseconds, beyond the debounce, from a 4 KiB file's close until the last target has it, for each of `count`
   * files, one after the other.
   */
  async latencies(count: number): Promise<number[]> {
    const [staging = "", source = "", ...targets] = this.places;
    const waits = [PAUSE_MS, this.debounceMs];
    const args = [staging, source, this.clamdSocket, count, 4096, ...waits, nextSeed(), ...targets];
    return (await numbersOf(this.program, args)).map((us) => us / 1000);
  }
}
