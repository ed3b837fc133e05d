/**
 * Runs jobs side by side, in turn for each source (a guest's share), so that a flood from one delays the
 * others by no more than the jobs already running (I7). Few run at a time while they are quick; jobs that wait for
 * something make room for others, up to the limit; and one that takes long gives its place away, so that
 * stuck ones block nobody: up to a hard limit for all, and one for the sources that have such jobs. Where they
 * take each other what they need, fewer run.
 */

import { type Clock, MACHINE_CLOCK } from "../../ffi/clock.ts";
import { nextTurn } from "../../ffi/reactor.ts";
import { ONE_MORE_MS, Shortage } from "./shortage.ts";

/** A job that takes longer does more than to keep the processor busy. */
const QUICK_MS = 25;
const LONG_MS = 2000;
/** How often running jobs are looked at: a timer for each would cost more than many of them take. */
const LOOK_MS = 25;
const HARD_LIMIT = 64;
/** Places of the hard limit that sources with jobs that take long leave to the others, also before that is known. */
const FOR_OTHERS = 8;
/** For how many times as long as its jobs took a source counts as one with jobs that take long. */
const REMEMBERED_TIMES = 10;
/** With so few places, leaving one to others would make a source's own files wait for a single slow one. */
const FEW_PLACES = 8;
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
  /** Until when, in ms of the clock, those that took long and have ended still count. */
  longUntil: number;
}

interface Running {
  readonly client: Client;
  /** In ms of the clock. */
  readonly since: number;
  /** The first two hold a place. */
  pace: "quick" | "slow" | "long";
}

export interface SchedulerLimits {
  /** How many places there are now. */
  places(): number;
  /** How many of them are for jobs that have just begun; all, if it is not given. */
  quick?(): number;
}

export class Scheduler {
  readonly #clients: Client[] = [];
  readonly #limits: SchedulerLimits;
  /** In the order in which they were started. */
  readonly #running = new Set<Running>();
  /** How many of them hold a place, and how many of these have just begun. */
  #held = 0;
  #quick = 0;
  #watched = false;
  #next = 0;
  #idle: (() => void)[] = [];
  #stopped = false;
  /** Set while jobs are started in this turn of the event loop. */
  #sliceEnds: number | undefined;
  #isCutOff = false;
  readonly #shortage = new Shortage();

  constructor(limits: SchedulerLimits, private readonly clock: Clock = MACHINE_CLOCK) {
    this.#limits = limits;
  }

  add(source: JobSource): void {
    this.#clients.push({ source, running: 0, long: 0, longUntil: -Infinity });
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
    while (!this.#stopped && this.#hasPlace()) {
      this.#isCutOff = this.clock.now() >= sliceEnds;
      if (this.#isCutOff || !this.#startNext()) return;
    }
  }

  #hasPlace(): boolean {
    const places = this.#places();
    const quick = Math.min(places, this.#limits.quick?.() ?? places);
    const most = Math.min(HARD_LIMIT, this.#shortage.most(this.clock.now()));
    return this.#held < places && this.#quick < quick && this.#running.size < most;
  }

  #places(): number {
    return Math.min(HARD_LIMIT - FOR_OTHERS, this.#limits.places());
  }

  #beginSlice(): number {
    nextTurn().then(() => {
      this.#sliceEnds = undefined;
      if (!this.#isCutOff) return;
      this.#isCutOff = false;
      this.wake();
    });
    return this.#sliceEnds = this.clock.now() + SLICE_MS;
  }

  /** A job that runs could not have something of which there is too little for all: fewer run for a while. */
  missed(): void {
    this.#shortage.met(this.#running.size, this.clock.now());
    this.clock.after(ONE_MORE_MS, () => this.wake()); // if nothing runs by then, nobody else does
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

  /**
   * Who has jobs that take long leaves a place (and so a thread of the scanner) to the others. All of them together:
   * guests may have agreed on it.
   */
  #hasRoom(client: Client): boolean {
    const now = this.clock.now();
    if (this.#clients.length === 1 || !takesLong(client, now)) return true;
    let running = 0;
    for (const other of this.#clients) if (takesLong(other, now)) running += other.running;
    const places = this.#places();
    const most = places > FEW_PLACES ? places - 1 : HARD_LIMIT - FOR_OTHERS;
    return running < most;
  }

  #start(job: () => Promise<void>, client: Client): void {
    const running: Running = { client, since: this.clock.now(), pace: "quick" };
    this.#held++;
    this.#quick++;
    client.running++;
    this.#running.add(running);
    if (!this.#watched) this.#lookLater();
    job().finally(() => {
      this.#running.delete(running);
      client.running--;
      if (running.pace === "quick") this.#quick--;
      if (running.pace !== "long") this.#held--;
      else this.#forgetLater(running);
      this.wake();
      if (this.#running.size === 0) this.#idle.splice(0).forEach((resolve) => resolve());
    });
  }

  #forgetLater({ client, since }: Running): void {
    client.long--;
    const now = this.clock.now();
    client.longUntil = Math.max(client.longUntil, now + (now - since) * REMEMBERED_TIMES);
  }

  #lookLater(): void {
    this.#watched = true;
    this.clock.after(LOOK_MS, () => this.#lookAround());
  }

  #lookAround(): void {
    const now = this.clock.now();
    for (const running of this.#running) {
      const age = now - running.since;
      if (age < QUICK_MS) break;
      if (running.pace === "quick") {
        running.pace = "slow";
        this.#quick--;
      }
      if (running.pace === "slow" && age >= LONG_MS) {
        running.pace = "long";
        running.client.long++;
        this.#held--;
      }
    }
    this.#watched = false;
    if (this.#running.size > 0) this.#lookLater();
    this.wake();
  }
}

/** Whether it has jobs that take long, or had some not long ago. */
function takesLong({ long, longUntil }: Client, now: number): boolean {
  return long > 0 || longUntil > now;
}
