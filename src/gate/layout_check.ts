/** Whether a channel could be served, found out before it is: for `verify`, and for those that are to be served again. */

import { absolutePath, type ByteString, display, type FileName } from "../../ffi/byte_string.ts";
import type { Directory } from "../../ffi/directory.ts";
import { messageOf, SystemError } from "../../ffi/errno.ts";
import { type ChannelFault, fault, warning } from "./config/fault.ts";
import { areLinkable, proveReflink } from "./file_system_abilities.ts";
import {
  EXPORT_DIRECTORY,
  openBase,
  openLayout,
  PRIVATE,
  QUARANTINE,
  RECOVERY,
  SHARE,
  STAGING,
  statusAtPath,
} from "./layout.ts";
import { apart, inWords, misplaced, NoRoom } from "./layout_fault.ts";

/** Of the configuration: what says where all of it is. */
const FIELD = "basePath";
const UNPROVEN = "whether files can be cloned there is not known";

/**
 * The checks of `openLayout` without changing anything that stays; what is wrong, in words. `sharesMayBeMissing`: as for
 * the daemon, which waits for them.
 */
export function checkLayout(
  basePath: ByteString,
  producers: readonly FileName[],
  { sharesMayBeMissing }: { readonly sharesMayBeMissing: boolean },
): ChannelFault[] {
  const found: ChannelFault[] = [];
  const add = (message: string) => found.push(fault(FIELD, message));
  try {
    using base = openBase(basePath);
    for (const message of placeFaults(base, basePath)) add(message);
    for (const message of shareFaults(base, basePath, producers, sharesMayBeMissing)) add(message);
    using staging = base.openBeneath(STAGING);
    proveReflink(staging ?? base, basePath);
  } catch (error) {
    // A guest that fills the disk is not to keep the host from changing the configuration (I7).
    if (error instanceof NoRoom) found.push(warning(FIELD, `${error.message}; ${UNPROVEN}`));
    else if (error instanceof SystemError) add(inWords(error, basePath));
    else add(messageOf(error));
  }
  return found;
}

function* placeFaults(base: Directory, basePath: ByteString): Generator<string> {
  using staging = base.openBeneath(STAGING);
  const like = staging ?? base;
  for (const name of [STAGING, SHARE, EXPORT_DIRECTORY, QUARANTINE, PRIVATE]) {
    yield* placeFault(base, name, like, basePath);
  }
  using own = base.openBeneath(PRIVATE);
  if (own !== undefined) yield* placeFault(own, RECOVERY, like, absolutePath(basePath, PRIVATE));
}

/** What is wrong with `name` in the directory at `place`, if it is there; names are to be moved between it and `like`. */
function* placeFault(
  above: Directory,
  name: FileName,
  like: Directory,
  place: ByteString,
): Generator<string> {
  using directory = above.openBeneath(name);
  if (directory !== undefined) {
    if (!areLinkable(like, directory)) yield apart(absolutePath(place, name));
  } else if (above.status(name) !== undefined) yield misplaced(name, place);
}

function* shareFaults(
  base: Directory,
  basePath: ByteString,
  producers: readonly FileName[],
  mayBeMissing: boolean,
): Generator<string> {
  using staging = base.openBeneath(STAGING);
  using share = base.openBeneath(SHARE);
  const place = absolutePath(basePath, SHARE);
  for (const producer of producers) {
    using root = share?.openBeneath(producer);
    if (root !== undefined) {
      if (!areLinkable(staging ?? base, root)) yield apart(absolutePath(place, producer));
    } else if (!mayBeMissing) {
      yield share?.status(producer) === undefined
        ? `${display(absolutePath(place, producer))} does not exist: make the directory`
        : misplaced(producer, place);
    }
  }
}

/**
 * What keeps a channel from being served again that was displaced. Its shares' directory is not made for it: whoever has
 * moved one away may be about to put another there, or to mount what is missing.
 */
export function checkReplaced(
  basePath: ByteString,
  producers: readonly FileName[],
): ChannelFault[] {
  const place = absolutePath(basePath, SHARE);
  try {
    if (isThere(basePath) && !isThere(place)) {
      return [fault(FIELD, `${display(place)} does not exist: make it, or mount it first`)];
    }
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return [fault(FIELD, inWords(error, basePath))]; // of a disk that fails, say
  }
  return checkLayout(basePath, producers, { sharesMayBeMissing: true });
}

/**
 * The same for a channel of which nothing is open: whatever a start would do is done, so that it will not fail again. On a
 * full disk, say, the daemon's own directories cannot be made.
 */
export function checkUnopened(
  basePath: ByteString,
  producers: readonly FileName[],
): ChannelFault[] {
  const found = checkReplaced(basePath, producers);
  if (found.some(({ severity }) => severity === "fault")) return found;
  try {
    openLayout(basePath, producers)[Symbol.dispose]();
    return found;
  } catch (error) {
    return [fault(FIELD, messageOf(error))];
  }
}

function isThere(path: ByteString): boolean {
  return statusAtPath(path) !== undefined;
}
