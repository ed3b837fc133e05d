/** Whether the daemon may be started anew: with a changed configuration, or for a channel that was displaced. */

import { messageOf } from "../../ffi/errno.ts";
import { Start } from "../../ffi/process.ts";
import type { ChannelConfig } from "./config/channel_config.ts";
import { parseConfiguration } from "./config/configuration.ts";
import { type ChannelFault, type Fault, formatFault } from "./config/fault.ts";
import { readConfiguration } from "./config/file.ts";
import { checkLayout, checkReplaced, checkUnopened } from "./layout.ts";
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
    counts: () => true,
  });
}

/**
 * With the file at `path`, so that those that are `served`, by name, can be served again; what had to be skipped at the
 * start does not keep them waiting. Of the `unopened` ones among them nothing is open.
 */
export function checkRestart(
  path: string,
  { served, unopened }: {
    readonly served: ReadonlySet<string>;
    readonly unopened: ReadonlySet<string>;
  },
): Checked {
  return check(path, {
    layout: ({ name, basePath, producers }) =>
      unopened.has(name) ? checkUnopened(basePath, producers) : checkReplaced(basePath, producers),
    counts: ({ channel }) => channel === undefined || served.has(channel),
  });
}

function check(
  path: string,
  { layout, counts }: {
    layout(config: ChannelConfig): readonly ChannelFault[];
    counts(fault: Fault): boolean;
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
  const counting = found.filter(counts);
  if (counting.length > 0) return { problems: counting.map(formatFault) };
  if (channels.length === 0) return { problems: ["fault: the configuration holds no channel"] };
  try {
    return { start: Start.ofThisProcess() };
  } catch (error) {
    const reason = messageOf(error);
    return { problems: [`the daemon cannot be started anew: ${reason}`] };
  }
}
