/** Channels that meet on the disk, though their configuration does not show it. */

import { fromText, toText } from "../../ffi/byte_string.ts";
import type { ChannelConfig } from "./config/channel_config.ts";
import type { Fault } from "./config/fault.ts";
import { placementFaults } from "./config/placement.ts";

export interface Placement {
  /** Those that can run beside each other: of two that meet, the first. */
  readonly channels: readonly ChannelConfig[];
  readonly faults: readonly Fault[];
}

/** Follows the symbolic links in every `basePath`. What does not exist is left for others to find. */
export function realPlaces(configs: readonly ChannelConfig[]): Placement {
  const channels: ChannelConfig[] = [];
  const standing: ChannelConfig[] = [];
  const faults: Fault[] = [];
  for (const config of configs) {
    const real = { ...config, basePath: realPath(config.basePath) };
    const found = placementFaults(real, standing);
    faults.push(...found.map((one) => ({
      ...one,
      channel: config.name,
      message: `${one.message} (symbolic links followed)`,
    })));
    if (found.length > 0) continue;
    channels.push(config);
    standing.push(real);
  }
  return { channels, faults };
}

function realPath(path: ChannelConfig["basePath"]): ChannelConfig["basePath"] {
  try {
    return fromText(Deno.realPathSync(toText(path)));
  } catch {
    return path; // it is not there, or cannot be reached, as will be said when it is opened
  }
}
