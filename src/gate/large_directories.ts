/**
 * Large directories are read one at a time, whoever they are read for: what is known of one, and what is there, takes
 * memory for each of its names (I6). Small ones wait for nobody.
 */

export class LargeDirectories {
  #last: Promise<void> = Promise.resolve();

  /** Settles when it is the caller's turn; what it gives ends the turn. */
  async enter(): Promise<() => void> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    return resolve;
  }
}

/** The reading of one directory, which turns out to be large or does not. */
export class DirectoryTurn implements Disposable {
  readonly #large: LargeDirectories;
  #end: (() => void) | undefined;

  constructor(large: LargeDirectories) {
    this.#large = large;
  }

  get isTaken(): boolean {
    return this.#end !== undefined;
  }

  /** To be called, and waited for, as soon as the directory is found to be large. */
  async take(): Promise<void> {
    this.#end ??= await this.#large.enter();
  }

  [Symbol.dispose](): void {
    this.#end?.();
  }
}
