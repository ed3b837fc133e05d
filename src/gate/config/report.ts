/** `verify --verbose`: every channel as it will run, in plain words. */

import { type ByteString, display, displayText, type FileName } from "../../../ffi/byte_string.ts";
import { showBytes } from "../../command_line/option_value.ts";
import type { ChannelConfig, Guest } from "./channel_config.ts";
import { quote } from "./fault.ts";

type Line = readonly [label: string, text: string];

const LABEL_WIDTH = 22;

/** Several lines, without an end of line at the end. */
export function describeChannel(channel: ChannelConfig): string {
  const lines: readonly Line[] = [
    ["directory", display(channel.basePath)],
    ["producers", names(channel.producers)],
    ...diodeLines(channel),
    ["consumers", names(channel.consumers)],
    ["quiet before a look", `${channel.debounceMs} ms`],
    ["conflicts", conflicts(channel)],
    ...scanningLines(channel),
    ["ignored names", patterns(channel.scanning.ignoreFilePatterns)],
    ["ignored paths", patterns(channel.scanning.ignorePathPatterns)],
    ["messages to the user", messages(channel)],
    ["guests notified", guests(channel)],
  ];
  return [
    displayText(channel.name),
    ...lines.map(([label, text]) => `  ${label.padEnd(LABEL_WIDTH)}${text}`),
  ].join("\n");
}

function names(list: readonly FileName[]): string {
  return list.length === 0 ? "none" : list.map(display).join(", ");
}

function diodeLines({ diodeProducers }: ChannelConfig): readonly Line[] {
  if (diodeProducers.size === 0) return [];
  return [["of these, diodes", `${names([...diodeProducers])} (they give and never receive)`]];
}

function conflicts({ conflictCopies }: ChannelConfig): string {
  return conflictCopies
    ? "the later version wins, the other is kept beside it"
    : "the later version wins, the other is LOST (conflictCopies is off)";
}

function scanningLines({ basePath, scanning }: ChannelConfig): readonly Line[] {
  if (!scanning.enable) return [["scanning", "OFF: every file counts as clean and travels"]];
  return [
    ["scanning", "on"],
    ["infected files", INFECTED[scanning.infectedAction](basePath)],
    [
      "files not scanned",
      scanning.permissive
        ? "travel UNSCANNED when the scanner fails (permissive)"
        : "wait where they are until the scanner answers",
    ],
    [
      "files too large",
      scanning.oversize === "hold" ? "stay where they are" : "travel UNSCANNED (oversize: allow)",
    ],
    [
      "size limit",
      scanning.maxFileSize === undefined
        ? "what clamd scans, found out by asking it"
        : showBytes(scanning.maxFileSize),
    ],
  ];
}

const INFECTED: Record<
  ChannelConfig["scanning"]["infectedAction"],
  (basePath: ByteString) => string
> = {
  log: () => "do not travel, STAY in their author's share, and are reported",
  delete: () => "do not travel, are deleted from their author's share, and are reported",
  quarantine: (basePath) =>
    `do not travel, are moved to ${display(basePath)}/quarantine, and are reported`,
};

function patterns(list: readonly string[]): string {
  return list.length === 0 ? "none" : list.map(quote).join(", ");
}

function messages({ userNotify }: ChannelConfig): string {
  return userNotify.enable ? `to ${displayText(userNotify.socket)}` : "off";
}

function guests({ guestNotify }: ChannelConfig): string {
  if (guestNotify.guests.length === 0) return "none";
  return `${guestNotify.guests.map(describeGuest).join(", ")} at port ${guestNotify.port}`;
}

function describeGuest(guest: Guest): string {
  return guest.kind === "vsock" ? `CID ${guest.cid}` : displayText(guest.socket);
}
