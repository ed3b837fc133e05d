/**
 * A guest's side of a share: what a user, an editor or a shell does there. The gate is not asked; only the
 * kernel is.
 */

import { fromText, nameOf, parentOf, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { setModificationTime } from "../../ffi/file_content.ts";
import { RENAME_EXCHANGE } from "../../ffi/platform.ts";
import { must } from "./command.ts";
import { EICAR } from "./eicar.ts";

export interface Attributes {
  /** Permission bits. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtimeNs?: bigint;
}

export class Share {
  constructor(readonly name: string, readonly path: string) {}

  /** The host's path of `relative`. */
  at(relative: string): string {
    return `${this.path}/${relative}`;
  }

  /**
   * Writes a file (parents are made) and gives it attributes, in one turn: a pause between the two that is longer than the
   * quiet time would show the gate two versions.
   */
  async write(
    relative: string,
    content: Uint8Array<ArrayBuffer> | string,
    attributes: Attributes = {},
  ): Promise<void> {
    const slash = relative.lastIndexOf("/");
    if (slash > 0) await Deno.mkdir(this.at(relative.slice(0, slash)), { recursive: true });
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    Deno.writeFileSync(this.at(relative), bytes);
    this.setAttributes(relative, attributes);
  }

  setAttributes(relative: string, attributes: Attributes): void {
    const { mode, uid, gid, mtimeNs } = attributes;
    if (uid !== undefined || gid !== undefined) {
      Deno.chownSync(this.at(relative), uid ?? null, gid ?? null);
    }
    if (mode !== undefined) Deno.chmodSync(this.at(relative), mode);
    if (mtimeNs !== undefined) {
      const path = fromText(relative) as RelativePath;
      using root = Directory.openTrusted(fromText(this.path));
      using parent = root.openBeneath(parentOf(path));
      using file = parent?.openRegular(nameOf(path))?.file;
      if (file === undefined) throw new Error(`${relative} is no file`);
      setModificationTime(file, mtimeNs);
    }
  }

  /** Gives each of two things the other's name, at once (renameat2(2), RENAME_EXCHANGE). */
  exchange(one: string, other: string): void {
    using root = Directory.openTrusted(fromText(this.path));
    const [from, to] = [fromText(one) as RelativePath, fromText(other) as RelativePath];
    using source = root.openBeneath(parentOf(from));
    using target = root.openBeneath(parentOf(to));
    if (source === undefined || target === undefined) throw new Error("they are not there");
    source.rename(nameOf(from), target, nameOf(to), RENAME_EXCHANGE);
  }

  /** In place, and never empty: what is empty is clean. */
  infect(relative: string): void {
    using file = Deno.openSync(this.at(relative), { write: true });
    file.writeSync(EICAR);
    file.truncateSync(EICAR.length);
  }

  /** `undefined` while there is no file. */
  async read(relative: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      return await Deno.readFile(this.at(relative));
    } catch (error) {
      const { IsADirectory, NotFound } = Deno.errors;
      if (error instanceof NotFound || error instanceof IsADirectory) return undefined;
      throw error;
    }
  }

  async readText(relative: string): Promise<string | undefined> {
    const bytes = await this.read(relative);
    return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
  }

  has(relative: string): boolean {
    try {
      Deno.lstatSync(this.at(relative));
      return true;
    } catch {
      return false; // not there
    }
  }

  /** Names in a directory, sorted; empty if there is none. */
  list(relative = ""): string[] {
    try {
      return [...Deno.readDirSync(this.at(relative))].map((entry) => entry.name).sort();
    } catch {
      return []; // not there
    }
  }

  /** Runs a shell script in the share; its output. Names that are not UTF-8 are made with printf. */
  async shell(script: string, cwd = ""): Promise<string> {
    const stdin = new TextEncoder().encode(script);
    const output = await must("sh", ["-e", "-s"], { cwd: this.at(cwd), stdin });
    return new TextDecoder().decode(output);
  }
}
