/**
 * A guest that does nothing but exchange things in its share, as fast as the kernel can: a file or a
 * directory with a link, with something special, or with another of its kind. A process of its own, so that it
 * really runs beside the daemon. Ends on SIGTERM, and says how often it exchanged something.
 *
 *     deno run -A attacker.ts '{"share": …, "pairs": […]}'
 */

import { fileName, fromText } from "../../../ffi/byte_string.ts";
import { Directory } from "../../../ffi/directory.ts";
import { isErrno, SystemError } from "../../../ffi/errno.ts";
import { RENAME_EXCHANGE } from "../../../ffi/platform.ts";
import { EICAR } from "../../support/eicar.ts";

/** What stands in the place of the real thing half of the time. */
export type Decoy =
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "file" | "directory" | "fifo" | "device" | "malware" };

/** Two names in one directory whose meanings are exchanged. */
export interface Pair {
  /** Below the share's root; made if it is missing. */
  readonly directory: string;
  readonly name: string;
  readonly real: "file" | "directory";
  readonly decoy: Decoy;
}

export interface AttackOrder {
  readonly share: string;
  readonly pairs: readonly Pair[];
}

/** How many exchanges are made before the event loop may hear of a signal. */
const IN_ONE_GO = 200;
/** The daemon takes malware away and replaces links: after so many exchanges a decoy is made anew. */
const FRESH_DECOY_AFTER = 400;

class Exchange {
  readonly #path: string;
  readonly #directory: Directory;
  #versions = 0;
  #flips = 0;

  constructor(share: string, private readonly pair: Pair) {
    this.#path = `${share}/${pair.directory}`;
    Deno.mkdirSync(this.#path, { recursive: true });
    this.#directory = Directory.openTrusted(fromText(this.#path));
    this.#restore();
  }

  /** Whether it succeeded: the daemon may have taken one of the two for the moment. */
  flip(): boolean {
    const { name } = this.pair;
    try {
      this.#directory.rename(
        fileName(name),
        this.#directory,
        fileName(decoyName(name)),
        RENAME_EXCHANGE,
      );
      if (++this.#flips % FRESH_DECOY_AFTER === 0) this.#renewDecoy();
      return true;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (isErrno(error, "ENOENT")) this.#restore();
      return false;
    }
  }

  /** Makes what is missing of the two. */
  #restore(): void {
    const { name, real, decoy } = this.pair;
    if (!this.#has(name)) this.#make(name, { kind: real });
    if (!this.#has(decoyName(name))) this.#make(decoyName(name), decoy);
  }

  #renewDecoy(): void {
    const { name, decoy } = this.pair;
    if (this.#directory.status(fileName(decoyName(name)))?.kind === "directory") return;
    this.#directory.removeFile(fileName(decoyName(name)));
    this.#make(decoyName(name), decoy);
  }

  #make(name: string, what: Decoy): void {
    // By the held directory, wherever its name leads by now.
    const path = `/proc/${Deno.pid}/fd/${this.#directory.fd}/${name}`;
    try {
      switch (what.kind) {
        case "link":
          return Deno.symlinkSync(what.target, path);
        case "directory":
          Deno.mkdirSync(path);
          return Deno.writeTextFileSync(`${path}/file`, `in a directory ${this.#versions++}`);
        case "file":
          return Deno.writeTextFileSync(path, `version ${this.#versions++}`, { createNew: true });
        case "malware":
          return Deno.writeFileSync(path, EICAR, { createNew: true });
        case "fifo":
          return makeSpecial(path, "p");
        case "device":
          return makeSpecial(path, "c", "1", "5");
      }
    } catch {
      // The daemon was quicker, or the directory is gone: another time.
    }
  }

  #has(name: string): boolean {
    return this.#directory.status(fileName(name)) !== undefined;
  }
}

export function decoyName(name: string): string {
  return `${name}.decoy`;
}

function makeSpecial(path: string, ...type: string[]): void {
  new Deno.Command("mknod", { args: [path, ...type] }).outputSync();
}

async function attack({ share, pairs }: AttackOrder): Promise<void> {
  let isStopped = false;
  Deno.addSignalListener("SIGTERM", () => isStopped = true);
  const exchanges = pairs.map((pair) => new Exchange(share, pair));
  let flips = 0;
  while (!isStopped) {
    for (let i = 0; i < IN_ONE_GO; i++) {
      if (exchanges[i % exchanges.length]?.flip()) flips++;
    }
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  Deno.stdout.writeSync(new TextEncoder().encode(String(flips)));
}

if (import.meta.main) await attack(JSON.parse(Deno.args[0] ?? "{}"));
