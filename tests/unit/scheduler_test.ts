/** Jobs run side by side up to a limit, in turn for each source, and long ones block nobody (I7). */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { nextTurn } from "../../ffi/reactor.ts";
import { type JobSource, Scheduler } from "../../src/scheduling/scheduler.ts";
import { sleep, waitFor } from "../support/wait.ts";

/** Its last look around has passed. */
const LOOKS_MS = 100;

/** A source of jobs that end when they are told to. */
class Source {
  readonly #ends: (() => void)[] = [];
  #left: number;

  constructor(private readonly log: string[], private readonly name: string, jobs: number) {
    this.#left = jobs;
  }

  readonly take: JobSource = () => {
    if (this.#left === 0) return undefined;
    this.#left--;
    return () => {
      this.log.push(this.name);
      return new Promise((resolve) => this.#ends.push(resolve));
    };
  };

  /** Ends the job that has run longest, and lets the scheduler know. */
  async end(): Promise<void> {
    this.#ends.shift()?.();
    await nextTurn();
  }
}

Deno.test("I7: a flood of one source delays another by no more than the jobs that run", async () => {
  const log: string[] = [];
  const scheduler = new Scheduler({ places: () => 2 });
  const [flood, other] = [new Source(log, "flood", 100), new Source(log, "other", 2)];
  scheduler.add(flood.take);
  scheduler.wake();
  assertEquals(log, ["flood", "flood"]);
  scheduler.add(other.take);
  await flood.end();
  assertEquals(log, ["flood", "flood", "other"]);
  await flood.end();
  assertEquals(log, ["flood", "flood", "other", "flood"]);
  await other.end();
  assertEquals(log.at(-1), "other");
  assertEquals(scheduler.running, 2);
  await other.end();
  for (let i = 0; i < 98; i++) await flood.end();
  assertEquals([scheduler.running, log.length], [0, 102]);
  await sleep(LOOKS_MS);
});

Deno.test("I7: a job that takes long gives its place to the next", async () => {
  const log: string[] = [];
  const scheduler = new Scheduler({ places: () => 1 });
  const source = new Source(log, "x", 2);
  scheduler.add(source.take);
  scheduler.wake();
  assertEquals(scheduler.running, 1);
  await waitFor("the next one starts as well", () => scheduler.running === 2);
  await source.end();
  await source.end();
  assertEquals(scheduler.running, 0);
  await sleep(LOOKS_MS);
});

Deno.test("when it stops nothing more starts, and what runs is waited for", async () => {
  const log: string[] = [];
  const scheduler = new Scheduler({ places: () => 1 });
  const source = new Source(log, "x", 2);
  scheduler.add(source.take);
  scheduler.wake();
  let stopped = false;
  const stopping = scheduler.stop().then(() => stopped = true);
  await nextTurn();
  assertEquals(stopped, false);
  await source.end();
  await stopping;
  assertEquals(log, ["x"]);
  await sleep(LOOKS_MS);
});
