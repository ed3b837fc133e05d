/** Names under which the loser of a conflict is kept: `NAME.sync-conflict-YYYYMMDD-HHMMSS-PRODUCER.EXT`. */

import { asFileName, type FileName } from "../../ffi/byte_string.ts";

/** How many conflict copies of one name are kept. */
export const MOST_CONFLICT_COPIES = 10;

const NAME_MAX = 255;
const MARK = ".sync-conflict-";
/** What stands between the mark and the extension. */
const WHEN_AND_WHOSE = /^\d{8}-\d{6}-[^.]+$/;
/** Of a producer's name, and of an extension. */
const LONGEST_PART = 64;
/** What is left of a stem, at least, where all the rest of the name is as long as it can be. */
const SHORTEST_CUT = 90;

/**
 * The name for a conflict copy of `name` from `producer`; `attempt` (from 0) tells copies of one second apart.
 * The stem is cut so that the whole has at most 255 bytes.
 */
export function conflictName(
  name: FileName,
  producer: FileName,
  time: Date,
  attempt: number,
): FileName {
  const { stem, extension } = split(originalName(name));
  const stamp = time.toISOString().replaceAll(/[-:]/g, "").replace("T", "-").slice(0, 15);
  const again = attempt === 0 ? "" : `-${attempt + 1}`;
  // A dot would begin an extension.
  const whose = producer.slice(0, LONGEST_PART).replaceAll(".", "_");
  const suffix = `${MARK}${stamp}-${whose}${again}${extension.slice(0, LONGEST_PART)}`;
  const whole = asFileName((stem.slice(0, NAME_MAX - suffix.length) + suffix) as FileName);
  if (whole === undefined) throw new RangeError("a conflict copy needs a name");
  return whole;
}

/** Whether `candidate` is a conflict copy of `name`. */
export function isConflictCopyOf(candidate: FileName, name: FileName): boolean {
  const { stem, extension } = split(originalName(name));
  const end = extension.slice(0, LONGEST_PART);
  if (!candidate.endsWith(end)) return false;
  const body = candidate.slice(0, candidate.length - end.length);
  const mark = body.lastIndexOf(MARK);
  // What else stands there belongs to another name, such as an extension that this one has not.
  if (mark < 0 || !WHEN_AND_WHOSE.test(body.slice(mark + MARK.length))) return false;
  const begin = body.slice(0, mark);
  // A long stem was cut.
  return begin === stem || (mark >= SHORTEST_CUT && stem.startsWith(begin));
}

/** What `copy` begins with, before it is marked as a conflict copy; `undefined` if it is not. */
export function stemOfCopy(copy: FileName): string | undefined {
  const mark = copy.indexOf(MARK);
  return mark > 0 ? copy.slice(0, mark) : undefined;
}

/** `stemOfCopy` of all conflict copies of `name`; `undefined` where it is so long that it may have been cut. */
export function stemOfCopies(name: FileName): string | undefined {
  const { stem } = split(originalName(name));
  return stem.length < SHORTEST_CUT && !stem.includes(MARK) ? stem : undefined;
}

/** A conflict copy of a conflict copy is one of the original: names do not grow. */
function originalName(name: FileName): FileName {
  const mark = name.indexOf(MARK, 1);
  if (mark < 0) return name;
  return (name.slice(0, mark) + split(name.slice(mark) as FileName).extension) as FileName;
}

function split(name: FileName): { stem: string; extension: string } {
  const dot = name.lastIndexOf(".");
  // A dot at the beginning hides a file, it begins no extension.
  if (dot <= 0) return { stem: name, extension: "" };
  return { stem: name.slice(0, dot), extension: name.slice(dot) };
}
