/**
 * Reads back what `deno compile` put into a binary: an ELF note section, in which a marker, the
 * length and the text of a JSON object stand, and behind them the embedded files.
 */

import { z } from "zod";

/** `null`: nothing is granted; an empty list: everything is; else what is listed. */
const GRANT = z.array(z.string()).nullable();

const METADATA = z.object({
  permissions: z.object({ prompt: z.boolean() }).catchall(GRANT),
  v8_flags: z.array(z.string()),
  code_cache_key: z.unknown().nullable(),
  log_level: z.string().nullable(),
  entrypoint_key: z.string(),
  unstable_config: z.object({ features: z.array(z.string()) }),
  env_vars_from_env_file: z.record(z.string(), z.string()),
  argv: z.array(z.string()),
});

export interface EmbeddedProgram {
  readonly metadata: z.infer<typeof METADATA>;
  /** Paths in the embedded file system. */
  readonly files: readonly string[];
}

const SECTION = ".note.sui";
const MARKER = new TextEncoder().encode("d3n0l4nd");

export async function readEmbeddedProgram(path: string): Promise<EmbeddedProgram> {
  const note = await readSection(path, SECTION);
  const start = indexOf(note, [...MARKER, ...MARKER], 0) + 2 * MARKER.length;
  const length = lengthAt(note, start);
  const metadata = METADATA.parse(jsonAt(note, start + 8, length));
  return { metadata, files: fileList(note, start + 8 + length) };
}

/** The content of a section of a 64-bit little-endian ELF file: elf(5). */
async function readSection(path: string, name: string): Promise<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(path);
  const header = new DataView((await readAt(file, 0, 64)).buffer);
  const [offset, entrySize, count, namesIndex] = [
    Number(header.getBigUint64(0x28, true)),
    header.getUint16(0x3a, true),
    header.getUint16(0x3c, true),
    header.getUint16(0x3e, true),
  ];
  const table = await readAt(file, offset, entrySize * count);
  const section = (index: number) => {
    const entry = new DataView(table.buffer, index * entrySize, entrySize);
    return {
      name: entry.getUint32(0, true),
      offset: Number(entry.getBigUint64(24, true)),
      size: Number(entry.getBigUint64(32, true)),
    };
  };
  const { offset: namesAt, size: namesSize } = section(namesIndex);
  const names = new TextDecoder("latin1").decode(await readAt(file, namesAt, namesSize));
  for (let index = 0; index < count; index++) {
    const { name: nameAt, offset, size } = section(index);
    if (names.startsWith(`${name}\0`, nameAt)) return await readAt(file, offset, size);
  }
  throw new Error(`${path} has no section ${name}: deno compile did not make it`);
}

async function readAt(file: Deno.FsFile, offset: number, size: number) {
  await file.seek(offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const length = await file.read(bytes.subarray(at));
    if (length === null) throw new Error("the file ends too early");
    at += length;
  }
  return bytes;
}

type Entry =
  | { readonly Dir: { readonly n: string; readonly e: readonly Entry[] } }
  | { readonly File: { readonly n: string } }
  | { readonly Symlink: { readonly n: string } };

/** The list of files is a JSON array behind its length; what lies before it is of other kinds. */
function fileList(note: Uint8Array<ArrayBuffer>, from: number): string[] {
  const beginning = new TextEncoder().encode('[{"');
  for (let at = indexOf(note, beginning, from);; at = indexOf(note, beginning, at + 1)) {
    const length = lengthAt(note, at - 8);
    if (length > note.length - at || note[at + length - 1] !== 0x5d) continue; // "]"
    try {
      return flatten(jsonAt(note, at, length) as readonly Entry[], "");
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error; // bytes that look like it by chance
    }
  }
}

function flatten(entries: readonly Entry[], folder: string): string[] {
  return entries.flatMap((entry) => {
    if ("Dir" in entry) return flatten(entry.Dir.e, `${folder}${entry.Dir.n}/`);
    return [`${folder}${"File" in entry ? entry.File.n : entry.Symlink.n}`];
  });
}

function lengthAt(bytes: Uint8Array<ArrayBuffer>, at: number): number {
  return Number(new DataView(bytes.buffer).getBigUint64(at, true));
}

function jsonAt(bytes: Uint8Array<ArrayBuffer>, at: number, length: number): unknown {
  return JSON.parse(
    new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(at, at + length)),
  );
}

function indexOf(bytes: Uint8Array, wanted: ArrayLike<number>, from: number): number {
  const first = wanted[0] ?? 0;
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    let length = 1;
    while (length < wanted.length && bytes[at + length] === wanted[length]) length++;
    if (length === wanted.length) return at;
  }
  throw new Error("the binary does not hold what deno compile embeds");
}

/** The options of `deno run` that grant exactly what the binary grants itself. */
export function runFlags({ metadata: { permissions, v8_flags } }: EmbeddedProgram): string[] {
  const flags = Object.entries(permissions).flatMap(([key, grant]) => {
    if (typeof grant === "boolean") return grant ? [] : ["--no-prompt"];
    if (grant === null || (key === "allow_import" && permissions.deny_import !== null)) return [];
    const flag = `--${key.replaceAll("_", "-")}`;
    return [grant.length === 0 ? flag : `${flag}=${grant.join(",")}`];
  });
  return v8_flags.includes("--jitless") ? [...flags, "--v8-flags=--jitless"] : flags;
}
