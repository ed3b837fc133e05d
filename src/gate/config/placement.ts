/** Whether a channel's directory and sockets lie where they can, among the other channels. */

import { type ByteString, display, displayText, fromText } from "../../../ffi/byte_string.ts";
import type { ChannelConfig } from "./channel_config.ts";
import { type ChannelFault, fault } from "./fault.ts";

/**
 * The channels that stand so far, by their paths, so that another one is compared with a path's parents and not with
 * every channel. Paths are compared as written; symbolic links on the host are seen only when the directories are opened.
 */
export class Placement {
  readonly #owners = new Map<string, ChannelConfig>();
  /** The channels below a directory. */
  readonly #below = new Map<string, ChannelConfig[]>();
  /** The channel whose share/ a directory is. */
  readonly #shares = new Map<string, ChannelConfig>();
  /** The sockets below a directory. */
  readonly #sockets = new Map<string, Set<string>>();

  add(channel: ChannelConfig): void {
    this.#owners.set(channel.basePath, channel);
    for (const parent of parentsOf(channel.basePath)) {
      const channels = this.#below.get(parent);
      if (channels === undefined) this.#below.set(parent, [channel]);
      else channels.push(channel);
    }
    this.#shares.set(sharesOf(channel), channel);
    for (const [, socket] of socketsOf(channel)) {
      for (const parent of parentsOf(fromText(socket))) {
        const sockets = this.#sockets.get(parent);
        if (sockets === undefined) this.#sockets.set(parent, new Set([socket]));
        else sockets.add(socket);
      }
    }
  }

  /** What keeps `channel` from running beside those that stand. */
  faultsOf(channel: ChannelConfig): readonly ChannelFault[] {
    return [...this.#overlaps(channel), ...this.#reachableSockets(channel)];
  }

  *#overlaps({ basePath }: ChannelConfig): Generator<ChannelFault> {
    const same = this.#owners.get(basePath);
    if (same !== undefined) {
      const message = `${display(basePath)} is the directory of ${inWords(same)} already`;
      yield fault("basePath", message);
    }
    for (const parent of parentsOf(basePath)) {
      const around = this.#owners.get(parent);
      if (around !== undefined) yield fault("basePath", lies(basePath, around));
    }
    for (const inside of this.#below.get(basePath) ?? []) {
      const theirs = display(inside.basePath);
      const message = `${display(basePath)} holds ${theirs}, the directory of ${inWords(inside)}`;
      yield fault("basePath", message);
    }
  }

  /** Guests write below share/: a socket there would be whatever a guest puts in its place (I2). */
  *#reachableSockets(channel: ChannelConfig): Generator<ChannelFault> {
    for (const [field, socket] of socketsOf(channel)) {
      for (const parent of parentsOf(fromText(socket))) {
        const owner = parent === sharesOf(channel) ? channel : this.#shares.get(parent);
        if (owner !== undefined) yield fault(field, isReachable(socket, owner));
      }
    }
    for (const socket of this.#sockets.get(sharesOf(channel)) ?? []) {
      yield fault("basePath", isReachable(socket, channel));
    }
  }
}

function lies(basePath: ByteString, around: ChannelConfig): string {
  return `${display(basePath)} lies in ${display(around.basePath)}, the directory of ${
    inWords(around)
  }`;
}

function isReachable(socket: string, owner: ChannelConfig): string {
  return `the socket ${displayText(socket)} lies in a share of ${
    inWords(owner)
  }; move it elsewhere`;
}

function inWords({ name }: ChannelConfig): string {
  return `the channel ${displayText(name)}`;
}

function sharesOf({ basePath }: ChannelConfig): string {
  return `${basePath}/share`;
}

function socketsOf({ userNotify, guestNotify }: ChannelConfig) {
  const sockets: (readonly [field: string, socket: string])[] = [];
  if (userNotify.enable) sockets.push(["userNotify.socket", userNotify.socket]);
  for (const guest of guestNotify.guests) {
    if (guest.kind === "hybrid") sockets.push(["guestNotify.guests", guest.socket]);
  }
  return sockets;
}

/** The directories above an absolute path in normal form, the nearest first; not the root, which no channel can have. */
function* parentsOf(path: string): Generator<string> {
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
    yield path.slice(0, end);
  }
}
