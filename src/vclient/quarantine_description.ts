/**
 * The JSON file beside each file in quarantine. Until the file is there as it is to be, its mode says so: then what a
 * process that was killed has left is found by it.
 */

import {
  type ByteString,
  displayPath,
  type FileName,
  fromBytes,
  fromText,
  toBytes,
} from "../../ffi/byte_string.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { SystemError } from "../../ffi/errno.ts";
import { readSmall, setMode, writeAll } from "../../ffi/file_content.ts";
import { lockFile } from "../../ffi/file_lock.ts";
import type { FileStatus } from "../../ffi/file_status.ts";

export interface Finding {
  /** Absolute. */
  readonly path: ByteString;
  readonly signature: string;
}

export const UNFINISHED_MODE = 0o600;
const FINISHED_MODE = 0o400;
const SUFFIX = fromText(".json");
/** Twice a path that is longer than anybody's. */
const LONGEST = 64 * 1024 * 1024;

/** Of the file `name`. A short name and harmless characters. */
export function descriptionOf(name: FileName): FileName {
  return (name + SUFFIX) as FileName;
}

/** What a description of this name is about; `undefined` if it is none. */
export function describedBy(name: FileName): FileName | undefined {
  const described = name.slice(0, -SUFFIX.length) as FileName;
  return name.endsWith(SUFFIX) && described !== "" ? described : undefined;
}

/** Keeps others from taking it for left; `false` if another process works with it. Ends when it is closed. */
export function claim(description: Descriptor): boolean {
  try {
    return lockFile(description);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return true; // the file system knows no locks
  }
}

export function writeDescription(
  description: Descriptor,
  status: FileStatus,
  { path, signature }: Finding,
  time: Date,
): void {
  const content = {
    path: displayPath(path),
    pathBytes: toBytes(path).toHex(),
    signature,
    time: time.toISOString(),
    size: status.size,
    uid: status.uid,
    gid: status.gid,
    mode: status.mode.toString(8).padStart(4, "0"),
    mtimeNs: String(status.mtimeNs), // it may be set to what no calendar has
  };
  writeAll(description, new TextEncoder().encode(JSON.stringify(content, null, 2) + "\n"));
}

/** The file is there. */
export function finish(description: Descriptor): void {
  setMode(description, FINISHED_MODE);
}

export type Description =
  /** `path`: the file's original one. */
  | { readonly kind: "whole"; readonly path: ByteString }
  /** It was not written to its end. */
  | { readonly kind: "cut off" }
  /** Nothing that this client would write. */
  | { readonly kind: "foreign" };

const CUT_OFF: Description = { kind: "cut off" };
const FOREIGN: Description = { kind: "foreign" };
/** As `writeDescription` begins. */
const BEGINNING = '{\n  "path": "';

/** Throws SystemError. */
export function readDescription(description: Descriptor): Description {
  const text = new TextDecoder().decode(readSmall(description, LONGEST));
  try {
    const { pathBytes } = JSON.parse(text);
    return { kind: "whole", path: fromBytes(Uint8Array.fromHex(pathBytes)) };
  } catch (error) {
    return error instanceof SyntaxError && isCutOff(text) ? CUT_OFF : FOREIGN;
  }
}

/** Zeros are what a power failure may leave. */
function isCutOff(text: string): boolean {
  return BEGINNING.startsWith(text) || text.startsWith(BEGINNING) || /^\0*$/.test(text);
}
