/**
 * Runs jobs side by side, in turn for each source (a guest's share), so that a flood from one delays the
 * others by no more than the jobs already running (I7). A job that takes long gives its place to
 * the next one, so that stuck ones block nobody: up to a hard limit for all, and one for each source.
 */

import { nextTurn } from "../../ffi/reactor.ts";

const LONG_MS = 2000;
/** How often running jobs are looked at: a timer for each would cost more than many of them take. */
const LOOK_MS = 250;
const HARD_LIMIT = 64;
/** How long jobs may be started in a row before the event loop has its turn: many need nothing to wait for. */
const SLICE_MS = 5;

/** Offers its next job when it is asked; `undefined` when there is none. Jobs never reject. */
export type JobSource = () => (() => Promise<void>) | undefined;

/** A source and what it has running. */
interface Client {
  readonly source: JobSource;
  running: number;
  /** Those of them that took long, and hold no place any more. */
  long: number;
}

interface Running {
  readonly client: Client;
  /** In ms of `performance.now()`. */
  readonly since: number;
  holdsPlace: boolean;
}

export class Scheduler {
  readonly #clients: Client[] = [];
  readonly #limit: () => number;
  /** In the order in which they were started. */
  readonly #running = new Set<Running>();
  /** How many of them hold a place. */
  #places = 0;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #next = 0;
  #idle: (() => void)[] = [];
  #stopped = false;
  /** Set while jobs are started in this turn of the event loop. */
  #sliceEnds: number | undefined;
  #isCutOff = false;

  /** `limit`: how many places there are now. */
  constructor(limit: () => number) {
    this.#limit = limit;
  }

  add(source: JobSource): void {
    this.#clients.push({ source, running: 0, long: 0 });
  }

  remove(source: JobSource): void {
    const at = this.#clients.findIndex((client) => client.source === source);
    if (at >= 0) this.#clients.splice(at, 1);
  }

  get running(): number {
    return this.#running.size;
  }

  /** To be called when a source may have a job. */
  wake(): void {
    const sliceEnds = this.#sliceEnds ?? this.#beginSlice();
    while (!this.#stopped && this.#places < this.#limit() && this.#running.size < HARD_LIMIT) {
      this.#isCutOff = performance.now() >= sliceEnds;
      if (this.#isCutOff || !this.#startNext()) return;
    }
  }

  #beginSlice(): number {
    nextTurn().then(() => {
      this.#sliceEnds = undefined;
      if (!this.#isCutOff) return;
      this.#isCutOff = false;
      this.wake();
    });
    return this.#sliceEnds = performance.now() + SLICE_MS;
  }

  /** Starts nothing more; settles when what runs has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** `false` if no source has a job that may run now. */
  #startNext(): boolean {
    for (let tried = 0; tried < this.#clients.length; tried++) {
      this.#next = (this.#next + 1) % this.#clients.length;
      const client = this.#clients[this.#next];
      if (client === undefined || !this.#hasRoom(client)) continue;
      const job = client.source();
      if (job === undefined) continue;
      this.#start(job, client);
      return true;
    }
    return false;
  }

  /** Who has jobs that take long leaves a place (and so a thread of the scanner) to the others. */
  #hasRoom({ running, long }: Client): boolean {
    return long === 0 || this.#clients.length === 1 || running < this.#limit() - 1;
  }

  #start(job: () => Promise<void>, client: Client): void {
    const running: Running = { client, since: performance.now(), holdsPlace: true };
    this.#places++;
    client.running++;
    this.#running.add(running);
    this.#watch ??= setTimeout(() => this.#lookAround(), LOOK_MS);
    job().finally(() => {
      this.#running.delete(running);
      client.running--;
      if (running.holdsPlace) this.#places--;
      else client.long--;
      this.wake();
      if (this.#running.size === 0) this.#idle.splice(0).forEach((resolve) => resolve());
    });
  }

  #lookAround(): void {
    const long = performance.now() - LONG_MS;
    for (const running of this.#running) {
      if (running.since > long) break;
      if (!running.holdsPlace) continue;
      running.holdsPlace = false;
      running.client.long++;
      this.#places--;
    }
    this.#watch = this.#running.size > 0
      ? setTimeout(() => this.#lookAround(), LOOK_MS)
      : undefined;
    this.wake();
  }
}
