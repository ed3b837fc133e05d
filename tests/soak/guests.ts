/**
 * Guests that do whatever comes to their minds in their shares: few names, so that they get in each other's way.
 * What a guest does depends on the seed and on how many things were done before, not on what it meets.
 */

import { fileName, fromText } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { SystemError } from "../../ffi/errno.ts";
import { RENAME_EXCHANGE } from "../../ffi/platform.ts";
import type { Channel } from "../support/channel.ts";
import { EICAR } from "../support/eicar.ts";
import type { Random } from "./random.ts";
import { Survivors } from "./survivors.ts";

const DIRECTORIES = ["", "a", "a/b", "a/b/c", "d"] as const;
const FILES = ["one", "two.txt", "three.doc"] as const;
const TREES = ["a", "a/b", "a/b/c", "d", "moved", "a/moved"] as const;
const EICAR_TEXT = new TextDecoder().decode(EICAR);

/**
 * Where guests' symbolic links lead. Here they are followed on the host, by later operations of the guests themselves:
 * nothing may be there, nor come to be there, or it would be written to.
 */
const NOWHERE = "/nonexistent/of-a-guest";

/** What a guest's operation meets when somebody else was quicker. */
const EXPECTED = [
  Deno.errors.NotFound,
  Deno.errors.AlreadyExists,
  Deno.errors.NotADirectory,
  Deno.errors.IsADirectory,
  Deno.errors.FilesystemLoop,
];
/** EPERM, EINVAL (into itself), ENOSPC, EROFS, ENOTEMPTY, ELOOP: of a busy tree, and of a disk that is full or read-only. */
const EXPECTED_ERRNO = /ENOTEMPTY|not empty|os error (1|22|28|30|39|40)\b/i;

type Operation = (guest: Guest, random: Random) => string;

interface Guest {
  readonly name: string;
  readonly root: string;
}

export class Guests {
  readonly survivors = new Survivors();
  readonly #channel: Channel;
  readonly #random: Random;
  readonly #guests: readonly Guest[];
  readonly #diodes: readonly Guest[];
  #contents = 0;
  /** Files that a diode has made: they are never made again. */
  #made = 0;

  /** `round`: of several in the same shares. */
  constructor(channel: Channel, random: Random, private readonly round: number) {
    this.#channel = channel;
    this.#random = random;
    const diodes = channel.options.diodeProducers ?? [];
    const all = channel.producers.map((name) => ({ name, root: channel.share(name).path }));
    this.#guests = all.filter(({ name }) => !diodes.includes(name));
    this.#diodes = all.filter(({ name }) => diodes.includes(name));
  }

