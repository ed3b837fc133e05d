/** What a channel tells in the log, in words for whoever runs the host. */

import {
  type ByteString,
  display,
  type FileName,
  type RelativePath,
} from "../../ffi/byte_string.ts";
import { messageOf, type SystemError } from "../../ffi/errno.ts";
import type { Logger } from "../logging/logging.ts";
import { RepeatLimit } from "../logging/repeat_limit.ts";
import type { LosersEnd, PublishedKind } from "./job.ts";
import { showPlace } from "./publisher.ts";
import type { Replica } from "./replica.ts";
import type { Reading } from "./tree_reader.ts";

/** Constant texts: that a version is gone is not to be held back with whatever else there is to say. */
const CONFLICT: Readonly<Record<LosersEnd, string>> = {
  kept: "{channel}: {place} was changed on two sides: the earlier one is kept beside it",
  discarded:
    "{channel}: {place} lost a conflict and is replaced: it has too many conflict copies already",
  replaced: "{channel}: {place} was changed on two sides: the later one has replaced it",
};

/** Whose doing it is: one's noise does not silence what is to be said of another's (I7). */
export function about(
  { producer }: { readonly producer: FileName },
): { readonly producer: string } {
  return { producer: display(producer) };
}

export class ChannelLog {
  readonly #log: Logger;
  readonly #repeats = new RepeatLimit();

  /** `log` bears the channel's name. */
  constructor(log: Logger) {
    this.#log = log;
  }

  /** `message`: escaped already, where there are names of guests in it. `where`: whose doing it may be. */
  trouble(message: string, where?: { readonly producer: FileName }): void {
    this.#log.warn("{channel}: {message}", { message, ...where === undefined ? {} : about(where) });
  }

  /** Something could not be done for want of descriptors. */
  shortage(error: SystemError): void {
    if (!this.#repeats.admits("descriptors")) return;
    this.trouble(
      `there are too few descriptors: ${error.message}. Nothing is lost, but little is done at a time`,
    );
  }

  /** Work on `path` failed as nobody foresaw. */
  failure(path: RelativePath, error: unknown): void {
    this.#log.error("{channel}: {path}: {error}; it is tried again", {
      path: display(path),
      error: messageOf(error),
    });
  }

  conflict(loser: Replica, path: RelativePath, end: LosersEnd): void {
    this.#log.warn(CONFLICT[end], { place: showPlace(loser, path), ...about(loser) });
  }

  published(path: RelativePath, what: PublishedKind, from: Replica): void {
    this.#log.debug("{channel}: {what}: {path}, {from}", () => ({
      what,
      path: display(path),
      from: display(from.name),
    }));
  }

  /** What was mounted there is gone. */
  uncovered(replica: Replica, path: RelativePath): void {
    this.#log.info("{channel}: nothing else is mounted over {place} any more: it is read", {
      place: showPlace(replica, path),
      ...about(replica),
    });
  }

  indexIsAhead(): void {
    this.#log.info(
      "{channel}: the machine went down before everything was on the disk, or this is a snapshot: " +
        "what is not everywhere as it was is compared",
    );
  }

  treesRead(reading: Reading): void {
    this.#log.info("{channel}: {reading}", { reading: inWords(reading) });
  }

  /** The reading was cut off. */
  readsOn({ unknown }: Reading): void {
    this.#log.info("{channel}: {unknown} directories are new so far: reading on meanwhile", {
      unknown,
    });
  }

  shareFound({ name }: Replica): void {
    this.#log.info("{channel}: {share} is there: reading it", { share: display(name) });
  }

  /** `place`: where the host has removed or replaced what was held, or of which the file system has failed. */
  displaced(place: ByteString, hasFailed: boolean): void {
    const what = hasFailed
      ? "is on a file system that has failed (unmount it, and mount it again)"
      : "was removed or replaced";
    this.#log.error(
      "{channel}: {place} {what}: the channel rests, nothing is deleted, and all is read anew as soon as it can be " +
        "served again",
      { place: display(place), what },
    );
  }

  exportRenewed(): void {
    this.trouble("export was removed or replaced: everything is put there again");
  }

  /** Until it is there again. */
  exportMissing(error: unknown): void {
    if (!this.#repeats.admits("export")) return;
    this.trouble(
      `export was removed or replaced, and nothing can be put there: ${messageOf(error)}`,
    );
  }

  indexRestored(): void {
    this.#log.info("{channel}: the index can be used again: everything is read");
  }
}

function inWords({ files, directories, differing }: Reading): string {
  const count = (number: number, one: string, many: string) =>
    `${number} ${number === 1 ? one : many}`;
  const read = `${count(files, "file", "files")} in ${
    count(directories, "directory", "directories")
  } read`;
  return differing === 0 ? `${read}, all as known` : `${read}, ${differing} to be looked at`;
}
