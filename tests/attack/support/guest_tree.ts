/** What a guest does in its share, at once and in this process; and what a share holds. */

import { EICAR } from "../../support/eicar.ts";

export const EICAR_TEXT = new TextDecoder().decode(EICAR);

/** Seconds since 1970 from which tests count their own times, so that later is later. */
const EPOCH = 1_700_000_000;

export class GuestTree {
  constructor(readonly root: string) {}

  at(path: string): string {
    return path === "" ? this.root : `${this.root}/${path}`;
  }

  /** Writes in place, or makes the file; `time` in seconds. Directories above are made. */
  write(path: string, content: string, time = 0): void {
    this.makeDirectory(path.slice(0, Math.max(0, path.lastIndexOf("/"))));
    Deno.writeTextFileSync(this.at(path), content);
    Deno.utimeSync(this.at(path), EPOCH + time, EPOCH + time);
  }

  /** To the nanosecond. */
  copyTimes(from: string, to: string): void {
    const { success } = new Deno.Command("touch", { args: ["-r", this.at(from), this.at(to)] })
      .outputSync();
    if (!success) throw new Deno.errors.NotFound(from);
  }

  /** The malware says whose it is. */
  infect(path: string): void {
    this.makeDirectory(path.slice(0, Math.max(0, path.lastIndexOf("/"))));
    Deno.writeTextFileSync(this.at(path), EICAR_TEXT + this.#mark);
  }

  isOwnMalware(content: string): boolean {
    return content.endsWith(EICAR_TEXT + this.#mark);
  }

  get #mark(): string {
    return ` by ${this.root.split("/").at(-1)}`;
  }

  makeDirectory(path: string): void {
    Deno.mkdirSync(this.at(path), { recursive: true });
  }

  remove(path: string): void {
    Deno.removeSync(this.at(path), { recursive: true });
  }

  rename(from: string, to: string): void {
    Deno.renameSync(this.at(from), this.at(to));
  }

  link(path: string, target: string): void {
    Deno.symlinkSync(target, this.at(path));
  }

  hardLink(existing: string, path: string): void {
    Deno.linkSync(this.at(existing), this.at(path));
  }

  has(path: string): boolean {
    try {
      Deno.lstatSync(this.at(path));
      return true;
    } catch {
      return false; // not there
    }
  }

  /** Files with content and mode, and directories with mode, by path; links and special files left out. */
  contents(): Map<string, string> {
    const found = new Map<string, string>();
    const visit = (path: string) => {
      for (const { name, isDirectory, isFile } of Deno.readDirSync(this.at(path))) {
        const below = path === "" ? name : `${path}/${name}`;
        const mode = (Deno.lstatSync(this.at(below)).mode ?? 0) & 0o777;
        if (isDirectory) {
          found.set(below, `directory ${mode.toString(8)}`);
          visit(below);
        } else if (isFile) {
          found.set(below, `file ${mode.toString(8)}: ${Deno.readTextFileSync(this.at(below))}`);
        }
      }
    };
    visit("");
    return found;
  }
}
