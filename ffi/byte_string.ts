/**
 * Names and paths as the kernel knows them: bytes without NUL, in no particular encoding.
 *
 * A `ByteString` holds one byte in each UTF-16 unit (0x00–0xFF), so it can be a map key, be compared
 * and concatenated like any string, and V8 stores it in one byte a character.
 * Decode only to show (`display`).
 */

declare const byteStringBrand: unique symbol;
declare const fileNameBrand: unique symbol;

/** A string in which every UTF-16 unit is one byte. */
export type ByteString = string & { readonly [byteStringBrand]: true };

/**
 * A path relative to some directory: file names joined by `/`, or `""` for the directory itself.
 * Never absolute, never with `.`, `..` or empty components.
 */
export type RelativePath = ByteString & { readonly [fileNameBrand]?: "path" | "name" };

/** ONE component of a path: not empty, not `.` or `..`, without `/` and NUL, at most 255 bytes. */
export type FileName = RelativePath & { readonly [fileNameBrand]: "name" };

/** The root of a share, as a relative path. */
export const ROOT = "" as RelativePath;

const NAME_MAX = 255;
const CHUNK = 8192;
const encoder = new TextEncoder();

/** The bytes of `bytes` from `start` to `end` as a ByteString. */
export function fromBytes(bytes: Uint8Array, start = 0, end = bytes.length): ByteString {
  let text = "";
  for (let at = start; at < end; at += CHUNK) {
    text += String.fromCharCode.apply(
      null,
      bytes.subarray(at, Math.min(end, at + CHUNK)) as unknown as number[], // apply takes array-likes
    );
  }
  return text as ByteString;
}

/** Writes `text` into `target` at `offset`; returns the offset behind it. `target` must be large enough. */
export function writeBytes(text: ByteString, target: Uint8Array, offset = 0): number {
  for (let i = 0; i < text.length; i++) target[offset + i] = text.charCodeAt(i);
  return offset + text.length;
}

/** The bytes of `text`, without a NUL. */
export function toBytes(text: ByteString): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  writeBytes(text, bytes);
  return bytes;
}

/** A host's own text (configuration, constants) as the bytes of its UTF-8 form. */
export function fromText(text: string): ByteString {
  return fromBytes(encoder.encode(text));
}

/** The text behind `fromText`, for interfaces that take a host's own path as text. */
export function toText(bytes: ByteString): string {
  return new TextDecoder().decode(toBytes(bytes));
}

/** Checks one component that came from a guest; `undefined` if no directory entry can have this name. */
export function asFileName(untrustedName: ByteString): FileName | undefined {
  if (untrustedName === "" || untrustedName === "." || untrustedName === "..") return undefined;
  if (untrustedName.length > NAME_MAX) return undefined;
  if (untrustedName.includes("/") || untrustedName.includes("\0")) return undefined;
  return untrustedName as FileName;
}

/** A name that we chose ourselves; throws if it could not be a file name. */
export function fileName(text: string): FileName {
  const name = asFileName(fromText(text));
  if (name === undefined) throw new RangeError(`not a file name: ${JSON.stringify(text)}`);
  return name;
}

/** `undefined` unless every component of `untrustedPath` is a file name. `""` is the root. */
export function asRelativePath(untrustedPath: ByteString): RelativePath | undefined {
  if (untrustedPath === "") return ROOT;
  for (const part of untrustedPath.split("/")) {
    if (asFileName(part as ByteString) === undefined) return undefined;
  }
  return untrustedPath as RelativePath;
}

/** The entry `name` of the directory `directory`. */
export function join(directory: RelativePath, name: FileName): RelativePath {
  return (directory === "" ? name : `${directory}/${name}`) as RelativePath;
}

/** What is at `path` below the directory of an absolute path. */
export function absolutePath(directory: ByteString, path: RelativePath): ByteString {
  if (path === ROOT) return directory;
  return (directory === "/" ? `/${path}` : `${directory}/${path}`) as ByteString;
}

/** The directory that holds `path`; the root for a top-level entry and for the root itself. */
export function parentOf(path: RelativePath): RelativePath {
  const slash = path.lastIndexOf("/");
  return (slash < 0 ? "" : path.slice(0, slash)) as RelativePath;
}

/** The last component of `path`, which must not be the root. */
export function nameOf(path: RelativePath): FileName {
  return path.slice(path.lastIndexOf("/") + 1) as FileName;
}

/** Whether `path` is `directory` itself or lies anywhere below it. */
export function isWithin(path: RelativePath, directory: RelativePath): boolean {
  return directory === "" || path === directory ||
    (path.length > directory.length && path.charCodeAt(directory.length) === 0x2f &&
      path.startsWith(directory));
}

/** What `path`, which is `from` or lies below it, is called once that is called `to`. */
export function renamedIn(path: RelativePath, from: RelativePath, to: RelativePath): RelativePath {
  return (to + path.slice(from.length)) as RelativePath;
}

/**
 * `text` as one harmless line for a person: valid UTF-8 stays, everything that a terminal, a log or
 * a line protocol could take for something else becomes `\xNN` or `\u{…}` (I9).
 */
export function display(text: ByteString): string {
  let shown = "";
  for (let i = 0; i < text.length;) {
    const { point, length } = decodeUtf8(text, i);
    if (length === 0) {
      shown += hexEscape(text.charCodeAt(i));
      i++;
      continue;
    }
    shown += displayPoint(point);
    i += length;
  }
  return shown;
}

/** Escaped, four times as much: programs name no more than 4,095 bytes. */
const LONGEST_SHOWN = 16 * 1024;

/** The same for a path, which may be as long as its author likes: of one that no program can name begin and end. */
export function displayPath(path: ByteString): string {
  if (path.length <= LONGEST_SHOWN) return display(path);
  const half = LONGEST_SHOWN / 2;
  return `${display(path.slice(0, half) as ByteString)}…${
    display(path.slice(-half) as ByteString)
  }`;
}

/** The same for text that is already decoded (messages of peers, signatures). */
export function displayText(text: string): string {
  return display(fromText(text));
}

function displayPoint(point: number): string {
  if (point === 0x5c) return "\\\\";
  if (point < 0x20 || point === 0x7f) return hexEscape(point);
  if (point < 0x7f) return String.fromCharCode(point);
  const character = String.fromCodePoint(point);
  // Controls, format characters (bidirectional overrides), line separators, unassigned and private use.
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(character) ? `\\u{${point.toString(16)}}` : character;
}

function hexEscape(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}

/** One code point of strict UTF-8 (RFC 3629) at `at`; length 0 where the bytes are not UTF-8. */
function decodeUtf8(text: string, at: number): { point: number; length: number } {
  const first = text.charCodeAt(at);
  if (first < 0x80) return { point: first, length: 1 };
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length === 0 || first > 0xf4 || at + length > text.length) return { point: 0, length: 0 };
  let point = first & (0xff >> (length + 1));
  for (let i = 1; i < length; i++) {
    const next = text.charCodeAt(at + i);
    if ((next & 0xc0) !== 0x80) return { point: 0, length: 0 };
    point = (point << 6) | (next & 0x3f);
  }
  const least = length === 4 ? 0x10000 : length === 3 ? 0x800 : 0x80;
  if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
    return { point: 0, length: 0 };
  }
  return { point, length };
}
