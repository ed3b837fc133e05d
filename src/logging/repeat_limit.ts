/**
 * Keeps what lasts, or what guests can bring about at will, from being told again and again: of one kind of trouble the
 * user hears once a minute.
 */

import { type Clock, MACHINE_CLOCK } from "../../ffi/clock.ts";
import { BoundedMap } from "../collections/bounded_map.ts";

const SAME_TROUBLE_MS = 60_000;
const MOST_KINDS = 100;

export class RepeatLimit {
  /** When each kind was last told. */
  readonly #toldAt: BoundedMap<string, number>;

  /** `mostKinds`: beyond them the one told longest ago is forgotten, and would be news (I6). */
  constructor(
    mostKinds = MOST_KINDS,
    private readonly clock: Pick<Clock, "now"> = MACHINE_CLOCK,
  ) {
    this.#toldAt = new BoundedMap(mostKinds);
  }

  /** Whether trouble of `kind` is to be told now. */
  admits(kind: string): boolean {
    const now = this.clock.now();
    if (now - (this.#toldAt.get(kind) ?? -Infinity) < SAME_TROUBLE_MS) return false;
    this.#toldAt.set(kind, now);
    return true;
  }
}
