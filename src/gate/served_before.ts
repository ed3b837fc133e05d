/**
 * The channels that were served before a start anew, which hands their names over: one that cannot be opened at that very
 * moment waits, as it would have done before, while at a first start it is skipped.
 */

import { displayText } from "../../ffi/byte_string.ts";
import { messageOf, SystemError } from "../../ffi/errno.ts";
import type { Logger } from "../logging/logging.ts";
import type { ChannelConfig } from "./config/channel_config.ts";
import { checkReplaced } from "./layout_check.ts";
import { LayoutFault } from "./layout_fault.ts";

/** A channel that was served before, and cannot be for now. */
export interface Waiting {
  readonly name: string;
  /** Its directories could be opened, and still are. */
  readonly isOpen: boolean;
}

export class ServedBefore {
  readonly #log: Logger;
  readonly #names: ReadonlySet<string>;
  readonly #waiting: Waiting[] = [];

  constructor(log: Logger, names: Iterable<string>) {
    this.#log = log;
    this.#names = new Set(names);
  }

  get waiting(): readonly Waiting[] {
    return this.#waiting;
  }

  /** Throws LayoutFault where one of them is to wait: what a first start makes may be about to be mounted, or put back. */
  check({ name, basePath, producers }: ChannelConfig): void {
    if (!this.#names.has(name)) return;
    const found = checkReplaced(basePath, producers).find(({ severity }) => severity === "fault");
    if (found !== undefined) throw new LayoutFault(found.message);
  }

  /** Whether the channel, which could not be opened or started, waits for another time. */
  waits(
    { name }: ChannelConfig,
    error: unknown,
    { isOpen }: { readonly isOpen: boolean },
  ): boolean {
    const mayPass = error instanceof LayoutFault || error instanceof SystemError;
    if (!mayPass || !this.#names.has(name)) return false;
    this.#waiting.push({ name, isOpen });
    this.#log.warn("channel {channel} waits until it can be served again: {reason}", {
      channel: displayText(name),
      reason: messageOf(error),
    });
    return true;
  }
}
