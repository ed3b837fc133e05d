/**
 * Infected files that are written again and again, so that no verdict is on what they are by then. After a few such
 * verdicts in a row they are dealt with whatever their version is: else malware would only have to
 * write without a pause. Bounded (I6). Pure.
 */

import { inodeKey } from "../../ffi/file_content.ts";
import type { FileStatus } from "../../ffi/file_status.ts";
import { BoundedMap } from "../collections/bounded_map.ts";

/** One could be an innocent change that came just then; so many are none. */
const VERDICTS = 3;
const MOST = 1_000;

export class RestlessFiles {
  /** How often each was found to be infected, and had changed by then. */
  readonly #found = new BoundedMap<string, number>(MOST);

  /** It was found to be infected, and has changed meanwhile: whether that has gone on for long enough. */
  infectedAgain(file: FileStatus): boolean {
    const key = inodeKey(file);
    const times = (this.#found.get(key) ?? 0) + 1;
    if (times < VERDICTS) this.#found.set(key, times);
    else this.#found.delete(key);
    return times >= VERDICTS;
  }

  /** It was not infected, or is at rest. */
  forget(file: FileStatus): void {
    this.#found.delete(inodeKey(file));
  }
}
