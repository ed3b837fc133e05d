/**
 * Three guests that do whatever comes to their minds in their shares: few names, so that they get in each other's
 * way. Remembers which clean contents must have survived: the last thing that anybody did to a path.
 */

import type { Channel } from "../support/channel.ts";
import { infected } from "../support/eicar.ts";
import type { Random } from "./random.ts";

const DIRECTORIES = ["", "a", "a/b", "a/b/c", "d"] as const;
const FILES = ["one", "two.txt", "three.doc"] as const;
/** What a guest's operation meets when somebody else was quicker. */
const EXPECTED = [
  Deno.errors.NotFound,
  Deno.errors.AlreadyExists,
  Deno.errors.NotADirectory,
  Deno.errors.IsADirectory,
  Deno.errors.FilesystemLoop,
];

export class Guests {
  readonly #channel: Channel;
  readonly #random: Random;
  /** By path, the content that was written last and that nobody touched since. */
  readonly #mustSurvive = new Map<string, string>();
  #contents = 0;

  constructor(channel: Channel, random: Random) {
    this.#channel = channel;
    this.#random = random;
  }

  /** Contents that have to be somewhere in the export once all is quiet. */
  get mustSurvive(): ReadonlyMap<string, string> {
    return this.#mustSurvive;
  }

  /** One guest does one thing; what it was, for the record. */
  act(): string {
    const share = this.#random.choose(["ann", "bob", "cid"]);
    const root = this.#channel.share(share).path;
    const path = this.#path();
    const roll = this.#random.below(100);
    try {
      if (roll < 45) return this.#write(root, path, share);
      if (roll < 53) return this.#infect(root, path, share);
      if (roll < 61) return this.#append(root, path, share);
      if (roll < 72) return this.#rename(root, path, this.#path(), share);
      if (roll < 80) return this.#remove(root, path, share);
      if (roll < 84) return this.#removeTree(root, share);
      if (roll < 88) return this.#moveTree(root, share);
      if (roll < 91) return this.#chmod(root, path, share);
      if (roll < 94) return this.#link(root, path, this.#path(), share);
      if (roll < 97) return this.#symlink(root, path, share);
      return this.#saveAsEditorsDo(root, path, share);
    } catch (error) {
      if (isExpected(error)) return `${share}: ${path}: ${String(error).slice(0, 60)}`;
      throw error;
    }
  }

  /** Where too many conflict copies stand already, a loser is replaced: that is told, and no fault. */
  forgive(log: string): void {
    for (const [, path] of log.matchAll(/share\/\w+\/(\S+) lost a conflict and is replaced/g)) {
      if (path !== undefined) this.#touches(path);
    }
  }

  /** What does not travel is taken away, so that all places can be compared. */
  removeObstacles(): void {
    for (const { path } of this.#channel.peers) removeLinks(path);
  }

  #path(): string {
    const directory = this.#random.choose(DIRECTORIES);
    const name = this.#random.choose(FILES);
    return directory === "" ? name : `${directory}/${name}`;
  }

