/**
 * Runs jobs side by side, in turn for each source (a guest's share), so that a flood from one delays the
 * others by no more than the jobs already running (I7). A job that takes long gives its place to
 * the next one, up to a hard limit, so that stuck ones block nobody.
 */

const LONG_MS = 2000;
/** How often running jobs are looked at: a timer for each would cost more than many of them take. */
const LOOK_MS = 250;
const HARD_LIMIT = 64;

/** Offers its next job when it is asked; `undefined` when there is none. Jobs never reject. */
export type JobSource = () => (() => Promise<void>) | undefined;

interface Running {
  /** In ms of `performance.now()`. */
  readonly since: number;
  holdsPlace: boolean;
}

export class Scheduler {
  readonly #sources: JobSource[] = [];
  readonly #limit: () => number;
  /** In the order in which they were started. */
  readonly #running = new Set<Running>();
  /** How many of them hold a place. */
  #places = 0;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #next = 0;
  #idle: (() => void)[] = [];
  #stopped = false;

  /** `limit`: how many places there are now. */
  constructor(limit: () => number) {
    this.#limit = limit;
  }

  add(source: JobSource): void {
    this.#sources.push(source);
  }

  remove(source: JobSource): void {
    const at = this.#sources.indexOf(source);
    if (at >= 0) this.#sources.splice(at, 1);
  }

  get running(): number {
    return this.#running.size;
  }

  /** To be called when a source may have a job. */
  wake(): void {
    while (!this.#stopped && this.#places < this.#limit() && this.#running.size < HARD_LIMIT) {
      const job = this.#nextJob();
      if (job === undefined) return;
      this.#start(job);
    }
  }

  /** Starts nothing more; settles when what runs has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #nextJob(): (() => Promise<void>) | undefined {
    for (let tried = 0; tried < this.#sources.length; tried++) {
      this.#next = (this.#next + 1) % this.#sources.length;
      const job = this.#sources[this.#next]?.();
      if (job !== undefined) return job;
    }
    return undefined;
  }

  #start(job: () => Promise<void>): void {
    const running: Running = { since: performance.now(), holdsPlace: true };
    this.#places++;
    this.#running.add(running);
    this.#watch ??= setTimeout(() => this.#lookAround(), LOOK_MS);
    job().finally(() => {
      this.#running.delete(running);
      this.#release(running);
      this.wake();
      if (this.#running.size === 0) this.#idle.splice(0).forEach((resolve) => resolve());
    });
  }

  #release(running: Running): void {
    if (!running.holdsPlace) return;
    running.holdsPlace = false;
    this.#places--;
  }

  #lookAround(): void {
    const long = performance.now() - LONG_MS;
    for (const running of this.#running) {
      if (running.since > long) break;
      this.#release(running);
    }
    this.#watch = this.#running.size > 0
      ? setTimeout(() => this.#lookAround(), LOOK_MS)
      : undefined;
    this.wake();
  }
}
