/**
 * Guests that do in their shares what programs seldom do, and what must survive it: every clean content that nobody has
 * removed or overwritten in a share that had it, and every one that was everywhere and that somebody has infected.
 */

import { fromText, nameOf, parentOf, type RelativePath } from "../../../ffi/byte_string.ts";
import { Directory } from "../../../ffi/directory.ts";
import { SystemError } from "../../../ffi/errno.ts";
import { writeAll } from "../../../ffi/file_content.ts";
import type { Random } from "../../soak/random.ts";
import type { Channel } from "../../support/channel.ts";
import { EICAR } from "../../support/eicar.ts";
import { MappedFile } from "../../support/mapped_file.ts";
import type { Share } from "../../support/share.ts";

const EICAR_TEXT = new TextDecoder().decode(EICAR);
const GUESTS = ["ann", "bob", "cid"] as const;
const LONG = "l".repeat(250);
const DIRECTORIES = ["", "a", "a/b", "a/b/c", "d", "d/e", `d/${LONG}`];
const NAMES = [
  "one",
  "two.txt",
  "three.doc",
  `${LONG}.txt`.slice(-255),
  "two.sync-conflict-20200101-000000-ann.txt",
  ".hidden",
  "download.part",
];
const TREES = ["a", "a/b", "a/b/c", "d", "d/e", "f", "a/f", "g.part"];
/** Seconds since 1970. */
const TIMES = [-1000, 0, 1, 1e9, 1.6e9, 4e9, 2 ** 34 - 10];
const MODES = [0o600, 0o640, 0o644, 0o755, 0o400];
const IGNORED = ".part";

/** What does not travel, by the configuration of the channel: files of such names, and a directory with all that is in it. */
export const IGNORED_HERE = { ignoreFilePatterns: ["*.part"], ignorePathPatterns: ["g.part"] };

type Operation = (share: Share, random: Random) => string;

export class RestlessGuests {
  /** Clean contents that must be everywhere once all is quiet. */
  readonly #alive = new Set<string>();
  /** Those of them that have been. */
  readonly #settled = new Set<string>();
  /** What malware has come in the place of, for which it must come back until somebody removes the malware himself. */
  readonly #former = new Map<string, ReadonlySet<string>>();
  /** Those that do not travel as they are called now. */
  readonly #hidden = new Set<string>();
  /** What lay in ignored places when all became quiet. */
  readonly #ignored = new Set<string>();
  readonly #held: Disposable[] = [];
  #number = 0;

  constructor(private readonly channel: Channel, private readonly mark: string) {}

  act(random: Random): string {
    const guest = random.choose(GUESTS);
    const share = this.channel.share(guest);
    const [name, operation] = this.#choose(random);
    try {
      return `${guest}: ${name} ${operation.call(this, share, random)}`;
    } catch (error) {
      if (!isExpected(error)) throw error;
      return `${guest}: ${name}: ${String(error).slice(0, 80)}`;
    }
  }

