/** Whether a channel's directory and sockets lie where they can, among the other channels. */

import { display, displayText, fromText } from "../../../ffi/byte_string.ts";
import type { ChannelConfig } from "./channel_config.ts";
import { type ChannelFault, fault } from "./fault.ts";

/**
 * What keeps `channel` from running beside the `standing` ones. Paths are compared as written;
 * symbolic links on the host are seen only when the directories are opened.
 */
export function placementFaults(
  channel: ChannelConfig,
  standing: readonly ChannelConfig[],
): readonly ChannelFault[] {
  return [
    ...standing.flatMap((other) => overlap(channel, other)),
    ...socketsOf(channel).flatMap(([field, socket]) =>
      [channel, ...standing].flatMap((owner) => reachable(field, socket, owner))
    ),
    ...standing.flatMap((other) =>
      socketsOf(other).flatMap(([, socket]) => reachable("basePath", socket, channel))
    ),
  ];
}

function overlap(channel: ChannelConfig, other: ChannelConfig): readonly ChannelFault[] {
  const [mine, theirs] = [display(channel.basePath), display(other.basePath)];
  const owner = `the channel ${displayText(other.name)}`;
  if (channel.basePath === other.basePath) {
    return [fault("basePath", `${mine} is the directory of ${owner} already`)];
  }
  if (isBelow(channel.basePath, other.basePath)) {
    return [fault("basePath", `${mine} lies in ${theirs}, the directory of ${owner}`)];
  }
  if (isBelow(other.basePath, channel.basePath)) {
    return [fault("basePath", `${mine} holds ${theirs}, the directory of ${owner}`)];
  }
  return [];
}

/** Guests write below share/: a socket there would be whatever a guest puts in its place (I2). */
function reachable(
  field: string,
  socket: string,
  owner: ChannelConfig,
): readonly ChannelFault[] {
  if (!isBelow(fromText(socket), `${owner.basePath}/share`)) return [];
  const whose = `the channel ${displayText(owner.name)}`;
  return [
    fault(
      field,
      `the socket ${displayText(socket)} lies in a share of ${whose}; move it elsewhere`,
    ),
  ];
}

function socketsOf({ userNotify, guestNotify }: ChannelConfig) {
  const sockets: (readonly [field: string, socket: string])[] = [];
  if (userNotify.enable) sockets.push(["userNotify.socket", userNotify.socket]);
  for (const guest of guestNotify.guests) {
    if (guest.kind === "hybrid") sockets.push(["guestNotify.guests", guest.socket]);
  }
  return sockets;
}

/** Both absolute and in normal form. */
function isBelow(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`);
}
