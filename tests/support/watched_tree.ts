/** A directory on disk, a watcher on it, and everything that it told. */

import {
  type FileName,
  fromText,
  isWithin,
  join,
  nameOf,
  parentOf,
  type RelativePath,
  ROOT,
} from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { isErrno } from "../../ffi/errno.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { InotifyWatcher, type InotifyWatcherOptions } from "../../src/watching/inotify_watcher.ts";
import type { RereadReason, WatchSink } from "../../src/watching/watcher.ts";
import { scratchDirectory } from "./scratch.ts";
import { sleep, waitFor } from "./wait.ts";

export const DEBOUNCE_MS = 30;

export class WatchedTree implements WatchSink, AsyncDisposable {
  /** All that was told, a line each: `changed PATH`, `reread PATH REASON`, `moved FROM TO`, `lost`, `found`. */
  readonly told: string[] = [];
  /** What was to be told soon. */
  readonly forewarned: string[] = [];
  readonly expected = new Set<RelativePath>();
  readonly troubles: string[] = [];
  /** What a sink would know that looks at what it is told, at once. */
  readonly known = new Map<RelativePath, string>();
  readonly base: string;
  readonly watcher: InotifyWatcher;
  root: Directory | undefined;
  readonly #reactor: Reactor;
  readonly #ownsReactor: boolean;

  constructor(options: Partial<InotifyWatcherOptions> = {}, reactor?: Reactor) {
    this.base = scratchDirectory("watched", "memory");
    this.#reactor = reactor ?? new Reactor();
    this.#ownsReactor = reactor === undefined;
    Deno.mkdirSync(this.inside());
    Deno.mkdirSync(this.outside());
    this.watcher = new InotifyWatcher(this.#reactor, this, {
      debounceMs: DEBOUNCE_MS,
      openRoot: () => openIfThere(this.inside()),
      onTrouble: (message) => this.troubles.push(message),
      ...options,
    });
  }

  static async start(
    options: Partial<InotifyWatcherOptions> = {},
    reactor?: Reactor,
  ): Promise<WatchedTree> {
    const tree = new WatchedTree(options, reactor);
    await tree.watcher.start();
    return tree;
  }

  /** An absolute path below the root, or outside of it. */
  inside(path = ""): string {
    return `${this.base}/inside${path && `/${path}`}`;
  }

  outside(path = ""): string {
    return `${this.base}/outside${path && `/${path}`}`;
  }

  write(path: string, content = "content"): void {
    Deno.writeTextFileSync(this.inside(path), content);
  }

  mkdir(path: string): void {
    Deno.mkdirSync(this.inside(path), { recursive: true });
  }

  /** Waits until this was told. */
  async hears(...lines: string[]): Promise<void> {
    const missing = () => lines.filter((line) => !this.told.includes(fromText(line)));
    await waitFor(
      () => `to be told ${missing().join(", ")}; was told: ${this.told.join(", ")}`,
      () => missing().length === 0,
    );
  }

  /** Waits until nothing waits to be told any more; events of all that was done before have been seen. */
  async quiet(): Promise<void> {
    await sleep(2 * DEBOUNCE_MS);
    for (let quiet = 0; quiet < 3;) {
      await sleep(DEBOUNCE_MS);
      quiet = this.watcher.pending === 0 ? quiet + 1 : 0;
    }
  }

  /** Forgets what was told so far, and returns it. */
  take(): string[] {
    return this.told.splice(0);
  }

  expects(path: RelativePath): boolean {
    return this.expected.has(path);
  }

  soon(path: RelativePath): void {
    this.forewarned.push(path);
  }

  changed(path: RelativePath): void {
    this.told.push(`changed ${path}`);
    this.#look(path);
  }

  reread(directory: RelativePath, reason: RereadReason): void {
    this.told.push(`reread ${directory} ${reason}`);
    if (this.root === undefined) return;
    const found = new Map<RelativePath, string>();
    readBelow(this.root, directory, found);
    for (const path of this.known.keys()) {
      if (isWithin(path, directory) && !found.has(path)) this.known.delete(path);
    }
    this.#look(directory);
    if (reason === "created") return; // whatever else is there is told one by one
    for (const [path, seen] of found) this.known.set(path, seen);
  }

  moved(from: RelativePath, to: RelativePath): void {
    this.told.push(`moved ${from} ${to}`);
  }

  rootLost(): void {
    this.told.push("lost");
    this.known.clear();
  }

  rootFound(root: Directory): void {
    this.told.push("found");
    this.root?.close();
    this.root = root;
    readBelow(root, ROOT, this.known);
  }

  #look(path: RelativePath): void {
    if (path === ROOT || this.root === undefined) return;
    const parent = this.root.openBeneath(parentOf(path));
    const seen = parent && describe(parent, nameOf(path));
    parent?.close();
    if (seen === undefined) this.known.delete(path);
    else this.known.set(path, seen);
  }

  /** In words, where what is known differs from what is there. */
  differences(): string[] {
    if (this.root === undefined) throw new Error("there is no root");
    const truth = new Map<RelativePath, string>();
    readBelow(this.root, ROOT, truth);
    const paths = new Set([...truth.keys(), ...this.known.keys()]);
    return [...paths].filter((path) => truth.get(path) !== this.known.get(path)).map((path) =>
      `${path}: is ${truth.get(path)}, known as ${this.known.get(path)}`
    );
  }

  /** Directories inside, the root included. */
  directories(): RelativePath[] {
    if (this.root === undefined) throw new Error("there is no root");
    const truth = new Map<RelativePath, string>();
    readBelow(this.root, ROOT, truth);
    return [
      ROOT,
      ...[...truth].filter(([, seen]) => seen.startsWith("directory")).map(([path]) => path),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.watcher.close();
    this.root?.close();
    this.root = undefined;
    if (this.#ownsReactor) {
      await this.#reactor.stop();
      this.#reactor[Symbol.dispose]();
    }
    Deno.removeSync(this.base, { recursive: true });
  }
}

export function openIfThere(path: string): Directory | undefined {
  try {
    return Directory.openTrusted(fromText(path));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Enough to see any change; of a directory only what is told: that it is there, and its mode. */
function describe(directory: Directory, name: FileName): string | undefined {
  const status = directory.status(name);
  if (status === undefined) return undefined;
  const { kind, inode, mode, size, ctimeNs } = status;
  return kind === "directory"
    ? `${kind} ${inode} ${mode}`
    : [kind, inode, mode, size, ctimeNs].join(" ");
}

function readBelow(root: Directory, path: RelativePath, into: Map<RelativePath, string>): void {
  const opened = root.openBeneath(path);
  if (opened === undefined) return;
  using directory = opened;
  for (const { name } of directory.entries()) {
    const seen = describe(directory, name);
    if (seen === undefined) continue;
    into.set(join(path, name), seen);
    if (seen.startsWith("directory")) readBelow(root, join(path, name), into);
  }
}