  /** One guest does one thing; what it was, for the record. */
  act(): string {
    const random = this.#random.fork();
    this.#contents++;
    const diode = this.#diodes[0];
    const [guest, operation] = diode !== undefined && random.chance(0.1)
      ? [diode, this.#asDiode]
      : [random.choose(this.#guests), this.#operation(random.below(100))];
    try {
      return `${guest.name}: ${operation.call(this, guest, random)}`;
    } catch (error) {
      if (!isExpected(error)) throw error;
      return `${guest.name}: ${operation.name.slice(1)}: ${String(error).slice(0, 70)}`;
    }
  }

  #operation(roll: number): Operation {
    const table: readonly (readonly [below: number, operation: Operation])[] = [
      [34, this.#write],
      [42, this.#infect],
      [50, this.#append],
      [54, this.#truncate],
      [62, this.#rename],
      [67, this.#exchange],
      [74, this.#remove],
      [78, this.#removeTree],
      [82, this.#moveTree],
      [85, this.#chmod],
      [88, this.#link],
      [90, this.#symlink],
      [93, this.#makeDirectory],
      [96, this.#removeDirectory],
      [100, this.#saveAsEditorsDo],
    ];
    return table.find(([below]) => roll < below)?.[1] ?? this.#write;
  }

  /** Where too many conflict copies stand already, a loser is replaced: that is told, and no fault. */
  forgive(log: string): void {
    for (const [, path] of log.matchAll(/share\/\w+\/(\S+) lost a conflict and is replaced/g)) {
      if (path !== undefined) this.survivors.touched(path);
    }
  }

  /** Nobody promises what its author has not on the disk. */
  lookAfterPowerFailure(): void {
    this.survivors.keep((share, path, content) =>
      readText(`${this.#channel.share(share).path}/${path}`) === content
    );
  }

  /** What does not travel is taken away, so that all places can be compared. */
  removeObstacles(): void {
    for (const { path } of this.#channel.peers) removeLinks(path);
  }

  #write({ name, root }: Guest, random: Random): string {
    const path = somePath(random);
    const content = this.#newContent(random);
    // An old time makes the last version lose where there is a conflict: then it must be a conflict copy.
    const old = random.chance(0.25) ? 1e9 + random.below(1e8) : undefined;
    this.survivors.touched(path);
    makeParent(root, path);
    Deno.writeTextFileSync(`${root}/${path}`, content);
    this.#touchesLinks(root, path);
    if (old !== undefined) Deno.utimeSync(`${root}/${path}`, 1e9, old);
    this.survivors.written(path, name, content);
    return `write ${path}${old === undefined ? "" : " (old)"}: ${headOf(content)}`;
  }

  /** Other names of the same file in the same share have another content now. */
  #touchesLinks(root: string, path: string): void {
    const { ino, nlink } = Deno.lstatSync(`${root}/${path}`);
    if (nlink === 1) return;
    for (const known of this.survivors.paths()) {
      try {
        if (Deno.lstatSync(`${root}/${known}`).ino === ino) this.survivors.forget(known);
      } catch (error) {
        if (!isExpected(error)) throw error;
      }
    }
  }

  #infect({ name, root }: Guest, random: Random): string {
    const path = somePath(random);
    this.survivors.touched(path);
    makeParent(root, path);
    Deno.writeTextFileSync(`${root}/${path}`, malwareOf(name, random.below(1000)));
    this.#touchesLinks(root, path);
    return `infect ${path}`;
  }

  /** Through one descriptor, so that what the file holds then is known. */
  #edit(
    { name, root }: Guest,
    path: string,
    edit: (file: Deno.FsFile, content: string) => string,
  ): string {
    this.survivors.touched(path);
    using file = Deno.openSync(`${root}/${path}`, { read: true, write: true });
    const bytes = new Uint8Array(file.statSync().size);
    const length = file.readSync(bytes) ?? 0;
    const content = edit(file, new TextDecoder().decode(bytes.subarray(0, length)));
    this.#touchesLinks(root, path);
    if (!content.includes(EICAR_TEXT.slice(0, 8))) this.survivors.written(path, name, content);
    return headOf(content);
  }

  #append(guest: Guest, random: Random): string {
    const path = somePath(random);
    const more = ` and ${this.#contents}`;
    const edited = this.#edit(guest, path, (file, content) => {
      file.writeSync(new TextEncoder().encode(more));
      return content + more;
    });
    return `append ${path}: ${edited}`;
  }

  #truncate(guest: Guest, random: Random): string {
    const path = somePath(random);
    const part = random.next();
    const edited = this.#edit(guest, path, (file, content) => {
      const shorter = content.slice(0, Math.floor(content.length * part));
      file.truncateSync(shorter.length);
      return shorter;
    });
    return `truncate ${path}: ${edited}`;
  }

  #rename({ name, root }: Guest, random: Random): string {
    const [from, to] = [somePath(random), somePath(random)];
    this.survivors.touched(to);
    makeParent(root, to);
    Deno.renameSync(`${root}/${from}`, `${root}/${to}`);
    this.survivors.moved(name, [{ from, to }], (path) => readText(`${root}/${path}`));
    return `rename ${from} ${to}`;
  }

  #exchange({ name, root }: Guest, random: Random): string {
    const trees = random.chance(0.4);
    const [one, other] = trees
      ? [random.choose(TREES), random.choose(TREES)]
      : [somePath(random), somePath(random)];
    exchange(`${root}/${one}`, `${root}/${other}`);
    const moves = [{ from: one, to: other }, { from: other, to: one }];
    this.survivors.moved(name, moves, (path) => readText(`${root}/${path}`));
    return `exchange ${one} ${other}`;
  }

  #remove({ root }: Guest, random: Random): string {
    const path = somePath(random);
    this.survivors.touched(path);
    Deno.removeSync(`${root}/${path}`);
    return `remove ${path}`;
  }

  #removeTree({ root }: Guest, random: Random): string {
    const directory = random.choose(["a/b/c", "a/b", "d", "moved"]);
    this.survivors.touched(directory);
    Deno.removeSync(`${root}/${directory}`, { recursive: true });
    return `remove tree ${directory}`;
  }

  #moveTree({ name, root }: Guest, random: Random): string {
    const from = random.choose(["a/b", "d", "a/b/c", "moved"]);
    const to = random.choose(["a/moved", "d", "moved", "a/b/d"]);
    this.survivors.touched(to);
    makeParent(root, to);
    Deno.renameSync(`${root}/${from}`, `${root}/${to}`);
    this.survivors.moved(name, [{ from, to }], (path) => readText(`${root}/${path}`));
    return `move tree ${from} ${to}`;
  }

  #chmod({ root }: Guest, random: Random): string {
    const path = random.chance(0.3) ? random.choose(TREES) : somePath(random);
    Deno.chmodSync(`${root}/${path}`, random.choose([0o700, 0o744, 0o750]));
    return `chmod ${path}`;
  }

  #link({ root }: Guest, random: Random): string {
    const [from, to] = [somePath(random), somePath(random)];
    this.survivors.touched(to);
    Deno.linkSync(`${root}/${from}`, `${root}/${to}`);
    this.survivors.touched(from); // what is written to one name changes the other
    return `link ${from} ${to}`;
  }

  #symlink({ root }: Guest, random: Random): string {
    const path = somePath(random);
    this.survivors.touched(path);
    Deno.symlinkSync(NOWHERE, `${root}/${path}`);
    return `symlink ${path}`;
  }

