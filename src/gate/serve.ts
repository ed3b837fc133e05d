/** The time between being ready and ending: tells how it is, and is ended for a start anew, on request or need. */

import { displayText } from "../../ffi/byte_string.ts";
import { pause } from "../../ffi/clock.ts";
import { messageOf } from "../../ffi/errno.ts";
import type { Start } from "../../ffi/process.ts";
import type { Logger } from "../logging/logging.ts";
import type { ReloadRequests } from "../service_manager/reload_requests.ts";
import type { ServiceManager } from "../service_manager/service_manager.ts";
import type { Channel } from "./channel.ts";
import { type Checked, checkReload, checkRestart, type Served } from "./reload.ts";
import type { Waiting } from "./served_before.ts";

const STATUS_EVERY_MS = 10_000;
/** How often a channel that was displaced is looked at. */
const LOOK_AGAIN_MS = 2000;
/** From one start to the next, however often directories are replaced (I6). */
const SHORTEST_MS = 3000;
/** The same where one could be opened, but not started: nothing tells beforehand whether it can next time. */
const AFTER_FAILURE_MS = 60_000;

export interface Serving {
  /** The path of the configuration. */
  readonly config: string;
  readonly channels: readonly Channel[];
  readonly waiting: readonly Waiting[];
  readonly manager: ServiceManager;
  /** Settles when it is to end. */
  readonly stopping: Promise<unknown>;
  readonly reloads: ReloadRequests;
  readonly log: Logger;
}

/**
 * Serves until it is to end; with a `Start` it is to be started anew, since the configuration has changed, or a channel was
 * displaced: only a start can open an index.
 */
export async function serve(serving: Serving): Promise<Start | undefined> {
  const { config, manager, stopping, reloads, log } = serving;
  let refusal = "";
  const status = () => statusOf(serving) + refusal;
  manager.ready(status());
  log.info("serving {status}", { status: status() });
  const timer = setInterval(() => manager.status(status()), STATUS_EVERY_MS);
  const ended = stopping.then(() => "stop" as const);
  const restart = whenReplaced(serving);
  try {
    for (;;) {
      const next = await Promise.race([ended, restart, reloads.next()]);
      if (next === "stop") return undefined;
      if (next !== undefined) {
        manager.reloading("directories were replaced");
        return next;
      }
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
  } finally {
    clearInterval(timer);
  }
}

/** Settles when a channel was displaced, now or before this start, and can be served again. */
async function whenReplaced(serving: Serving): Promise<Start> {
  const { config, channels, waiting, log } = serving;
  const displaced = channels.map(async (channel) => {
    await channel.displaced;
    // It takes part in nothing any more; the others go on meanwhile (I7).
    channel.stop();
  });
  if (waiting.length === 0) await Promise.race(displaced);
  const hasFailed = waiting.some(({ isOpen }) => isOpen);
  await pause((hasFailed ? AFTER_FAILURE_MS : SHORTEST_MS) - performance.now());
  let told = "";
  for (;;) {
    const checked = whatSpeaksAgainst(() => checkRestart(config, servedBy(serving)));
    if ("start" in checked) return checked.start;
    const problems = checked.problems.join("; ");
    if (problems !== told) log.warn("not served again yet: {problems}", { problems });
    told = problems;
    await pause(LOOK_AGAIN_MS);
  }
}

function servedBy({ channels, waiting }: Serving): Served {
  const names = (isWanted: (channel: Channel) => boolean) =>
    channels.filter(isWanted).map(({ config }) => config.name);
  // One that holds a failed file system lets go of it at once, and waits from then on with nothing open.
  const displaced = names(({ isDisplaced, hasFailed }) => isDisplaced && !hasFailed);
  return {
    running: new Set(names(({ isDisplaced }) => !isDisplaced)),
    waiting: new Set([...displaced, ...waiting.map(({ name }) => name)]),
    unopened: new Set(waiting.filter(({ isOpen }) => !isOpen).map(({ name }) => name)),
  };
}

/** Nothing is known that throws. Whatever it is, the channels that are served go on, and it is looked at again (I7). */
function whatSpeaksAgainst(check: () => Checked): Checked {
  try {
    return check();
  } catch (error) {
    return { problems: [`unexpected: ${messageOf(error)}`] };
  }
}

function statusOf({ channels, waiting }: Serving): string {
  const pending = channels.reduce((sum, channel) => sum + channel.pending, 0);
  const displaced = channels.filter(({ isDisplaced }) => isDisplaced);
  const absent = [...displaced.map(({ config }) => config), ...waiting];
  const count = channels.length + waiting.length;
  const parts = [`${count} channel${count === 1 ? "" : "s"}`];
  if (pending > 0) parts.push(`${pending} path${pending === 1 ? "" : "s"} in work`);
  for (const { name } of absent) parts.push(`${displayText(name)} waits for its directories`);
  return parts.join(", ");
}