  #choose(random: Random): readonly [string, Operation] {
    const table: readonly (readonly [number, string, Operation])[] = [
      [8, "write", this.#write],
      [6, "infect", this.#infect],
      [4, "infect and heal", this.#infectAndHeal],
      [5, "exchange", this.#exchange],
      [6, "rename", this.#rename],
      [6, "rename tree", this.#renameTree],
      [3, "rename twice", this.#renameTwice],
      [3, "rename and infect", this.#renameAndInfect],
      [2, "exchange and infect", this.#exchangeAndInfect],
      [4, "link unnamed", this.#linkUnnamed],
      [3, "link", this.#link],
      [3, "link and unlink", this.#linkAndUnlink],
      [4, "attributes", this.#attributes],
      [3, "map", this.#map],
      [2, "unmap", this.#unmap],
      [3, "holes", this.#holes],
      [4, "remove", this.#remove],
      [2, "remove tree", this.#removeTree],
      [3, "directory", this.#directory],
      [3, "become", this.#become],
      [2, "save", this.#save],
    ];
    let roll = random.below(table.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, name, operation] of table) {
      if (roll < weight) return [name, operation];
      roll -= weight;
    }
    throw new RangeError("nothing is chosen");
  }

  /** What is lost in a place; to be asked once all is quiet. */
  lostIn(share: Share): string[] {
    const there = contentsBelow(share.path);
    return [...this.#alive].filter((content) =>
      !there.has(content) && !this.#wentWithDirectory(content)
    );
  }

  /**
   * It was being brought into a directory while that got an ignored name, and arrived there just after anybody looked. Nobody
   * can tell that from one that was there before, and has gone with it.
   */
  #wentWithDirectory(content: string): boolean {
    return this.#ignored.has(content) &&
      this.channel.peers.every((peer) => !contentsBelow(peer.path).has(content));
  }

  /** All is quiet, and everything is everywhere. */
  settled(): void {
    for (const content of this.#ignored) {
      if (this.#wentWithDirectory(content)) this.#drops(content);
    }
    this.#ignored.clear();
    for (const content of this.#alive) this.#settled.add(content);
  }

  /** What does not travel is taken away, so that all places can be compared. */
  removeOddities(): void {
    this.#release();
    for (const name of GUESTS) {
      const { path } = this.channel.share(name);
      for (const [at, content] of filesBelow(path, "")) {
        if (at.includes(IGNORED)) this.#ignored.add(content);
      }
      removeOddities(path);
    }
  }

  get alive(): number {
    return this.#alive.size;
  }

  // What becomes of contents.

  #made(content: string, path: string): string {
    if (!path.includes(IGNORED) && !content.includes(EICAR_TEXT)) this.#lives(content);
    return content.slice(0, 24).trim();
  }

  /** It is somebody's file from now on, and has not been everywhere as such. */
  #lives(content: string): void {
    this.#alive.add(content);
    this.#settled.delete(content);
  }

  /** Somebody gives up what is at the path: that is meant for everybody. */
  #givesUp(path: string): void {
    for (const share of this.channel.peers) {
      for (const content of contentsBelow(share.at(path))) this.#drops(content);
    }
  }

  /** Something is made where a share had something else: in whose place that comes, whatever has become of it. */
  #replaces(share: Share, path: string): void {
    if (share.has(path)) return;
    for (const peer of this.channel.peers) {
      for (const content of contentsBelow(peer.at(path))) {
        if (this.#settled.has(content)) this.#alive.delete(content);
      }
    }
  }

  /** It is overwritten in one share; what others have by now is in conflict with it. */
  #overwrites(share: Share, path: string): void {
    this.#replaces(share, path);
    const before = contentsBelow(share.at(path));
    const isMalware = [...before].some((content) => content.includes(EICAR_TEXT));
    if (isMalware) return this.#givesUp(path);
    for (const content of before) this.#drops(content);
  }

  /** Malware comes in the place of what is there: what was everywhere must come back. */
  #infects(share: Share, path: string): void {
    const malware = `${EICAR_TEXT} ${this.#number++}`;
    const former = new Set<string>();
    for (const content of contentsBelow(share.at(path))) {
      for (const one of this.#former.get(content) ?? [content]) former.add(one);
      if (!this.#settled.has(content)) this.#alive.delete(content);
    }
    this.#former.set(malware, former);
    this.#linked(share, path);
    writeInPlace(share, path, malware);
  }

  /** Somebody gives it up; if it is malware, what it has been as well. It may still be seen where others are to lose it. */
  #drops(content: string): void {
    for (const one of this.#former.get(content) ?? [content]) {
      this.#alive.delete(one);
      this.#hidden.delete(one);
    }
  }

  /** The things have new names: where those are ignored, they are gone for the others. */
  #moved(share: Share, ...paths: readonly string[]): void {
    for (const path of paths) {
      for (const content of contentsBelow(share.at(path))) {
        if (path.includes(IGNORED)) this.#hides(content);
      }
    }
  }

  #hides(content: string): void {
    if (this.#alive.delete(content)) this.#hidden.add(content);
    // Of malware that was not found before that, what it has been has left the others like any other file.
    for (const former of this.#former.get(content) ?? []) this.#alive.delete(former);
  }

  /** Names inside may be ignored. */
  #arrived(share: Share, path: string): void {
    for (const [at, content] of filesBelow(share.at(path), path)) {
      if (at.includes(IGNORED)) this.#hides(content);
      else if (this.#hidden.delete(content)) this.#lives(content);
    }
  }

  #content(random: Random): string {
    const size = random.choose([1, 50, 5000, 70_000]);
    return `${this.mark} ${this.#number++} `.padEnd(size, "x");
  }

  // What they do.

  #write(share: Share, random: Random): string {
    const path = random.chance(0.5) ? somePath(random) : someFile(share, random);
    const content = this.#content(random);
    makeParent(share, path);
    refuseOddity(share, path);
    this.#overwrites(share, path);
    this.#linked(share, path);
    writeInPlace(share, path, content);
    if (random.chance(0.3)) setTime(share, path, random);
    return `${path}: ${this.#made(content, path)}`;
  }

  #save(share: Share, random: Random): string {
    const path = someFile(share, random);
    const content = this.#content(random);
    makeParent(share, path);
    Deno.writeTextFileSync(share.at(`${path}~`), content);
    this.#overwrites(share, path);
    Deno.renameSync(share.at(`${path}~`), share.at(path));
    return `${path}: ${this.#made(content, path)}`;
  }

  #infect(share: Share, random: Random): string {
    const path = someFile(share, random);
    makeParent(share, path);
    refuseOddity(share, path);
    this.#infects(share, path);
    return path;
  }

  #infectAndHeal(share: Share, random: Random): string {
    const path = someFile(share, random);
    makeParent(share, path);
    refuseOddity(share, path);
    this.#overwrites(share, path);
    this.#linked(share, path);
    writeInPlace(share, path, `${EICAR_TEXT} ${this.#number++}`);
    const content = this.#content(random);
    writeInPlace(share, path, content);
    return `${path}: ${this.#made(content, path)}`;
  }

  #exchange(share: Share, random: Random): string {
    const [one, other] = [someThing(share, random), someThing(share, random)];
    if (one === other) return "nothing";
    share.exchange(one, other);
    this.#moved(share, one, other);
    this.#arrived(share, one);
    this.#arrived(share, other);
    return `${short(one)} ${short(other)}`;
  }

  #exchangeAndInfect(share: Share, random: Random): string {
    const [one, other] = [someFile(share, random), someThing(share, random)];
    if (one === other) return "nothing";
    share.exchange(one, other);
    this.#moved(share, one, other);
    this.#arrived(share, one);
    this.#arrived(share, other);
    if (Deno.lstatSync(share.at(other)).isFile) {
      // A file in its place is a later version of what had the name.
      if (Deno.lstatSync(share.at(one)).isFile) this.#overwrites(share, other);
      this.#infects(share, other);
    }
    return `${short(one)} ${short(other)}`;
  }

  #rename(share: Share, random: Random): string {
    return this.#renames(share, someFile(share, random), somePath(random));
  }

  #renameTree(share: Share, random: Random): string {
    return this.#renames(share, random.choose(TREES), random.choose(TREES));
  }

  #renames(share: Share, from: string, to: string): string {
    if (from === to) return "nothing";
    makeParent(share, to);
    this.#replaces(share, to);
    const kept = contentsBelow(share.at(from));
    const target = contentsBelow(share.at(to));
    Deno.renameSync(share.at(from), share.at(to));
    // A directory takes the place of an empty one only; a file that of any file, for everybody.
    for (const content of target) if (!kept.has(content)) this.#drops(content);
    if (target.size > 0) this.#givesUpOthers(share, to);
    this.#moved(share, to);
    this.#arrived(share, to);
    return `${short(from)} ${short(to)}`;
  }

  #givesUpOthers(share: Share, path: string): void {
    const own = contentsBelow(share.at(path));
    for (const peer of this.channel.peers) {
      for (const content of contentsBelow(peer.at(path))) {
        if (!own.has(content)) this.#drops(content);
      }
    }
  }

  #renameTwice(share: Share, random: Random): string {
    const [from, over, to] = [
      someThing(share, random),
      someThing(share, random),
      someThing(share, random),
    ];
    const first = this.#renames(share, from, over);
    return `${first}, ${this.#renames(share, over, to)}`;
  }

  #renameAndInfect(share: Share, random: Random): string {
    const [from, to] = [someFile(share, random), somePath(random)];
    const said = this.#renames(share, from, to);
    refuseOddity(share, to);
    this.#infects(share, to);
    return said;
  }

  #linkUnnamed(share: Share, random: Random): string {
    const path = fromText(somePath(random)) as RelativePath;
    const content = this.#content(random);
    this.#replaces(share, path);
    using root = Directory.openTrusted(fromText(share.path));
    using parent = root.openBeneath(parentOf(path));
    using file = parent?.createUnnamed();
    if (file === undefined) return "nowhere";
    writeAll(file, new TextEncoder().encode(content));
    parent?.linkUnnamed(file, nameOf(path));
    return `${short(path)}: ${this.#made(content, path)}`;
  }

  #link(share: Share, random: Random): string {
    const [from, to] = [someFile(share, random), somePath(random)];
    makeParent(share, to);
    this.#replaces(share, to);
    Deno.linkSync(share.at(from), share.at(to));
    return `${short(from)} ${short(to)}`;
  }

  #linkAndUnlink(share: Share, random: Random): string {
    const [from, to] = [someFile(share, random), somePath(random)];
    makeParent(share, to);
    this.#replaces(share, to);
    const moved = contentsBelow(share.at(from));
    Deno.linkSync(share.at(from), share.at(to));
    const lives = new Set(this.#alive);
    this.#givesUp(from);
    Deno.removeSync(share.at(from));
    for (const content of moved) if (lives.has(content)) this.#made(content, to);
    return `${short(from)} ${short(to)}`;
  }

  #attributes(share: Share, random: Random): string {
    const path = someFile(share, random);
    const roll = random.below(3);
    if (!Deno.lstatSync(share.at(path)).isFile) return "nothing";
    if (roll === 0) Deno.chmodSync(share.at(path), random.choose(MODES));
    else if (roll === 1) Deno.chownSync(share.at(path), 1000 + random.below(3), 1000);
    else setTime(share, path, random);
    return path;
  }