  /** Now and then where others have a file. */
  #makeDirectory({ root }: Guest, random: Random): string {
    const path = random.chance(0.3) ? somePath(random) : random.choose([...TREES, "e", "a/e"]);
    if (!TREES.some((tree) => tree === path)) this.survivors.touched(path);
    makeParent(root, path);
    Deno.mkdirSync(`${root}/${path}`);
    return `mkdir ${path}`;
  }

  #removeDirectory({ root }: Guest, random: Random): string {
    const path = random.chance(0.3) ? somePath(random) : random.choose([...TREES, "e", "a/e"]);
    if (Deno.lstatSync(`${root}/${path}`).isDirectory) Deno.removeSync(`${root}/${path}`);
    return `rmdir ${path}`;
  }

  #saveAsEditorsDo({ name, root }: Guest, random: Random): string {
    const path = somePath(random);
    const content = this.#newContent(random);
    this.survivors.touched(path);
    makeParent(root, path);
    const temporary = `${root}/${path}.new`;
    Deno.writeTextFileSync(temporary, content);
    Deno.renameSync(temporary, `${root}/${path}`);
    this.survivors.written(path, name, content);
    return `save ${path}: ${headOf(content)}`;
  }

  /** What a diode makes travels once; nobody else uses its names. */
  #asDiode({ name, root }: Guest, random: Random): string {
    const roll = random.below(100);
    const nameOf = (number: number) => `from-diode-${this.round}-${number}`;
    const [latest, next] = [nameOf(this.#made), nameOf(this.#made + 1)];
    if (roll < 20) {
      Deno.writeTextFileSync(`${root}/malware-${next}`, malwareOf(name, random.below(1000)));
      return `infect malware-${next}`;
    }
    if (roll < 40) {
      Deno.renameSync(`${root}/${latest}`, `${root}/${latest}-renamed`);
      return `rename ${latest}`;
    }
    const content = this.#newContent(random);
    this.#made++;
    Deno.writeTextFileSync(`${root}/${next}`, content);
    this.survivors.written(next, name, content);
    return `write ${next}: ${headOf(content)}`;
  }

  #newContent(random: Random): string {
    const size = random.choose([1, 100, 5000, 70_000]);
    return `content ${this.#contents} `.padEnd(size, "x");
  }
}

/** Malware that says whose it is. */
function malwareOf(author: string, padding: number): string {
  return `${EICAR_TEXT}${markOf(author)}${" ".repeat(padding)}`;
}

const markOf = (author: string) => ` by ${author}`;

/** Whether what follows the malware in this content says that it is `author`'s, as far as it was not cut off. */
export function isMalwareOf(author: string, content: string): boolean {
  const rest = content.slice(content.indexOf(EICAR_TEXT) + EICAR_TEXT.length);
  return rest.startsWith(markOf(author)) || markOf(author).startsWith(rest);
}

function somePath(random: Random): string {
  const directory = random.choose(DIRECTORIES);
  const name = random.choose(FILES);
  return directory === "" ? name : `${directory}/${name}`;
}

const headOf = (content: string) => content.slice(0, 14).trim();

function readText(path: string): string | undefined {
  try {
    return Deno.lstatSync(path).isFile ? Deno.readTextFileSync(path) : undefined;
  } catch (error) {
    if (!isExpected(error)) throw error;
    return undefined;
  }
}

function exchange(one: string, other: string): void {
  const [from, fromName] = cut(one);
  const [to, toName] = cut(other);
  using source = Directory.openTrusted(fromText(from));
  using target = Directory.openTrusted(fromText(to));
  source.rename(fileName(fromText(fromName)), target, fileName(fromText(toName)), RENAME_EXCHANGE);
}

function cut(path: string): [directory: string, name: string] {
  const slash = path.lastIndexOf("/");
  return [path.slice(0, slash), path.slice(slash + 1)];
}

function isExpected(error: unknown): boolean {
  if (error instanceof SystemError || EXPECTED.some((kind) => error instanceof kind)) return true;
  return error instanceof Error && EXPECTED_ERRNO.test(error.message);
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
