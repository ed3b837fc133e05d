/** The command line of `virtiofs-notify`. */

import { type ByteString, display, fromText } from "../../ffi/byte_string.ts";
import { defineProgram } from "../command_line/definition.ts";
import { LONGEST_LINE } from "./channel_lines.ts";

export const NOTIFY = defineProgram({
  name: "virtiofs-notify",
  summary: "refresh a guest's file browsers when its shares change on the host",
  options: {
    port: {
      kind: "number",
      short: "p",
      value: "PORT",
      min: 1,
      max: 4_294_967_294,
      default: 3401,
      help: "vsock port to listen on",
    },
    map: {
      kind: "text",
      short: "m",
      value: "CHANNEL=PATH",
      required: true,
      repeatable: true,
      help: "the directory at which a channel is mounted; one option a channel",
    },
    uds: {
      kind: "text",
      value: "PATH",
      help: "listen on the Unix socket PATH_PORT instead of vsock",
    },
    allowCid: {
      kind: "number",
      value: "CID",
      min: 0,
      max: 4_294_967_294,
      repeatable: true,
      default: [2],
      help: "vsock CID that may notify: 2 is the host",
    },
    debug: { kind: "flag", short: "d", help: "log debug messages too" },
  },
});

/** Directory by channel. */
export type ChannelMap = ReadonlyMap<ByteString, ByteString>;

/** Reads the values of `--map`; `problem` goes behind the option's name. */
export function readMap(
  values: readonly string[],
): { readonly map: ChannelMap } | { readonly problem: string } {
  const map = new Map<ByteString, ByteString>();
  for (const value of values) {
    const equals = value.indexOf("=");
    const channel = fromText(value.slice(0, Math.max(0, equals)));
    const path = fromText(value.slice(equals + 1));
    const shown = display(fromText(value));
    if (channel === "" || path === "") {
      return { problem: `needs CHANNEL=PATH, got "${shown}"` };
    }
    if (channel.includes("\n") || channel.length > LONGEST_LINE) {
      return { problem: `needs a channel of one line and at most 256 bytes, got "${shown}"` };
    }
    if (map.has(channel)) return { problem: `names the channel ${display(channel)} twice` };
    map.set(channel, path);
  }
  return { map };
}
