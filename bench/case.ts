/** What is measured, and what came out. */

/** How our programs are run: as users start them, or without a compiler for JavaScript, as hardened units do. */
export type Runtime = "jit" | "jitless";

/** How a figure is to be. All that are given must hold. */
export interface Bar {
  /** Of the reference's figure. */
  readonly ratio?: number;
  /** On top of `ratio` times the reference, in the figure's unit. */
  readonly plus?: number;
  /** In the figure's unit. */
  readonly most?: number;
}

export type Unit = "ms" | "s" | "MiB" | "%" | "scans";

/** What a figure is called, counted in, and to be. */
export interface FigureHead {
  readonly title: string;
  readonly unit: Unit;
  readonly bar: Bar;
}

/** One figure, measured once a round, beside its reference. */
export interface Figure extends FigureHead {
  readonly ours: readonly number[];
  /** One for each of ours, from the same round; empty where there is none. */
  readonly reference: readonly number[];
  /** Ours without a compiler, from the first rounds; empty where it was not asked for. */
  readonly jitless: readonly number[];
}

/** How the cost of something grows with its number. */
export interface Growth {
  readonly title: string;
  /** What is counted along the x axis. */
  readonly of: string;
  readonly unit: Unit;
  /** Number and cost, by number. */
  readonly points: readonly (readonly [number, number])[];
}

/** An hour, minutes, or seconds: the last one shows that a case still works, not what it costs. */
export type Size = "full" | "quick" | "smoke";

/** How a case is to be run. */
export interface Effort {
  readonly size: Size;
  /** How often each is measured; none without a compiler is possible. */
  readonly rounds: Readonly<Record<Runtime, number>>;
  /** Says how far it is. */
  say(text: string): void;
}

interface Measurable {
  /** For `--only`. */
  readonly name: string;
  readonly title: string;
  /** What is compared with what, and under which conditions. */
  readonly how: string;
  /** Minutes after which a full run is taken for stuck. */
  readonly patienceMinutes?: number;
}

export interface Case extends Measurable {
  /** Rounds without a compiler where a round takes long. */
  readonly jitlessRounds?: number;
  run(effort: Effort): Promise<readonly Figure[]>;
}

export interface GrowthCase extends Measurable {
  grow(effort: Effort): Promise<readonly Growth[]>;
}

/** Why a case cannot be run here. */
export class CannotRun extends Error {
  override readonly name = "CannotRun";
}

/** What suits the effort. */
export function sized<T>({ size }: Effort, choice: Readonly<Record<Size, T>>): T {
  return choice[size];
}

/** The runtimes that are measured. */
export function runtimesOf({ rounds }: Effort): Runtime[] {
  return rounds.jitless > 0 ? ["jit", "jitless"] : ["jit"];
}
