/** Which clean contents must have survived when all is quiet: the last thing that anybody did to a path. */

interface Survivor {
  readonly share: string;
  readonly content: string;
}

export class Survivors {
  readonly #byPath = new Map<string, Survivor>();

  /** By path, the content that was written last and that nobody touched since. */
  *contents(): Generator<readonly [path: string, content: string]> {
    for (const [path, { content }] of this.#byPath) yield [path, content];
  }

  /** `share` has made `content` the last version of `path`. */
  written(path: string, share: string, content: string): void {
    this.touched(path);
    this.#byPath.set(path, { share, content });
  }

  /** Somebody did something to `path`, or above or below it, after which no promise is left. */
  touched(path: string): void {
    for (const known of this.#byPath.keys()) {
      if (isRelated(known, path)) this.#byPath.delete(known);
    }
  }

  /** Forgets what `isThere` says is not there. */
  keep(isThere: (share: string, path: string, content: string) => boolean): void {
    for (const [path, { share, content }] of this.#byPath) {
      if (!isThere(share, path, content)) this.#byPath.delete(path);
    }
  }

  /** Only this very path: another name of its file was written to. */
  forget(path: string): void {
    this.#byPath.delete(path);
  }

  paths(): string[] {
    return [...this.#byPath.keys()];
  }

  /**
   * `share` has given the things at `from` the name `to` (and the reverse, where they were exchanged). Of what it had
   * written itself and really has under the new name, as `read` tells, the promise goes along.
   */
  moved(
    share: string,
    moves: readonly { readonly from: string; readonly to: string }[],
    read: (path: string) => string | undefined,
  ): void {
    const along = moves.flatMap(({ from, to }) =>
      [...this.#byPath].flatMap(([path, survivor]) => {
        if (survivor.share !== share || (path !== from && !path.startsWith(`${from}/`))) return [];
        return [[to + path.slice(from.length), survivor.content] as const];
      })
    );
    for (const { from, to } of moves) {
      this.touched(from);
      this.touched(to);
    }
    for (const [path, content] of along) {
      // Where it lost a conflict meanwhile it is a copy under its old name: nobody promises what becomes of that.
      if (read(path) === content) this.#byPath.set(path, { share, content });
    }
  }
}

function isRelated(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`);
}
