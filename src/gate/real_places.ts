/** Channels that meet on the disk, though their configuration does not show it. */

import { canonicalPath } from "../../ffi/canonical_path.ts";
import { Directory } from "../../ffi/directory.ts";
import type { ChannelConfig } from "./config/channel_config.ts";
import type { Fault } from "./config/fault.ts";
import { Placement } from "./config/placement.ts";

export interface RealPlaces {
  /** Those that can run beside each other: of two that meet, the first. */
  readonly channels: readonly ChannelConfig[];
  readonly faults: readonly Fault[];
}

/** Follows the symbolic links in every `basePath`. What does not exist is left for others to find. */
export function realPlaces(configs: readonly ChannelConfig[]): RealPlaces {
  const placement = new Placement();
  const channels: ChannelConfig[] = [];
  const faults: Fault[] = [];
  for (const config of configs) {
    const real = { ...config, basePath: realPath(config.basePath) };
    const found = placement.faultsOf(real);
    for (const one of found) {
      const message = `${one.message} (symbolic links followed)`;
      faults.push({ ...one, channel: config.name, message });
    }
    if (found.length > 0) continue;
    channels.push(config);
    placement.add(real);
  }
  return { channels, faults };
}

function realPath(path: ChannelConfig["basePath"]): ChannelConfig["basePath"] {
  try {
    using directory = Directory.openTrusted(path);
    return canonicalPath(directory);
  } catch {
    return path; // it is not there, or cannot be reached, as will be said when it is opened
  }
}
