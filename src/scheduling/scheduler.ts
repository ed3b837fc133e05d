/**
 * Runs jobs side by side, in turn for each source (a guest's share), so that a flood from one delays the
 * others by no more than the jobs already running (I7). A job that takes long gives its place to
 * the next one, up to a hard limit, so that stuck ones block nobody.
 */

const LONG_MS = 2000;
const HARD_LIMIT = 64;

/** Offers its next job when it is asked; `undefined` when there is none. Jobs never reject. */
export type JobSource = () => (() => Promise<void>) | undefined;

export class Scheduler {
  readonly #sources: JobSource[] = [];
  readonly #limit: () => number;
  /** Jobs that hold a place, and all jobs. */
  #places = 0;
  #running = 0;
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
    return this.#running;
  }

  /** To be called when a source may have a job. */
  wake(): void {
    while (!this.#stopped && this.#places < this.#limit() && this.#running < HARD_LIMIT) {
      const job = this.#nextJob();
      if (job === undefined) return;
      this.#start(job);
    }
  }

  /** Starts nothing more; settles when what runs has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
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
    this.#places++;
    this.#running++;
    let holdsPlace = true;
    const release = () => {
      if (!holdsPlace) return;
      holdsPlace = false;
      this.#places--;
    };
    const timer = setTimeout(() => {
      release();
      this.wake();
    }, LONG_MS);
    job().finally(() => {
      clearTimeout(timer);
      release();
      this.#running--;
      this.wake();
      if (this.#running === 0) this.#idle.splice(0).forEach((resolve) => resolve());
    });
  }
}
