/**
 * A tree outside every share that nobody has any business with. Whoever opens, reads, lists or changes
 * anything in it is noticed: the kernel tells of each access (inotify), and the attributes tell of the rest.
 */

import { fromText } from "../../../ffi/byte_string.ts";
import { Directory } from "../../../ffi/directory.ts";
import { Inotify } from "../../../ffi/inotify.ts";

/** What no copy of anything may hold. */
export const CANARY_CONTENT = "canary: nobody has any business with this";

const IN_ALL_EVENTS = 0xfff;
const DIRECTORIES = ["", "top", "top/mid", "top/mid/file.d"];
const FILES = ["file", "top/file", "top/mid/file", "top/mid/file.d/file"];

export class Canary implements Disposable {
  readonly #inotify = new Inotify();
  readonly #before: readonly string[];

  /** Makes the tree at `path`: what an attacker's links lead to, whichever component they replace. */
  constructor(readonly path: string) {
    for (const directory of DIRECTORIES) {
      Deno.mkdirSync(`${path}/${directory}`, { recursive: true });
    }
    for (const file of FILES) Deno.writeTextFileSync(`${path}/${file}`, CANARY_CONTENT);
    for (const directory of DIRECTORIES) {
      using held = Directory.openTrusted(fromText(`${path}/${directory}`));
      this.#inotify.addWatch(held, IN_ALL_EVENTS);
    }
    this.#before = this.#attributes();
  }

  /** In words, what was done to it since it was made; empty if nothing. */
  disturbances(): string[] {
    const events = this.#inotify.read().map(({ mask, name }) =>
      `${this.path}: event ${mask.toString(16)} ${name}`
    );
    const now = this.#attributes();
    const changed = now.filter((line, index) => line !== this.#before[index]);
    return [...events, ...changed.map((line) => `changed: ${line}`)];
  }

  /** By status alone: looking must not be what is noticed. */
  #attributes(): string[] {
    return [...DIRECTORIES, ...FILES].map((name) => {
      const { ino, mode, uid, gid, nlink, size, mtime, atime } = Deno.lstatSync(
        `${this.path}/${name}`,
      );
      return [name, ino, mode, uid, gid, nlink, size, mtime?.getTime(), atime?.getTime()].join(" ");
    });
  }

  [Symbol.dispose](): void {
    this.#inotify.close();
  }
}
