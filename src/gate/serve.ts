/** The time between being ready and ending: tells how it is, and reloads on request. */

import { displayText } from "../../ffi/byte_string.ts";
import type { Start } from "../../ffi/process.ts";
import type { Logger } from "../logging/logging.ts";
import type { ReloadRequests } from "../service_manager/reload_requests.ts";
import type { ServiceManager } from "../service_manager/service_manager.ts";
import type { Channel } from "./channel.ts";
import { checkReload } from "./reload.ts";

const STATUS_EVERY_MS = 10_000;

export interface Serving {
  /** The path of the configuration. */
  readonly config: string;
  readonly channels: readonly Channel[];
  readonly manager: ServiceManager;
  /** Settles when it is to end. */
  readonly stopping: Promise<unknown>;
  readonly reloads: ReloadRequests;
  readonly log: Logger;
}

/** Serves until it is to end; with a `Start` it is to be started anew, since the configuration has changed. */
export async function serve(
  { config, channels, manager, stopping, reloads, log }: Serving,
): Promise<Start | undefined> {
  let refusal = "";
  const status = () => statusOf(channels) + refusal;
  manager.ready(status());
  log.info("serving {status}", { status: status() });
  const timer = setInterval(() => manager.status(status()), STATUS_EVERY_MS);
  const ended = stopping.then(() => "stop" as const);
  try {
    while (await Promise.race([ended, reloads.next()]) !== "stop") {
      manager.reloading("reading the configuration again");
      const checked = checkReload(config);
      if ("start" in checked) return checked.start;
      for (const problem of checked.problems) log.error("{problem}", { problem });
      log.error("{config} is not used: everything goes on as before", {
        config: displayText(config),
      });
      refusal = "; the changed configuration has faults and is not used";
      manager.ready(status());
    }
    return undefined;
  } finally {
    clearInterval(timer);
  }
}

function statusOf(channels: readonly Channel[]): string {
  const pending = channels.reduce((sum, channel) => sum + channel.pending, 0);
  const count = `${channels.length} channel${channels.length === 1 ? "" : "s"}`;
  return pending === 0 ? count : `${count}, ${pending} path${pending === 1 ? "" : "s"} in work`;
}
