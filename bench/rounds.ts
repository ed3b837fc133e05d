/** Ours, ours without a compiler, and the reference, measured in turns. */

import type { Effort, Figure, FigureHead, Runtime } from "./case.ts";

/** Figures of one round, by name. */
export type Sample = Readonly<Record<string, number>>;

export interface Contest {
  /** Leave it out where ours is compared with something that it measures itself, or with nothing. */
  reference?(round: number): Promise<Sample>;
  ours(runtime: Runtime, round: number): Promise<Sample>;
}

type Side = Runtime | "reference";

export class Measured {
  constructor(private readonly samples: Readonly<Record<Side, readonly Sample[]>>) {}

  /** The figure `name`, beside the reference's of the same name or beside our own `beside`. */
  figure(name: string, head: FigureHead, beside?: string): Figure {
    return {
      ...head,
      ours: this.#column("jit", name),
      reference: beside === undefined
        ? this.#column("reference", name)
        : this.#column("jit", beside),
      jitless: this.#column("jitless", name),
    };
  }

  #column(side: Side, name: string): number[] {
    return this.samples[side].map((sample) => {
      const value = sample[name];
      if (value === undefined || Number.isNaN(value)) throw new Error(`${side} has no ${name}`);
      return value;
    });
  }
}

/**
 * Measures as often as asked. What goes first changes from round to round, so that neither always finds what the
 * other has left.
 */
export async function inRounds(effort: Effort, contest: Contest): Promise<Measured> {
  const samples: Record<Side, Sample[]> = { jit: [], jitless: [], reference: [] };
  for (let round = 0; round < effort.rounds.jit; round++) {
    effort.say(`round ${round + 1} of ${effort.rounds.jit}`);
    const turns: Side[] = ["reference", "jit"];
    if (round % 2 === 1) turns.reverse();
    if (round < effort.rounds.jitless) turns.push("jitless");
    for (const side of turns) {
      if (side !== "reference") samples[side].push(await contest.ours(side, round));
      else if (contest.reference !== undefined) samples[side].push(await contest.reference(round));
    }
  }
  return new Measured(samples);
}

/** Measures each once and forgets it: what is hot is compiled, and what is read is in the page cache. */
export async function warmUp(effort: Effort, contest: Contest): Promise<void> {
  effort.say("warming up");
  const jitless = Math.min(1, effort.rounds.jitless);
  await inRounds({ ...effort, rounds: { jit: 1, jitless }, say: () => {} }, contest);
}
