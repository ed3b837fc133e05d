/** What is measured, and what came out. */

/** How a figure is to be. All that are given must hold. */
export interface Bar {
  /** Of the reference's figure. */
  readonly ratio?: number;
  /** On top of `ratio` times the reference, in the figure's unit. */
  readonly plus?: number;
  /** In the figure's unit. */
  readonly most?: number;
}

export type Unit = "ms" | "s" | "MiB" | "%" | "µs" | "scans";

/** One figure, measured once a round, beside its reference. */
export interface Figure {
  readonly title: string;
  readonly unit: Unit;
  readonly ours: readonly number[];
  /** One for each of ours, from the same round; empty where there is none. */
  readonly reference: readonly number[];
  readonly bar: Bar;
}

/** How the cost of something grows with its number. */
export interface Growth {
  readonly title: string;
  /** What is counted along the x axis. */
  readonly of: string;
  readonly unit: Unit;
  /** Number and cost. */
  readonly points: readonly (readonly [number, number])[];
}

/** How a case is to be run. */
export interface Effort {
  /** Rounds of ours and the reference in turns. */
  readonly rounds: number;
  /** Minutes, not an hour: fewer and smaller things. */
  readonly quick: boolean;
  /** Options for the runtime of our daemons (`--v8-flags=--jitless`). */
  readonly runtime: readonly string[];
  /** Says how far it is. */
  say(text: string): void;
}

export interface Case {
  /** For `--only`. */
  readonly name: string;
  readonly title: string;
  /** What is compared with what, and under which conditions. */
  readonly how: string;
  run(effort: Effort): Promise<readonly Figure[]>;
}

export interface GrowthCase {
  readonly name: string;
  readonly title: string;
  run(effort: Effort): Promise<readonly Growth[]>;
}

/** Why a case cannot be run here. */
export class CannotRun extends Error {
  override readonly name = "CannotRun";
}

/** Runs `round` as often as asked; what it returns, by title, in the order of the rounds. */
export async function inRounds<K extends string>(
  effort: Effort,
  round: (number: number) => Promise<Readonly<Record<K, number>>>,
): Promise<Readonly<Record<K, readonly number[]>>> {
  const all: Readonly<Record<K, number>>[] = [];
  for (let number = 0; number < effort.rounds; number++) {
    effort.say(`round ${number + 1} of ${effort.rounds}`);
    all.push(await round(number));
  }
  const [first] = all;
  if (first === undefined) throw new RangeError("at least one round");
  const columns = (Object.keys(first) as K[]).map((key) => [key, all.map((one) => one[key])]);
  return Object.fromEntries(columns) as Record<K, readonly number[]>; // its keys are the rounds' keys
}
