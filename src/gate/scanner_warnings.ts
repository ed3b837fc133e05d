/** What clamd, by its own configuration, passes unseen: it says OK to that, as to clean files. */

import { displayText } from "../../ffi/byte_string.ts";
import { showBytes } from "../command_line/option_value.ts";
import {
  type ClamdLimits,
  LARGEST_FILE,
  largestScannable,
} from "../scanning/clamd_configuration.ts";
import type { ChannelConfig } from "./config/channel_config.ts";
import type { Fault } from "./config/fault.ts";
import { USUAL_CLAMD_CONFIG } from "./options.ts";

/** `limits`: what the file at `path` says; `undefined` if it cannot be read. */
export function scannerWarnings(
  channels: readonly ChannelConfig[],
  limits: ClamdLimits | undefined,
  path: string,
): readonly Fault[] {
  const scanned = channels.filter(({ scanning }) => scanning.enable);
  if (scanned.length === 0) return [];
  const found: Fault[] = [];
  const add = (message: string, channel?: string) => {
    const field = channel === undefined ? "" : "scanning.maxFileSize";
    found.push({ severity: "warning", channel, field, message });
  };
  if (limits === undefined && path !== USUAL_CLAMD_CONFIG) {
    add(`--clamd-config ${displayText(path)} cannot be read: clamd's limits are not known from it`);
  }
  if (limits?.alertExceedsMax === false) {
    add(
      `${displayText(path)} does not set "AlertExceedsMax yes": clamd passes ` +
        "members of archives beyond its limits unseen",
    );
  }
  const largest = limits === undefined ? LARGEST_FILE : largestScannable(limits);
  const source = limits === undefined ? "" : `, by ${displayText(path)}`;
  const fate = limits === undefined
    ? "may travel UNSCANNED"
    : limits.alertExceedsMax
    ? "are held"
    : "travel UNSCANNED";
  for (const { name, scanning: { maxFileSize } } of scanned) {
    if (maxFileSize === undefined || maxFileSize <= largest) continue;
    const message = `${showBytes(maxFileSize)} is more than clamd looks at ` +
      `(${showBytes(largest)}${source}): files between the two ${fate}`;
    add(message, name);
  }
  return found;
}
