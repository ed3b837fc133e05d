/** A real clamd on a private socket, with a database of one signature: EICAR at the start of a file. */

import { marked } from "./command.ts";
import { EICAR } from "./eicar.ts";
import { scratchDirectory } from "./scratch.ts";
import { waitFor } from "./wait.ts";

export const SIGNATURE = "Test.Eicar.UNOFFICIAL";

/** clamd.conf(5) options; they come after, and so replace, those that the tests need. */
export type ClamdOptions = Readonly<Record<string, string | number>>;

export class Clamd implements AsyncDisposable {
  #child: Deno.ChildProcess | undefined;

  private constructor(readonly folder: string) {}

  get socket(): string {
    return `${this.folder}/clamd.ctl`;
  }

  get configuration(): string {
    return `${this.folder}/clamd.conf`;
  }

  /** A clamd that answers. */
  static async start(options: ClamdOptions = {}): Promise<Clamd> {
    const clamd = Clamd.prepare(options);
    await clamd.start();
    return clamd;
  }

  /** A clamd that does not run yet. */
  static prepare(options: ClamdOptions = {}): Clamd {
    const clamd = new Clamd(scratchDirectory("clamd"));
    Deno.mkdirSync(`${clamd.folder}/database`);
    const hex = [...EICAR].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    Deno.writeTextFileSync(`${clamd.folder}/database/test.ndb`, `Test.Eicar:0:0:${hex}\n`);
    clamd.configure(options);
    return clamd;
  }

  /** Takes effect at the next start. */
  configure(options: ClamdOptions): void {
    const lines = {
      LocalSocket: this.socket,
      DatabaseDirectory: `${this.folder}/database`,
      LogFile: `${this.folder}/clamd.log`,
      LogFileMaxSize: 0,
      LogClean: "yes",
      Foreground: "yes",
      User: "root",
      MaxThreads: 4,
      SelfCheck: 0,
      ...options,
    };
    const text = Object.entries(lines).map(([name, value]) => `${name} ${value}\n`).join("");
    Deno.writeTextFileSync(this.configuration, text);
  }

  /** Starts it (again) and waits until it answers. */
  async start(): Promise<void> {
    if (this.#child !== undefined) throw new Error("clamd runs already");
    const child = new Deno.Command("clamd", {
      args: [`--config-file=${this.configuration}`],
      env: marked(),
      stdin: "null",
      detached: true, // a terminal's Ctrl-C is for us to pass on
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#child = child;
    let ended = false;
    child.status.then(() => ended = true);
    await waitFor(() => `clamd does not answer; its log:\n${this.log()}`, async () => {
      if (ended) throw new Error(`clamd ended at once; its log:\n${this.log()}`);
      return await this.ping();
    });
  }

  /** Whether it answers. */
  async ping(): Promise<boolean> {
    try {
      using connection = await Deno.connect({ transport: "unix", path: this.socket });
      await connection.write(new TextEncoder().encode("zPING\0"));
      const answer = new Uint8Array(8);
      const length = await connection.read(answer);
      return new TextDecoder().decode(answer.subarray(0, length ?? 0)) === "PONG\0";
    } catch {
      return false; // nobody listens, or it ended meanwhile
    }
  }

  /** Ends it in a moment, as a crash would; its socket stays in the filesystem. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async #end(signal: Deno.Signal): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    try {
      child.kill("SIGCONT");
      child.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended already
    }
    await child.status;
  }

  /** It hangs: connections are taken by the kernel, nothing answers. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  log(): string {
    try {
      return Deno.readTextFileSync(`${this.folder}/clamd.log`);
    } catch {
      return "(empty)"; // not yet written
    }
  }

  /** Scans that it ever finished, whatever their verdict (it logs one line for each). */
  get scans(): number {
    return this.log().match(/: (OK|.* FOUND|.* ERROR)$/gm)?.length ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.folder, { recursive: true });
  }
}
