/** The limits in clamd's own configuration (clamd.conf(5)): what it looks at, and what it passes unseen. */

import { readHostText } from "../../ffi/host_file.ts";

export interface ClamdLimits {
  /** Bytes of one file; a larger one is skipped. */
  readonly maxFileSize: number;
  /** Bytes of one file and everything unpacked from it. */
  readonly maxScanSize: number;
  /** Bytes of one INSTREAM. */
  readonly streamMaxLength: number;
  /** What takes longer is skipped; milliseconds. */
  readonly maxScanTimeMs: number;
  /** Whether skipping is told as `Heuristics.Limits.Exceeded`; if not, it looks like a clean file. */
  readonly alertExceedsMax: boolean;
}

const MIB = 1024 * 1024;

/** What libclamav can take at most (INT_MAX - 2), however its configuration reads. */
export const LARGEST_FILE = 2 ** 31 - 3;

/** What holds where the configuration does not say. File sizes: the smallest of all versions' defaults. */
export const DEFAULT_LIMITS: ClamdLimits = {
  maxFileSize: 25 * MIB,
  maxScanSize: 100 * MIB,
  streamMaxLength: 25 * MIB,
  maxScanTimeMs: 120_000,
  alertExceedsMax: false,
};

/** The largest file that a clamd with these limits looks at. */
export function largestScannable(limits: ClamdLimits): number {
  return Math.min(limits.maxFileSize, limits.maxScanSize, LARGEST_FILE);
}

/** Reads clamd's configuration file; `undefined` if it cannot be read. */
export function readClamdLimits(path: string): ClamdLimits | undefined {
  try {
    return parseClamdLimits(readHostText(path));
  } catch {
    return undefined; // not there, or not for us: the defaults hold
  }
}

/** One option a line, its value behind blanks; `#` begins a comment. Of repeated options the last counts. */
export function parseClamdLimits(text: string): ClamdLimits {
  const options = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, name, value] = /^\s*([A-Za-z]+)\s+"?([^"#]*?)"?\s*(?:#.*)?$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) options.set(name.toLowerCase(), value);
  }
  const size = (name: string, otherwise: number) => parseSize(options.get(name)) ?? otherwise;
  const time = options.get("maxscantime");
  return {
    maxFileSize: size("maxfilesize", DEFAULT_LIMITS.maxFileSize),
    maxScanSize: size("maxscansize", DEFAULT_LIMITS.maxScanSize),
    streamMaxLength: size("streammaxlength", DEFAULT_LIMITS.streamMaxLength),
    maxScanTimeMs: time !== undefined && /^\d+$/.test(time)
      ? zeroIsUnlimited(Number(time))
      : DEFAULT_LIMITS.maxScanTimeMs,
    alertExceedsMax: isYes(options.get("alertexceedsmax")) || isYes(options.get("blockmax")),
  };
}

/** `25M`, `1G`, `4096`; 0 is no limit. */
function parseSize(text: string | undefined): number | undefined {
  const [, digits, unit] = /^(\d+)([kmg]?)$/i.exec(text ?? "") ?? [];
  if (digits === undefined || unit === undefined) return undefined;
  const factor = { "": 1, k: 1024, m: MIB, g: 1024 * MIB }[unit.toLowerCase()] ?? 1;
  return zeroIsUnlimited(Number(digits) * factor);
}

function zeroIsUnlimited(value: number): number {
  return value === 0 ? Infinity : value;
}

function isYes(text: string | undefined): boolean {
  return text !== undefined && /^(yes|true|1)$/i.test(text);
}
