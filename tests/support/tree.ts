/**
 * What a directory tree holds, as other tools than ours see it (find, sha256sum), and how two of them differ.
 */

import { type ByteString, display, fromBytes, fromText } from "../../ffi/byte_string.ts";
import { listsAt } from "./access_control_list.ts";
import { run } from "./command.ts";

export interface TreeEntry {
  /** find's letter: `f` file, `d` directory, `l` link, `p`, `s`, `b`, `c`. */
  readonly type: string;
  /** Octal, all 12 bits. */
  readonly mode: string;
  readonly owner: string;
  /** Seconds and nanoseconds; `""` for directories, whose times nobody promises. */
  readonly mtime: string;
  /** Bytes of a file; `""` for others. */
  readonly size: string;
  /** Where a link points to. */
  readonly target: string;
  /** Which access control lists it has; `""` if none, as whatever the daemon makes. */
  readonly lists: string;
}

/** Paths below the tree's root, without the root itself. */
export type Tree = ReadonlyMap<ByteString, TreeEntry>;

const COLUMNS = ["%H", "%y", "%m", "%U:%G", "%T@", "%s", "%l", "%P"];
const FIELDS = COLUMNS.map((column) => `${column}\\0`).join("");

/** The tree at `path`; empty if there is none. An entry that vanishes while we look is left out. */
export async function readTree(path: string): Promise<Tree> {
  const [tree = new Map()] = await readTrees([path]);
  return tree;
}

/** The same for several at once: processes are what it costs. */
export async function readTrees(paths: readonly string[]): Promise<readonly Tree[]> {
  const { stdout } = await run("find", [...paths, "-mindepth", "1", "-printf", FIELDS]);
  const fields = fromBytes(stdout).split("\0");
  const trees = new Map(paths.map((path) => [fromText(path), new Map<ByteString, TreeEntry>()]));
  for (let at = 0; at + COLUMNS.length <= fields.length; at += COLUMNS.length) {
    const [
      root = "",
      type = "",
      mode = "",
      owner = "",
      mtime = "",
      size = "",
      target = "",
      name = "",
    ] = fields.slice(at, at + COLUMNS.length);
    const isDirectory = type === "d";
    trees.get(root as ByteString)?.set(name as ByteString, { // they came from fromBytes
      type,
      mode,
      owner,
      mtime: isDirectory ? "" : mtime,
      size: type === "f" ? size : "",
      target,
      lists: listsAt(`${root}/${name}` as ByteString),
    });
  }
  return [...trees.values()].map(sorted);
}

function sorted<T>(entries: ReadonlyMap<ByteString, T>): ReadonlyMap<ByteString, T> {
  return new Map([...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/** SHA-256 of every regular file in each of the trees; empty where there is none. */
export async function hashTrees(
  paths: readonly string[],
): Promise<readonly ReadonlyMap<ByteString, string>[]> {
  const script = 'find "$@" -type f -print0 2>/dev/null | xargs -0 -r sha256sum -z --';
  const { code, stdout, stderr } = await run("sh", ["-c", script, "sh", ...paths]);
  if (code !== 0) throw new Error(`cannot read ${paths.join(", ")}: ${stderr}`);
  // "HASH  PATH"; with -z names are never escaped
  const lines = fromBytes(stdout).split("\0").slice(0, -1);
  return paths.map((path) => {
    const root = fromText(path.endsWith("/") ? path : `${path}/`);
    const own = lines.filter((line) => line.startsWith(root, 66));
    return new Map(
      own.map((line) => [line.slice(66 + root.length) as ByteString, line.slice(0, 64)]),
    );
  });
}

/** In words, what is not the same in two trees; empty if they are equal. Content is not compared. */
export function treeDifferences(
  left: Tree,
  right: Tree,
  leftName: string,
  rightName: string,
): string[] {
  const differences: string[] = [];
  for (const [path, entry] of left) {
    const other = right.get(path);
    if (other === undefined) {
      differences.push(`${display(path)}: in ${leftName}, not in ${rightName}`);
    } else {
      const fields = ["type", "mode", "owner", "mtime", "size", "target", "lists"] as const;
      for (const field of fields.filter((field) => entry[field] !== other[field])) {
        differences.push(
          `${display(path)}: ${field} ${entry[field]} in ${leftName}, ${
            other[field]
          } in ${rightName}`,
        );
      }
    }
  }
  for (const path of right.keys()) {
    if (!left.has(path)) differences.push(`${display(path)}: in ${rightName}, not in ${leftName}`);
  }
  return differences;
}

/** In words, which regular files of the first tree have another content in any of the others. */
export async function contentDifferences(
  first: string,
  ...others: readonly string[]
): Promise<string[]> {
  const [ours = new Map(), ...theirs] = await hashTrees([first, ...others]);
  return others.flatMap((other, number) =>
    [...ours].flatMap(([path, hash]) =>
      theirs[number]?.get(path) === hash
        ? []
        : [`${display(path)}: content differs, ${first} and ${other}`]
    )
  );
}

/** The files below `paths` that hold the bytes anywhere, as grep finds them. */
export async function filesThatHold(
  bytes: Uint8Array<ArrayBuffer>,
  paths: readonly string[],
): Promise<string[]> {
  const { stdout, code, stderr } = await run(
    "grep",
    ["-r", "-l", "-a", "-F", "-Z", "-f", "-", "--", ...paths],
    { stdin: bytes },
  );
  // 1: nothing found. 2: something could not be read, which may be a file that has just gone.
  if (code > 1 && !/No such file/.test(stderr)) throw new Error(`grep: ${stderr}`);
  return fromBytes(stdout).split("\0").slice(0, -1).map((path) => display(path as ByteString));
}

/** Whether anything has this name, a link too. */
export function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
