/**
 * What is known of the last reading of each directory that is read from time to time: when it began, and which directories
 * it met. Bounded (I6). Pure but for the clocks.
 */

import { type RelativePath, ROOT } from "../../ffi/byte_string.ts";
import { inodeKey } from "../../ffi/file_content.ts";
import type { FileStatus } from "../../ffi/file_status.ts";

/** Later than any change. */
export const NEVER = 2n ** 63n;

/**
 * What changed so long before a reading began is looked at again, though it is not scanned again if it is known: times
 * come in ticks, and those of a shared filesystem from another machine's clock.
 */
const MARGIN_MS = 30_000;
/** Those that readings of the whole tree met, and all others together. One takes about 100 bytes. */
const MOST_DIRECTORIES = 100_000;
/** Read by themselves. */
const MOST_POLLED = 1_000;

/** Milliseconds: the time of day, which anybody may set, and one that only grows. */
export interface Clocks {
  wall(): number;
  steady(): number;
}

const MACHINE_CLOCKS: Clocks = { wall: () => Date.now(), steady: () => performance.now() };

/** One reading. */
export interface Poll {
  /** What changed since then (ns since 1970) is to be told. */
  readonly sinceNs: bigint;
  /** Of a directory that has changed since: whether it may have come from elsewhere, as the last reading did not meet it. */
  isNew(directory: FileStatus): boolean;
  /** It was read as a whole. */
  wasRead(directory: FileStatus): void;
  /** Everything was read: what changes from the beginning on is for the next one. */
  end(): void;
}

interface Moment {
  readonly ns: bigint;
  /** What the time of day was ahead of the steady clock. */
  readonly aheadMs: number;
}

interface Reading {
  readonly begun: Moment;
  readonly met: ReadonlySet<string>;
}

export class Polls {
  /** The last reading of each directory; the one of longest ago first. */
  readonly #last = new Map<RelativePath, Reading>();
  #newSince: Moment;

  /** `newSinceNs`: what changed earlier is never told. */
  constructor(
    newSinceNs: bigint,
    private readonly mostDirectories = MOST_DIRECTORIES,
    private readonly clocks: Clocks = MACHINE_CLOCKS,
  ) {
    this.#newSince = { ns: newSinceNs, aheadMs: this.#aheadMs };
  }

  /** A reading of `directory` begins. */
  begin(directory: RelativePath): Poll {
    const last = this.#last.get(directory) ?? this.#last.get(ROOT);
    const begun = { ns: nanoseconds(this.clocks.wall()), aheadMs: this.#aheadMs };
    const met = new Set<string>();
    const most = this.#roomBeside(directory);
    return {
      sinceNs: this.#sinceNs(last),
      isNew: (status) => last === undefined ? isRenamed(status) : !last.met.has(inodeKey(status)),
      wasRead: (status) => {
        if (met.size < most) met.add(inodeKey(status));
      },
      end: () => this.#ended(directory, { begun, met }),
    };
  }

  #sinceNs(last: Reading | undefined): bigint {
    const newSinceNs = this.#asToldNow(this.#newSince);
    // Also when the clock is set forward again.
    if (newSinceNs < this.#newSince.ns) {
      this.#newSince = { ns: newSinceNs, aheadMs: this.#aheadMs };
    }
    if (last === undefined) return newSinceNs;
    const sinceNs = this.#asToldNow(last.begun) - nanoseconds(MARGIN_MS);
    return sinceNs > newSinceNs ? sinceNs : newSinceNs;
  }

  /** What changes after the clock was set back has earlier times. */
  #asToldNow({ ns, aheadMs }: Moment): bigint {
    return ns - nanoseconds(Math.max(0, aheadMs - this.#aheadMs));
  }

  get #aheadMs(): number {
    return this.clocks.wall() - this.clocks.steady();
  }

  /** How many directories a reading may remember; what it does not is taken for new if it changes. */
  #roomBeside(directory: RelativePath): number {
    let most = this.mostDirectories;
    if (directory === ROOT) return most;
    for (const [other, { met }] of this.#last) {
      if (other !== directory && other !== ROOT) most -= met.size;
    }
    return most;
  }

  #ended(directory: RelativePath, reading: Reading): void {
    this.#last.delete(directory);
    this.#last.set(directory, reading);
    for (const other of this.#last.keys()) {
      if (this.#last.size <= MOST_POLLED) break;
      if (other !== ROOT) this.#last.delete(other); // the whole tree's stands for it
    }
  }
}

/** A rename changes only the time of change of a directory; what happens in it, both times. */
export function isRenamed({ ctimeNs, mtimeNs }: FileStatus): boolean {
  return mtimeNs < ctimeNs;
}

function nanoseconds(ms: number): bigint {
  return BigInt(Math.floor(ms)) * 1_000_000n;
}
