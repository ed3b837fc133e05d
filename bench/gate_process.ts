/** The daemon as users start it, with what is to be read off a process. */

import { marked } from "../tests/support/command.ts";
import { REPOSITORY } from "../tests/support/gate.ts";
import { scratchDirectory } from "../tests/support/scratch.ts";
import { ServiceManager } from "../tests/support/service_manager.ts";
import { sleep } from "../tests/support/wait.ts";

export interface GateProcessOptions {
  readonly configuration: unknown;
  /** Without one, nothing is scanned. */
  readonly clamdSocket: string | undefined;
  /** For the runtime: `--v8-flags=--jitless`, `--cpu-prof`. */
  readonly runtime: readonly string[];
  /** Where the sources are, for comparing two of them. */
  readonly checkout?: string;
  /** Further arguments of `run`. */
  readonly more?: readonly string[];
}

const LONG_MS = 20 * 60_000;
const LOOK_MS = 4;
/** What USER_HZ is on every Linux. */
const TICKS_A_SECOND = 100;

export class GateProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #manager: ServiceManager;
  #log = "";
  #ended: Deno.CommandStatus | undefined;
  readonly #launchedAt = performance.now();
  /** From the start of the process to READY=1. */
  readySeconds = NaN;

  private constructor(options: GateProcessOptions) {
    const folder = scratchDirectory("gate");
    const configuration = `${folder}/channels.json`;
    Deno.writeTextFileSync(configuration, JSON.stringify(options.configuration));
    this.#manager = new ServiceManager(`${folder}/notify`);
    const scanner = options.clamdSocket === undefined
      ? ["--no-scan"]
      : ["--clamd-socket", options.clamdSocket];
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-P=gate",
        "--no-prompt",
        ...options.runtime,
        "src/gate/main.ts",
        "run",
        "--config",
        configuration,
        ...scanner,
        ...options.more ?? [],
      ],
      cwd: options.checkout ?? REPOSITORY,
      env: marked({ NOTIFY_SOCKET: this.#manager.path }),
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#collect();
    this.#child.status.then((status) => this.#ended = status);
  }

  /** Starts it and waits until it is ready. */
  static async start(options: GateProcessOptions): Promise<GateProcess> {
    const gate = new GateProcess(options);
    try {
      await gate.#ready();
      return gate;
    } catch (error) {
      await gate[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #ready(): Promise<void> {
    const age = () => performance.now() - this.#launchedAt;
    while (!this.#manager.said().includes("READY=1")) {
      if (this.#ended !== undefined) throw new Error(`the gate ended:\n${this.#log}`);
      if (age() > LONG_MS) throw new Error(`the gate is not ready:\n${this.#log}`);
      await sleep(LOOK_MS);
    }
    this.readySeconds = age() / 1000;
  }

  get log(): string {
    return this.#log;
  }

  async #collect(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const piece of this.#child.stderr) {
      this.#log += decoder.decode(piece, { stream: true });
    }
  }

  /** Resident memory in MiB. */
  memoryMiB(): number {
    const status = Deno.readTextFileSync(`/proc/${this.#child.pid}/status`);
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? NaN) / 1024;
  }

  /** Processor time of all its threads so far. */
  cpuSeconds(): number {
    const stat = Deno.readTextFileSync(`/proc/${this.#child.pid}/stat`).split(") ")[1]?.split(" ");
    return (Number(stat?.[11]) + Number(stat?.[12])) / TICKS_A_SECOND;
  }

  /** Asks it to end, and waits. */
  async stop(): Promise<void> {
    if (this.#ended === undefined) this.#child.kill("SIGTERM");
    const { code } = await this.#child.status;
    if (code !== 0) throw new Error(`the gate ended with ${code}:\n${this.#log}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended === undefined) this.#child.kill("SIGKILL");
    await this.#child.status;
    this.#manager[Symbol.dispose]();
  }
}
