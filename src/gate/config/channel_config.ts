/**
 * A channel as it runs: every default filled in, both vocabularies merged, nothing left to check.
 * Only `parseConfiguration` makes one from text.
 */

import type { ByteString, FileName } from "../../../ffi/byte_string.ts";

/** What happens to an infected file in the share of its author. */
export type InfectedAction = "log" | "delete" | "quarantine";

/** What happens to a file that is too large to be scanned. */
export type OversizeAction = "hold" | "allow";

export interface ScanningConfig {
  /** `false`: a trusted channel, everything counts as clean. */
  readonly enable: boolean;
  readonly infectedAction: InfectedAction;
  /** Files whose scan failed travel. Never those that are too large: see `oversize`. */
  readonly permissive: boolean;
  /** For `compileIgnorePatterns`. */
  readonly ignoreFilePatterns: readonly string[];
  readonly ignorePathPatterns: readonly string[];
  readonly oversize: OversizeAction;
  /** Bytes up to which a file counts as scannable; `undefined`: found out by asking clamd. */
  readonly maxFileSize: number | undefined;
}

export interface UserNotifyConfig {
  readonly enable: boolean;
  /** Absolute path, as text like every address of a socket. */
  readonly socket: string;
}

/** A guest that is told of changes: a vsock CID, or the hybrid-vsock socket of its VMM. */
export type Guest =
  | { readonly kind: "vsock"; readonly cid: number }
  | { readonly kind: "hybrid"; readonly socket: string };

export interface GuestNotifyConfig {
  readonly guests: readonly Guest[];
  /** vsock port in every guest. */
  readonly port: number;
}

export interface ChannelConfig {
  /** One line, at most 255 bytes of UTF-8; guests know the channel by it. */
  readonly name: string;
  /** Absolute, without `.`, `..` and doubled or trailing slashes; never `/`. */
  readonly basePath: ByteString;
  /** Never empty; the order breaks ties between conflicting versions. */
  readonly producers: readonly FileName[];
  /** A subset of `producers`: they give and never receive. */
  readonly diodeProducers: ReadonlySet<FileName>;
  readonly consumers: readonly FileName[];
  /** Milliseconds of quiet before a changed file is looked at. */
  readonly debounceMs: number;
  /** Keep the loser of a conflict beside the winner. */
  readonly conflictCopies: boolean;
  readonly scanning: ScanningConfig;
  readonly userNotify: UserNotifyConfig;
  readonly guestNotify: GuestNotifyConfig;
}
