/** Each share takes an inotify instance, of which all programs of one user have few: 128, unless a sysctl says otherwise. */

import { fromText } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { ignoringRefusal, isErrno } from "../../ffi/errno.ts";
import { readHostText } from "../../ffi/host_file.ts";
import { Inotify } from "../../ffi/inotify.ts";
import type { ChannelConfig } from "./config/channel_config.ts";
import type { Fault } from "./config/fault.ts";

const SYSCTL = "fs.inotify.max_user_instances";
const FILE = "/proc/sys/fs/inotify/max_user_instances";
/** For everybody else who is that user; systemd alone takes half a dozen. */
const SPARE = 32;

/** For `verify`, which may run while no daemon does. */
export function instanceWarnings(
  channels: readonly ChannelConfig[],
  limit: number = readLimit(),
): readonly Fault[] {
  const shares = countShares(channels);
  if (shares + SPARE <= limit) return [];
  const message = `the ${shares} shares take as many inotify instances, of the ${limit} that all ` +
    `programs of one user have: ${consequence(shares)}`;
  return [{ severity: "warning", channel: undefined, field: "", message }];
}

/** For a daemon that has taken what it needs; its sandbox hides the sysctl. `undefined`: enough is left. */
export function instanceShortage(channels: readonly ChannelConfig[]): string | undefined {
  const left = countFree();
  return left === SPARE
    ? undefined
    : `only ${left} inotify instances are left to all other programs of this user: ${
      consequence(countShares(channels))
    }`;
}

/** `Infinity` where it cannot be told: nothing is to be said then. */
function readLimit(): number {
  const text = ignoringRefusal(() => readHostText(FILE));
  return text === undefined ? Infinity : Number(text);
}

function countShares(channels: readonly ChannelConfig[]): number {
  return channels.reduce((sum, { producers }) => sum + producers.length, 0);
}

function consequence(shares: number): string {
  return `programs that get none may fail, and a share that gets none is read every 10 s only; ` +
    `raise the sysctl ${SYSCTL} to ${enoughFor(shares)}`;
}

/** Twice what is needed, rounded up to a power of two. */
function enoughFor(shares: number): number {
  return 2 ** Math.ceil(Math.log2(2 * (shares + SPARE)));
}

/** How many could be had now, up to `SPARE`. */
function countFree(): number {
  using taken = new DisposableStack();
  for (let count = 0; count < SPARE; count++) {
    try {
      taken.use(new Inotify());
    } catch (error) {
      return isErrno(error, "EMFILE") && hasDescriptor() ? count : SPARE;
    }
  }
  return SPARE;
}

/** Whether it was not for want of a descriptor, of which others tell. */
function hasDescriptor(): boolean {
  return ignoringRefusal(() => {
    Directory.openTrusted(fromText("/")).close();
    return true;
  }) ?? false;
}
