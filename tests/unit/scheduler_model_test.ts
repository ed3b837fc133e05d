/**
 * I7: the scheduler against what is promised of it, with jobs of any kind at any time: limits hold, nobody is passed
 * over, a place that is free is used at once, and every job runs exactly once.
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { nextTurn } from "../../ffi/reactor.ts";
import { Scheduler } from "../../src/scheduling/scheduler.ts";
import { SimulatedClock } from "../support/simulated_clock.ts";
import { NIGHTLY } from "../support/size.ts";

const QUICK_MS = 25;
const LONG_MS = 2000;
/** How late it may be noticed that a job is not quick any more: a look, and what the processor is kept busy. */
const NOTICED_MS = 100;
const HARD_LIMIT = 64;
const FOR_OTHERS = 8;
/** For how many times as long as they took jobs that took long are held against their source. */
const REMEMBERED_TIMES = 10;

interface Job {
  /** What its beginning costs the processor, and how long it waits then. */
  readonly spendsMs: number;
  readonly takesMs: number;
}

interface Offer {
  readonly source: number;
  readonly atMs: number;
  readonly jobs: readonly Job[];
}

interface Places {
  readonly places: number;
  readonly quick: number | undefined;
}

interface Scenario {
  readonly sources: number;
  readonly offers: readonly Offer[];
  readonly places: Places;
  /** Of the scanner, which may have been started with another configuration. */
  readonly changes: readonly (Places & { readonly atMs: number })[];
  readonly stopsAtMs: number | undefined;
}

class Source {
  readonly waiting: Job[] = [];
  /** How many jobs of each other source have begun while this one had some that waited. */
  readonly passedOver = new Map<Source, number>();
  /** Until when its jobs that took long and have ended are held against it. */
  longUntil = -Infinity;
}

interface Running {
  readonly source: Source;
  readonly since: number;
}

class Model {
  readonly clock = new SimulatedClock();
  readonly scheduler: Scheduler;
  readonly #sources: readonly Source[];
  readonly #running = new Set<Running>();
  #places: Places;
  #changedAt = -Infinity;
  #begun = 0;
  #ended = 0;
  #stopping: Promise<void> | undefined;
  #hasStopped = false;
  /** Jobs never reject. */
  #failure: unknown;

  constructor(private readonly scenario: Scenario) {
    this.#places = scenario.places;
    const { clock } = this;
    this.scheduler = new Scheduler(
      {
        places: () => this.#places.places,
        quick: () => this.#places.quick ?? this.#places.places,
      },
      clock,
    );
    this.#sources = Array.from({ length: scenario.sources }, () => new Source());
    for (const source of this.#sources) this.scheduler.add(() => this.#take(source));
    for (const { source, atMs, jobs } of scenario.offers) {
      clock.after(atMs, () => this.#offer(this.#sources[source % this.#sources.length], jobs));
    }
    for (const change of scenario.changes) {
      clock.after(change.atMs, () => {
        this.#places = change;
        this.#changedAt = clock.now();
      });
    }
    if (scenario.stopsAtMs !== undefined) clock.after(scenario.stopsAtMs, () => this.#stop());
  }

  #offer(source: Source | undefined, jobs: readonly Job[]): void {
    if (source === undefined) return;
    if (source.waiting.length === 0) source.passedOver.clear();
    source.waiting.push(...jobs);
    this.scheduler.wake();
  }

  #take(source: Source): (() => Promise<void>) | undefined {
    const job = source.waiting.shift();
    return job &&
      (() => this.#run(source, job).catch((failure) => void (this.#failure ??= failure)));
  }

  async #run(source: Source, { spendsMs, takesMs }: Job): Promise<void> {
    this.#assertMayBegin(source);
    const { clock } = this;
    const running = { source, since: clock.now() };
    this.#running.add(running);
    this.#begun++;
    clock.spend(spendsMs);
    if (takesMs > 0) await new Promise<void>((resolve) => clock.after(takesMs, () => resolve()));
    this.#running.delete(running);
    const took = clock.now() - running.since;
    if (took < LONG_MS) return void this.#ended++;
    // The scheduler hears of it a little later.
    const until = clock.now() + REMEMBERED_TIMES * took + NOTICED_MS * (REMEMBERED_TIMES + 1);
    source.longUntil = Math.max(source.longUntil, until);
    this.#ended++;
  }

  #younger(ms: number): number {
    return [...this.#running].filter(({ since }) => this.clock.now() - since < ms).length;
  }

  #runningOf(source: Source, longerThanMs = -1): number {
    const now = this.clock.now();
    return [...this.#running].filter((one) =>
      one.source === source && now - one.since > longerThanMs
    ).length;
  }

  /** Some of very many are left for others before anything has taken long. */
  get #placesNow(): number {
    return Math.min(this.#places.places, HARD_LIMIT - FOR_OTHERS);
  }

