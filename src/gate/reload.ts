/** Whether the daemon may be started anew: with a changed configuration, or for a channel that was displaced. */

import { messageOf } from "../../ffi/errno.ts";
import { Start } from "../../ffi/process.ts";
import type { ChannelConfig } from "./config/channel_config.ts";
import { parseConfiguration } from "./config/configuration.ts";
import { type ChannelFault, type Fault, formatFault } from "./config/fault.ts";
import { readConfiguration } from "./config/file.ts";
import { checkLayout, checkReplaced, checkUnopened } from "./layout_check.ts";
import { realPlaces } from "./real_places.ts";

/** How it is to be started, or everything that speaks against it. */
export type Checked = { readonly start: Start } | { readonly problems: readonly string[] };

/**
 * With the file at `path`. A start would skip channels with faults; here they may be running, and a slip of the pen must
 * not end them.
 */
export function checkReload(path: string): Checked {
  return check(path, {
    layout: ({ basePath, producers }) =>
      checkLayout(basePath, producers, { sharesMayBeMissing: true }),
    counting: (faults) => faults,
  });
}

/** Channels by their names. */
export interface Served {
  readonly running: ReadonlySet<string>;
  /** Those that are to be served again. */
  readonly waiting: ReadonlySet<string>;
  /** Those of which nothing is open. */
  readonly unopened: ReadonlySet<string>;
}

/**
 * With the file at `path`: those that are running must be able to go on, and one that waits to be served, or nothing to be
 * waited for. What had to be skipped at the start keeps nobody waiting, nor do those that wait each other (I7).
 */
export function checkRestart(path: string, { running, waiting, unopened }: Served): Checked {
  return check(path, {
    layout: ({ name, basePath, producers }) =>
      unopened.has(name) ? checkUnopened(basePath, producers) : checkReplaced(basePath, producers),
    counting: (faults) => {
      const needed = faults.filter(({ channel }) => channel === undefined || running.has(channel));
      if (needed.length > 0) return needed;
      const left = faults.filter(({ channel }) => channel !== undefined && waiting.has(channel));
      return new Set(left.map(({ channel }) => channel)).size < waiting.size ? [] : left;
    },
  });
}

function check(
  path: string,
  { layout, counting }: {
    layout(config: ChannelConfig): readonly ChannelFault[];
    /** Those that speak against it. */
    counting(faults: readonly Fault[]): readonly Fault[];
  },
): Checked {
  const read = readConfiguration(path);
  if ("problem" in read) return { problems: [read.problem] };
  const { channels, faults } = parseConfiguration(read.text, { unknownKeys: "warning" });
  const found = [...faults, ...realPlaces(channels).faults];
  for (const config of channels) {
    for (const one of layout(config)) {
      if (one.severity === "fault") found.push({ ...one, channel: config.name });
    }
  }
  const against = counting(found);
  if (against.length > 0) return { problems: against.map(formatFault) };
  if (channels.length === 0) return { problems: ["fault: the configuration holds no channel"] };
  try {
    return { start: Start.ofThisProcess() };
  } catch (error) {
    const reason = messageOf(error);
    return { problems: [`the daemon cannot be started anew: ${reason}`] };
  }
}