  #map(share: Share, random: Random): string {
    const path = someFile(share, random);
    if (!Deno.lstatSync(share.at(path)).isFile || Deno.statSync(share.at(path)).size === 0) {
      return "";
    }
    const bytes = Deno.readFileSync(share.at(path));
    this.#overwrites(share, path);
    this.#linked(share, path);
    const mapped = new MappedFile(share.at(path));
    this.#held.push(mapped);
    const text = `m${this.#number++}`.slice(0, bytes.length);
    mapped.write(new TextEncoder().encode(text));
    return path;
  }

  #unmap(): string {
    this.#release();
    return "";
  }

  #release(): void {
    for (const held of this.#held.splice(0)) held[Symbol.dispose]();
  }

  #holes(share: Share, random: Random): string {
    const path = someFile(share, random);
    const size = random.choose([0, 1, 4096, 10_000, 1_000_000]);
    refuseOddity(share, path);
    this.#overwrites(share, path);
    this.#linked(share, path);
    Deno.truncateSync(share.at(path), size);
    return `${short(path)} ${size}`;
  }

  #remove(share: Share, random: Random): string {
    const path = someFile(share, random);
    Deno.lstatSync(share.at(path));
    this.#givesUp(path);
    Deno.removeSync(share.at(path));
    return path;
  }

  #removeTree(share: Share, random: Random): string {
    const path = random.choose(TREES.slice(1));
    Deno.lstatSync(share.at(path));
    this.#givesUp(path);
    Deno.removeSync(share.at(path), { recursive: true });
    return path;
  }

  #directory(share: Share, random: Random): string {
    const path = random.chance(0.5) ? somePath(random) : random.choose(TREES);
    if (random.chance(0.5)) {
      makeParent(share, path);
      this.#replaces(share, path);
      Deno.mkdirSync(share.at(path));
      return `make ${short(path)}`;
    }
    if (Deno.lstatSync(share.at(path)).isDirectory) Deno.removeSync(share.at(path));
    return `remove ${short(path)}`;
  }

  /** A file is another kind of thing by now, or a thing a file. */
  #become(share: Share, random: Random): string {
    const path = somePath(random);
    makeParent(share, path);
    this.#givesUp(path);
    try {
      Deno.removeSync(share.at(path), { recursive: true });
    } catch (error) {
      if (!isExpected(error)) throw error;
    }
    const kind = random.below(4);
    if (kind === 0) Deno.symlinkSync("/nonexistent/of-a-guest", share.at(path));
    else if (kind === 1) Deno.mkdirSync(share.at(path));
    else if (kind === 2) {
      new Deno.Command("mkfifo", { args: [share.at(path)] }).outputSync();
    } else {
      Deno.mkdirSync(share.at(path));
      const content = this.#content(random);
      Deno.writeTextFileSync(share.at(`${path}/inside`), content);
      this.#made(content, path);
    }
    return `${short(path)} ${kind}`;
  }

  /** Other names of the same file have another content soon. */
  #linked(share: Share, path: string): void {
    try {
      const { nlink } = Deno.lstatSync(share.at(path));
      if (nlink === null || nlink < 2) return;
    } catch {
      return; // it is made
    }
    for (const content of contentsBelow(share.at(path))) this.#alive.delete(content);
  }
}

