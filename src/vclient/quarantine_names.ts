/** The names that the client gives to what it puts into quarantine: what has another one is somebody else's. */

import {
  type ByteString,
  display,
  type FileName,
  fileName,
  fromText,
} from "../../ffi/byte_string.ts";

/** Of the original name: with what comes before and behind there is room for it on eCryptfs, which takes 143 bytes. */
const LONGEST_NAME = 100;
const OWN = /^\d{8}T\d{6}(-\d+)?-[A-Za-z0-9._-]*$/;

/** `20261121T104955-report.pdf`, in harmless characters, and never like a description or a copy that is being made. */
export function quarantineName(path: ByteString, time: Date, attempt: number): FileName {
  const stamp = time.toISOString().replaceAll(/[-:]/g, "").slice(0, 15);
  const original = display(path.slice(path.lastIndexOf("/") + 1) as ByteString);
  const harmless = original.replaceAll(/[^A-Za-z0-9._-]/g, "_").slice(0, LONGEST_NAME)
    .replace(/\.(json|partial)$/, "_$1");
  return fileName(`${stamp}${attempt === 0 ? "" : `-${attempt + 1}`}-${harmless}`);
}

/** Whether `quarantineName` could have made it. */
export function isQuarantineName(name: FileName): boolean {
  return OWN.test(name);
}

/** Where a copy is made. A short name and harmless characters. */
export function partialOf(name: FileName): FileName {
  return `${name}${fromText(".partial")}` as FileName;
}