  #assertMayBegin(source: Source): void {
    const places = this.#placesNow;
    const quick = Math.min(places, this.#places.quick ?? places);
    assert(this.#stopping === undefined, "it was stopped");
    assert(this.#younger(QUICK_MS) < quick, "too many at a time that have just begun");
    assert(this.#younger(LONG_MS) < places, "too many at a time");
    assert(this.#running.size < HARD_LIMIT, "more than the hard limit");
    if (this.#sources.length > 1 && this.#runningOf(source, LONG_MS + NOTICED_MS) > 0) {
      const most = places > 8 ? places - 1 : HARD_LIMIT - FOR_OTHERS;
      assert(this.#runningOf(source) < most, "a source with long jobs leaves no place to others");
    }
    source.passedOver.clear();
    for (const other of this.#sources) {
      if (other === source || other.waiting.length === 0) continue;
      const turns = this.#mayLeaveItsTurn(other) ? 0 : (other.passedOver.get(source) ?? 0) + 1;
      assert(turns <= 1, "a source was passed over");
      other.passedOver.set(source, turns);
    }
  }

  /** With jobs that take long, for the sake of others. */
  #mayLeaveItsTurn(source: Source): boolean {
    return this.#runningOf(source, LONG_MS - 1) > 0 || this.clock.now() < source.longUntil;
  }

  #stop(): void {
    this.#stopping ??= this.scheduler.stop().then(() => {
      this.#hasStopped = true;
      if (this.#running.size > 0) this.#failure ??= new Error("it has stopped while something ran");
    });
  }

  /** A place is free, a source may use it, and has a job. */
  #assertNoneIsIdle(): void {
    if (this.#stopping !== undefined || this.clock.now() - this.#changedAt < NOTICED_MS) return;
    const places = this.#placesNow;
    const quick = Math.min(places, this.#places.quick ?? places);
    const hasPlace = this.#younger(QUICK_MS + NOTICED_MS) < quick &&
      this.#younger(LONG_MS + NOTICED_MS) < places && this.#running.size < HARD_LIMIT;
    if (!hasPlace) return;
    for (const source of this.#sources) {
      const isServed = source.waiting.length === 0 || this.#mayLeaveItsTurn(source);
      assert(isServed, "a place is free, and work waits");
    }
  }

  /** Until the event loop has nothing more to do at this time. */
  async #rest(): Promise<void> {
    let before = -1;
    while (before !== this.#begun + this.#ended) {
      before = this.#begun + this.#ended;
      await nextTurn();
      this.clock.pass(0); // timers have their turn as well
      await nextTurn();
    }
  }

  async live(): Promise<void> {
    while (this.clock.waiting > 0) {
      this.clock.pass(Math.max(0, this.clock.nextAt - this.clock.now()));
      await this.#rest();
      if (this.#failure !== undefined) throw this.#failure;
      this.#assertNoneIsIdle();
    }
    assertEquals([this.#running.size, this.scheduler.running], [0, 0]);
    if (this.#stopping !== undefined) {
      assert(this.#hasStopped, "it never stops");
      return;
    }
    const offered = this.scenario.offers.reduce((sum, { jobs }) => sum + jobs.length, 0);
    assertEquals([this.#begun, this.#ended], [offered, offered]);
  }
}

const atMs = fc.oneof(fc.nat(60), fc.nat(5_000));
const job: fc.Arbitrary<Job> = fc.record({
  spendsMs: fc.constantFrom(0, 0, 0, 1, 6),
  takesMs: fc.oneof(
    fc.constant(0),
    fc.nat(QUICK_MS),
    fc.nat(300),
    fc.integer({ min: LONG_MS - 50, max: 3 * LONG_MS }),
  ),
});
const places = {
  places: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constant(HARD_LIMIT)),
  quick: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
};

/** What is offered is any mixture of jobs, or many alike. */
const jobs = fc.oneof(
  fc.array(job, { maxLength: 8, size: "max" }),
  fc.tuple(job, fc.nat(100)).map(([job, count]) => Array.from({ length: count }, () => job)),
);
const scenario: fc.Arbitrary<Scenario> = fc.record({
  sources: fc.integer({ min: 1, max: 4 }),
  offers: fc.array(fc.record({ source: fc.nat(3), atMs, jobs }), { maxLength: 10, size: "max" }),
  places: fc.record(places),
  changes: fc.array(fc.record({ ...places, atMs }), { maxLength: 2 }),
  stopsAtMs: fc.oneof(
    { arbitrary: fc.constant(undefined), weight: 4 },
    { arbitrary: atMs, weight: 1 },
  ),
});

Deno.test("I7: whatever is offered when, limits hold, nobody starves, and every job runs once", async () => {
  await fc.assert(
    fc.asyncProperty(scenario, (scenario) => new Model(scenario).live()),
    { numRuns: NIGHTLY ? 5_000 : 150 },
  );
});