const EXPECTED = [
  Deno.errors.NotFound,
  Deno.errors.AlreadyExists,
  Deno.errors.NotADirectory,
  Deno.errors.IsADirectory,
  Deno.errors.FilesystemLoop,
];

function isExpected(error: unknown): boolean {
  if (error instanceof SystemError || EXPECTED.some((kind) => error instanceof kind)) return true;
  return error instanceof Error &&
    /ENOTEMPTY|not empty|they are not there|os error (1|6|17|20|21|22|36|39|40)\b/i.test(
      error.message,
    );
}

function somePath(random: Random): string {
  const directory = random.choose(DIRECTORIES);
  const name = random.choose(NAMES);
  return directory === "" ? name : `${directory}/${name}`;
}

/** Mostly a file that is there. */
function someFile(share: Share, random: Random): string {
  const paths = [...filesBelow(share.path, "")].map(([path]) => path.slice(1));
  const known = paths.filter((path) => !path.startsWith(".fence-"));
  return known.length > 0 && random.chance(0.8) ? random.choose(known) : somePath(random);
}

function someThing(share: Share, random: Random): string {
  return random.chance(0.5) ? someFile(share, random) : random.choose(TREES);
}

function short(path: string): string {
  return path.replaceAll(LONG, "L").replaceAll(LONG.slice(0, 240), "l");
}

