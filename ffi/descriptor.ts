import { libc } from "./libc.ts";

/**
 * An open file descriptor with an owner that closes it: `using file = …`.
 * Closing twice is harmless; using the number after closing is an error, not another file.
 */
export class Descriptor implements Disposable {
  #number: number;

  constructor(number: number) {
    this.#number = number;
  }

  /** The number, for a system call that returns before the descriptor can be closed. */
  get fd(): number {
    if (this.#number < 0) throw new Error("this descriptor was closed before");
    return this.#number;
  }

  get isOpen(): boolean {
    return this.#number >= 0;
  }

  close(): void {
    if (this.#number >= 0) libc.close(this.release());
  }

  /** Gives up the number, which is the caller's to close. */
  protected release(): number {
    const number = this.fd;
    this.#number = -1;
    return number;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** What was opened, if it is what `isWanted`; if not, or if that cannot be told, it is closed. */
export function keptIf<Opened extends Descriptor>(
  opened: Opened,
  isWanted: (opened: Opened) => boolean,
): Opened | undefined {
  using owned = new DisposableStack();
  owned.use(opened);
  if (!isWanted(opened)) return undefined;
  owned.move();
  return opened;
}
