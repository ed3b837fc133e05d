/** A clamd, perhaps with clamd-vproxy in front of it, and a clamd-vclient that watches a directory. */

import { Clamd, type ClamdOptions } from "./clamd.ts";
import { must } from "./command.ts";
import { Daemon } from "./daemon.ts";
import { EICAR } from "./eicar.ts";
import { scratchDirectory } from "./scratch.ts";
import { UserSocket } from "./user_socket.ts";
import { sleep, waitFor } from "./wait.ts";

export interface VclientOptions {
  /** Through clamd-vproxy rather than to clamd's socket itself. */
  readonly throughProxy?: boolean;
  readonly proxyArguments?: readonly string[];
  readonly clamd?: ClamdOptions;
  /** Instead of the world's own user. */
  readonly notifySocket?: string;
  /** More of them, for a client that watches `watched`. */
  readonly arguments?: (watched: string) => readonly string[];
  /** A program and its arguments that run the client in their turn, such as setpriv(1). */
  readonly under?: readonly string[];
  /** Runs before the client starts, in the watched directory. */
  readonly before?: string;
}

export class VclientWorld implements AsyncDisposable {
  #client: Daemon | undefined;
  #proxy: Daemon | undefined;
  readonly #uds = `${scratchDirectory("vproxy")}/vm`;

  private constructor(
    readonly clamd: Clamd,
    readonly user: UserSocket,
    /** The watched directory. */
    readonly watched: string,
    private readonly options: VclientOptions,
  ) {}

  /** All of it, with a client that is ready. */
  static async start(options: VclientOptions = {}): Promise<VclientWorld> {
    const world = await VclientWorld.prepare(options);
    try {
      await world.clamd.start();
      if (options.throughProxy) await world.startProxy();
      await world.startClient();
      return world;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Nothing runs yet. */
  static async prepare(options: VclientOptions = {}): Promise<VclientWorld> {
    const watched = Deno.realPathSync(scratchDirectory("watched"));
    const world = new VclientWorld(
      Clamd.prepare(options.clamd),
      UserSocket.listen(),
      watched,
      options,
    );
    Deno.writeFileSync(world.evil, EICAR);
    if (options.before !== undefined) await world.shell(options.before);
    return world;
  }

  /** An infected file outside the watched directory, on the same filesystem. */
  get evil(): string {
    return `${this.watched}.evil`;
  }

  get arguments(): readonly string[] {
    return [
      "--watch",
      this.watched,
      ...this.options.throughProxy
        ? ["--uds", this.#uds]
        : ["--socket", "--clamd-socket", this.clamd.socket],
      "--notify-socket",
      this.options.notifySocket ?? this.user.path,
      ...this.options.arguments?.(this.watched) ?? [],
    ];
  }

  get client(): Daemon {
    if (this.#client === undefined) throw new Error("the client was not started");
    return this.#client;
  }

  async startClient(env: Record<string, string> = {}): Promise<void> {
    this.#client = await Daemon.start("vclient", this.arguments, env, this.options.under);
  }

  /** Starts it without waiting for anything. */
  launchClient(): Daemon {
    return this.#client = Daemon.launch("vclient", this.arguments);
  }

  get proxy(): Daemon {
    if (this.#proxy === undefined) throw new Error("the proxy was not started");
    return this.#proxy;
  }

  async startProxy(): Promise<void> {
    const { proxyArguments = [] } = this.options;
    const args = ["--uds", this.#uds, "--clamd", this.clamd.socket, ...proxyArguments];
    this.#proxy = await Daemon.start("vproxy", args);
  }

  /** Runs a script in the watched directory; `$EVIL` is an infected file outside of it. */
  async shell(script: string): Promise<void> {
    await must("sh", ["-ec", script], { cwd: this.watched, env: { EVIL: this.evil } });
  }

  has(name: string): boolean {
    try {
      Deno.lstatSync(`${this.watched}/${name}`);
      return true;
    } catch {
      return false; // not there
    }
  }

  async gone(...names: string[]): Promise<void> {
    const left = () => names.filter((name) => this.has(name));
    await waitFor(
      () => `still there: ${left()}; the log:\n${this.client.log}`,
      () => left().length === 0,
    );
  }

  /** Paths of regular files, relative to the watched directory. */
  async files(): Promise<string[]> {
    const found = await must("find", [".", "-type", "f", "-printf", "%P\\n"], {
      cwd: this.watched,
    });
    return new TextDecoder().decode(found).split("\n").filter((path) => path !== "").sort();
  }

  /** Waits until no file is left: what is being removed has another name for a moment. */
  async empty(): Promise<void> {
    await waitFor("no file is left", async () => (await this.files()).length === 0);
  }

  /** Waits until nothing more is scanned: clamd's log has not grown for a while. */
  async quiet(): Promise<void> {
    let scans = -1;
    await waitFor("nothing more is scanned", async () => {
      const before = scans;
      await sleep(500);
      scans = this.clamd.scans;
      return scans === before;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.[Symbol.asyncDispose]();
    await this.#proxy?.[Symbol.asyncDispose]();
    await this.clamd[Symbol.asyncDispose]();
    await this.user[Symbol.asyncDispose]();
  }
}