function makeParent(share: Share, path: string): void {
  const slash = path.lastIndexOf("/");
  if (slash > 0) Deno.mkdirSync(share.at(path.slice(0, slash)), { recursive: true });
}

/** A FIFO would keep whoever opens it, and what is no file is overwritten by nobody. */
function refuseOddity(share: Share, path: string): void {
  try {
    if (Deno.lstatSync(share.at(path)).isFile) return;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  throw new Deno.errors.IsADirectory(path);
}

function writeInPlace(share: Share, path: string, content: string): void {
  refuseOddity(share, path);
  Deno.writeTextFileSync(share.at(path), content);
}

function setTime(share: Share, path: string, random: Random): void {
  const seconds = random.choose(TIMES);
  share.setAttributes(path, { mtimeNs: BigInt(seconds) * 1_000_000_000n + 123_456_789n });
}

function contentsBelow(path: string): Set<string> {
  return new Set([...filesBelow(path, "")].map(([, content]) => content));
}

/** Files that are there, or what is there itself, with their contents. */
function* filesBelow(path: string, at: string): Generator<readonly [string, string]> {
  try {
    const { isDirectory, isFile } = Deno.lstatSync(path);
    if (isFile) yield [at, Deno.readTextFileSync(path)];
    if (!isDirectory) return;
    for (const { name } of [...Deno.readDirSync(path)]) {
      yield* filesBelow(`${path}/${name}`, `${at}/${name}`);
    }
  } catch (error) {
    if (!isExpected(error)) throw error; // it has gone
  }
}

function removeOddities(directory: string): void {
  for (const { name, isDirectory, isFile } of [...Deno.readDirSync(directory)]) {
    const path = `${directory}/${name}`;
    try {
      if (isDirectory && name !== "g.part") removeOddities(path);
      else if (!isFile || name.endsWith(IGNORED)) Deno.removeSync(path, { recursive: true });
    } catch (error) {
      if (!isExpected(error)) throw error;
    }
  }
}
