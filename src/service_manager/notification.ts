/** Messages to the service manager: sd_notify(3). */

import { oneLine } from "../logging/one_line.ts";

/** What a daemon can say about itself; each message holds one or more of these. */
export interface Notification {
  readonly state?: "ready" | "stopping" | {
    /** CLOCK_MONOTONIC in microseconds when the reload began; systemd tells reloads apart by it. */
    readonly reloadingSinceUsec: bigint;
  };
  /** For people, in `systemctl status`. */
  readonly status?: string;
  /** The current start or stop may take this many milliseconds from now. */
  readonly extendTimeoutMs?: number;
  /** A sign of life. */
  readonly watchdog?: true;
}

const LONGEST_STATUS = 1000;

/** One assignment a line; a status can never add another (I9). */
export function encodeNotification(notification: Notification): Uint8Array<ArrayBuffer> {
  const { state, status, extendTimeoutMs, watchdog } = notification;
  const lines: string[] = [];
  if (state === "ready") lines.push("READY=1");
  else if (state === "stopping") lines.push("STOPPING=1");
  else if (state !== undefined) {
    lines.push("RELOADING=1", `MONOTONIC_USEC=${state.reloadingSinceUsec}`);
  }
  if (status !== undefined) lines.push(`STATUS=${oneLine(status.slice(0, LONGEST_STATUS))}`);
  if (extendTimeoutMs !== undefined) {
    lines.push(`EXTEND_TIMEOUT_USEC=${BigInt(Math.ceil(extendTimeoutMs)) * 1000n}`);
  }
  if (watchdog) lines.push("WATCHDOG=1");
  return new TextEncoder().encode(lines.join("\n"));
}
