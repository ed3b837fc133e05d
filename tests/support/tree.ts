/**
 * What a directory tree holds, as other tools than ours see it (find, sha256sum), and how two of them differ.
 */

import { type ByteString, display, fromBytes } from "../../ffi/byte_string.ts";
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
}

/** Paths below the tree's root, without the root itself. */
export type Tree = ReadonlyMap<ByteString, TreeEntry>;

const FIELDS = ["%y", "%m", "%U:%G", "%T@", "%s", "%l", "%P"].map((field) => `${field}\\0`).join(
  "",
);

/** The tree at `path`; empty if there is none. An entry that vanishes while we look is left out. */
export async function readTree(path: string): Promise<Tree> {
  const { stdout } = await run("find", [path, "-mindepth", "1", "-printf", FIELDS]);
  const fields = fromBytes(stdout).split("\0");
  const tree = new Map<ByteString, TreeEntry>();
  for (let at = 0; at + 7 <= fields.length; at += 7) {
    const [type = "", mode = "", owner = "", mtime = "", size = "", target = "", name = ""] = fields
      .slice(at, at + 7);
    const isDirectory = type === "d";
    tree.set(name as ByteString, { // it came from fromBytes
      type,
      mode,
      owner,
      mtime: isDirectory ? "" : mtime,
      size: type === "f" ? size : "",
      target,
    });
  }
  return new Map([...tree].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/** SHA-256 of every regular file in the tree at `path`; empty if there is none. */
export async function hashTree(path: string): Promise<ReadonlyMap<ByteString, string>> {
  const script =
    'cd "$1" 2>/dev/null || exit 0; find . -type f -print0 | xargs -0 -r sha256sum -z --';
  const { code, stdout, stderr } = await run("sh", ["-c", script, "sh", path]);
  if (code !== 0) throw new Error(`cannot read ${path}: ${stderr}`);
  const lines = fromBytes(stdout).split("\0").slice(0, -1);
  return new Map(
    // "HASH  ./NAME"; with -z names are never escaped
    lines.map((line) => [line.slice(68) as ByteString, line.slice(0, 64)]),
  );
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
      const fields = ["type", "mode", "owner", "mtime", "size", "target"] as const;
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

/** The same, for the content of regular files. */
export async function contentDifferences(left: string, right: string): Promise<string[]> {
  const [ours, theirs] = await Promise.all([hashTree(left), hashTree(right)]);
  return [...ours].flatMap(([path, hash]) =>
    theirs.get(path) === hash ? [] : [`${display(path)}: content differs, ${left} and ${right}`]
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
