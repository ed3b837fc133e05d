/**
 * Whether a scanner answers. While it does not, scans fail at once instead of queueing up connections,
 * and it is asked for a sign of life now and then until it gives one.
 */

import { lacksDescriptors, messageOf } from "../../ffi/errno.ts";
import { RepeatLimit } from "../logging/repeat_limit.ts";

const FIRST_PROBE_MS = 250;
const LAST_PROBE_MS = 5_000;

type State =
  | { readonly kind: "up" }
  /** An answer is missing, and a question that will tell why is on its way. */
  | { readonly kind: "suspected"; readonly settled: Promise<void> }
  | { readonly kind: "down"; readonly reason: string };

export interface HealthOptions {
  /**
   * Asks the scanner for a sign of life; rejects with an Error in words if there is none in good time, or for want of
   * descriptors.
   */
  ask(): Promise<void>;
  /** Told when it stops answering. */
  onTrouble(message: string): void;
}

export class Health {
  readonly #options: HealthOptions;
  readonly #listeners: (() => void)[] = [];
  #state: State = { kind: "up" };
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Of the last reason only: after another one it is news again. */
  readonly #repeats = new RepeatLimit(1);
  #closed = false;

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** Why it does not answer; `undefined` as long as it does. */
  get trouble(): string | undefined {
    return this.#state.kind === "down" ? this.#state.reason : undefined;
  }

  /** Settles when a suspicion is settled; `undefined` if there is none. */
  get settled(): Promise<void> | undefined {
    return this.#state.kind === "suspected" ? this.#state.settled : undefined;
  }

  /** Called each time the scanner answers after it had not. */
  onRecovery(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** An answer got lost: perhaps the scanner is gone, perhaps only that one connection. It is asked. */
  suspect(): void {
    if (this.#closed || this.#state.kind !== "up") return;
    this.#state = { kind: "suspected", settled: this.check().then(() => {}) };
  }

  /** It certainly does not answer. */
  fail(reason: string): void {
    if (this.#closed) return;
    const wasDown = this.#state.kind === "down";
    this.#state = { kind: "down", reason }; // the latest one is what can be acted upon
    if (wasDown) return;
    if (this.#repeats.admits(reason)) this.#options.onTrouble(reason);
    this.#probeIn(FIRST_PROBE_MS);
  }

  /**
   * Asks now. The reason if there is no answer; it counts as down then, and as up otherwise. Where it could not be asked,
   * it counts as before.
   */
  async check(): Promise<string | undefined> {
    try {
      await this.#options.ask();
    } catch (error) {
      const reason = messageOf(error);
      if (!lacksDescriptors(error)) this.fail(reason);
      else if (this.#state.kind === "suspected") this.#state = { kind: "up" };
      return reason;
    }
    this.#answered();
    return undefined;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #answered(): void {
    if (this.#closed) return;
    const wasDown = this.#state.kind === "down";
    this.#state = { kind: "up" };
    clearTimeout(this.#timer);
    if (!wasDown) return;
    for (const listener of this.#listeners) listener();
  }

  #probeIn(delayMs: number): void {
    const timer = setTimeout(async () => {
      await this.check();
      // It may have come up and gone down again meanwhile, with a timer of its own.
      if (this.#closed || this.#state.kind !== "down" || this.#timer !== timer) return;
      this.#probeIn(Math.min(delayMs * 2, LAST_PROBE_MS));
    }, delayMs);
    this.#timer = timer;
  }
}