  #newContent(): string {
    const size = this.#random.choose([1, 100, 5000, 70_000]);
    return `content ${++this.#contents} `.padEnd(size, "x");
  }

  #touches(path: string): void {
    for (const known of this.#mustSurvive.keys()) {
      if (known === path || known.startsWith(`${path}/`) || path.startsWith(`${known}/`)) {
        this.#mustSurvive.delete(known);
      }
    }
  }

  #write(root: string, path: string, share: string): string {
    this.#touches(path);
    makeParent(root, path);
    const content = this.#newContent();
    Deno.writeTextFileSync(`${root}/${path}`, content);
    this.#touchesLinks(root, path);
    // An old time makes the last version lose where there is a conflict: then it must be a conflict copy.
    const isOld = this.#random.chance(0.25);
    if (isOld) Deno.utimeSync(`${root}/${path}`, 1e9, 1e9 + this.#random.below(1e8));
    this.#mustSurvive.set(path, content);
    return `${share}: write ${path}${isOld ? " (old)" : ""}: ${content.slice(0, 14).trim()}`;
  }

  /** Other names of the same file in the same share have another content now. */
  #touchesLinks(root: string, path: string): void {
    const { ino, nlink } = Deno.lstatSync(`${root}/${path}`);
    if (nlink === 1) return;
    for (const known of [...this.#mustSurvive.keys()]) {
      try {
        if (Deno.lstatSync(`${root}/${known}`).ino === ino) this.#mustSurvive.delete(known);
      } catch (error) {
        if (!isExpected(error)) throw error;
      }
    }
  }

  #infect(root: string, path: string, share: string): string {
    this.#touches(path);
    makeParent(root, path);
    Deno.writeFileSync(`${root}/${path}`, infected(100 + this.#random.below(1000)));
    this.#touchesLinks(root, path);
    return `${share}: infect ${path}`;
  }

  #append(root: string, path: string, share: string): string {
    this.#touches(path);
    Deno.writeTextFileSync(`${root}/${path}`, ` and ${++this.#contents}`, {
      append: true,
      create: false,
    });
    this.#touchesLinks(root, path);
    return `${share}: append ${path}`;
  }

  #rename(root: string, from: string, to: string, share: string): string {
    this.#touches(from);
    this.#touches(to);
    makeParent(root, to);
    Deno.renameSync(`${root}/${from}`, `${root}/${to}`);
    return `${share}: rename ${from} ${to}`;
  }

  #remove(root: string, path: string, share: string): string {
    this.#touches(path);
    Deno.removeSync(`${root}/${path}`);
    return `${share}: remove ${path}`;
  }

  #removeTree(root: string, share: string): string {
    const directory = this.#random.choose(["a/b/c", "a/b", "d"]);
    this.#touches(directory);
    Deno.removeSync(`${root}/${directory}`, { recursive: true });
    return `${share}: remove tree ${directory}`;
  }

  #moveTree(root: string, share: string): string {
    const from = this.#random.choose(["a/b", "d", "a/b/c"]);
    const to = this.#random.choose(["a/moved", "d", "moved"]);
    this.#touches(from);
    this.#touches(to);
    makeParent(root, to);
    Deno.renameSync(`${root}/${from}`, `${root}/${to}`);
    return `${share}: move tree ${from} ${to}`;
  }

  #chmod(root: string, path: string, share: string): string {
    Deno.chmodSync(`${root}/${path}`, this.#random.choose([0o600, 0o644, 0o640]));
    return `${share}: chmod ${path}`;
  }

  #link(root: string, from: string, to: string, share: string): string {
    this.#touches(to);
    Deno.linkSync(`${root}/${from}`, `${root}/${to}`);
    this.#touches(from); // what is written to one name changes the other
    return `${share}: link ${from} ${to}`;
  }

  #symlink(root: string, path: string, share: string): string {
    this.#touches(path);
    Deno.symlinkSync("/etc/passwd", `${root}/${path}`);
    return `${share}: symlink ${path}`;
  }

  #saveAsEditorsDo(root: string, path: string, share: string): string {
    this.#touches(path);
    makeParent(root, path);
    const content = this.#newContent();
    const temporary = `${root}/${path}.new`;
    Deno.writeTextFileSync(temporary, content);
    Deno.renameSync(temporary, `${root}/${path}`);
    this.#mustSurvive.set(path, content);
    return `${share}: save ${path}: ${content.slice(0, 14).trim()}`;
  }
}

function isExpected(error: unknown): boolean {
  if (EXPECTED.some((kind) => error instanceof kind)) return true;
  return error instanceof Error && /ENOTEMPTY|not empty|os error (1|39|40)\b/i.test(error.message);
}

function makeParent(root: string, path: string): void {
  const slash = path.lastIndexOf("/");
  if (slash > 0) Deno.mkdirSync(`${root}/${path.slice(0, slash)}`, { recursive: true });
}

function removeLinks(directory: string): void {
  for (const entry of Deno.readDirSync(directory)) {
    const path = `${directory}/${entry.name}`;
    try {
      if (entry.isSymlink) Deno.removeSync(path);
      else if (entry.isDirectory) removeLinks(path);
    } catch (error) {
      if (!isExpected(error)) throw error; // moved by the gate meanwhile
    }
  }
}
