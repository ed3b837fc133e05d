/** Channels that meet on the disk, though their configuration does not show it. */

import { type ByteString, display, displayText } from "../../ffi/byte_string.ts";
import { canonicalPath } from "../../ffi/canonical_path.ts";
import { Directory } from "../../ffi/directory.ts";
import { inodeKey } from "../../ffi/file_content.ts";
import { statusOf } from "../../ffi/file_status.ts";
import type { ChannelConfig } from "./config/channel_config.ts";
import { type Fault, fault } from "./config/fault.ts";
import { Placement } from "./config/placement.ts";

export interface RealPlaces {
  /** Those that can run beside each other: of two that meet, the first. */
  readonly channels: readonly ChannelConfig[];
  readonly faults: readonly Fault[];
}

/**
 * Follows the symbolic links in every `basePath`, and knows a directory again that is mounted twice. What does not exist is
 * left for others to find.
 */
export function realPlaces(configs: readonly ChannelConfig[]): RealPlaces {
  const placement = new Placement();
  const owners = new Map<string, string>();
  const channels: ChannelConfig[] = [];
  const faults: Fault[] = [];
  for (const config of configs) {
    const { name, basePath } = config;
    const place = realPlace(basePath);
    const real = { ...config, basePath: place?.path ?? basePath };
    const found = placement.faultsOf(real).map(({ message, ...one }) => ({
      ...one,
      message: `${message} (symbolic links followed)`,
    }));
    const owner = place && owners.get(place.directory);
    if (owner !== undefined && found.length === 0) {
      const theirs = `the directory of the channel ${displayText(owner)}`;
      found.push(fault("basePath", `${display(basePath)} is ${theirs}, mounted here, too`));
    }
    faults.push(...found.map((one) => ({ ...one, channel: name })));
    if (found.length > 0) continue;
    channels.push(config);
    placement.add(real);
    if (place !== undefined) owners.set(place.directory, name);
  }
  return { channels, faults };
}

interface RealPlace {
  readonly path: ByteString;
  /** The same for all names of a directory. */
  readonly directory: string;
}

function realPlace(path: ByteString): RealPlace | undefined {
  try {
    using directory = Directory.openTrusted(path);
    return { path: canonicalPath(directory), directory: inodeKey(statusOf(directory)) };
  } catch {
    return undefined; // it is not there, or cannot be reached, as will be said when it is opened
  }
}
