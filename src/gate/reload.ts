/** Whether a changed configuration may take the place of the one in use. */

import { messageOf } from "../../ffi/errno.ts";
import { Start } from "../../ffi/process.ts";
import { parseConfiguration } from "./config/configuration.ts";
import { formatFault } from "./config/fault.ts";
import { readConfiguration } from "./config/file.ts";
import { checkLayout } from "./layout.ts";
import { realPlaces } from "./real_places.ts";

/**
 * How the daemon is to be started again with the file at `path`, or everything that speaks against it. A start
 * would skip channels with faults; here they may be running, and a slip of the pen must not end them.
 */
export function checkReload(
  path: string,
): { readonly start: Start } | { readonly problems: readonly string[] } {
  const read = readConfiguration(path);
  if ("problem" in read) return { problems: [read.problem] };
  const { channels, faults } = parseConfiguration(read.text, { unknownKeys: "warning" });
  const found = [...faults, ...realPlaces(channels).faults];
  for (const { name: channel, basePath, producers } of channels) {
    for (const one of checkLayout(basePath, producers, { sharesMayBeMissing: true })) {
      if (one.severity === "fault") found.push({ ...one, channel });
    }
  }
  if (found.length > 0) return { problems: found.map(formatFault) };
  if (channels.length === 0) return { problems: ["fault: the configuration holds no channel"] };
  try {
    return { start: Start.ofThisProcess() };
  } catch (error) {
    const reason = messageOf(error);
    return { problems: [`the daemon cannot be started anew: ${reason}`] };
  }
}
