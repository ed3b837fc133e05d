/**
 * A guest's side of a share: what a user, an editor or a shell does there. The gate is not asked; only the
 * kernel is.
 */

import { must } from "./command.ts";

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

  /** Writes a file in one go (parents are made), then gives it attributes. */
  async write(
    relative: string,
    content: Uint8Array<ArrayBuffer> | string,
    attributes: Attributes = {},
  ): Promise<void> {
    const slash = relative.lastIndexOf("/");
    if (slash > 0) await Deno.mkdir(this.at(relative.slice(0, slash)), { recursive: true });
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(this.at(relative), bytes);
    await this.setAttributes(relative, attributes);
  }

  async setAttributes(relative: string, attributes: Attributes): Promise<void> {
    const { mode, uid, gid, mtimeNs } = attributes;
    if (uid !== undefined || gid !== undefined) {
      await Deno.chown(this.at(relative), uid ?? null, gid ?? null);
    }
    if (mode !== undefined) await Deno.chmod(this.at(relative), mode);
    if (mtimeNs !== undefined) {
      const nanosecond = ((mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
      const seconds = (mtimeNs - nanosecond) / 1_000_000_000n;
      const nanoseconds = String(nanosecond).padStart(9, "0");
      await must("touch", ["-d", `@${seconds}.${nanoseconds}`, this.at(relative)]);
    }
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
