/** clamd-vproxy, virtiofs-notify and clamd-vclient, started as users start them. */

import denoConfiguration from "../../deno.json" with { type: "json" };
import { marked } from "./command.ts";
import { REPOSITORY } from "./gate.ts";
import { scratchDirectory } from "./scratch.ts";
import { ServiceManager } from "./service_manager.ts";
import { PATIENCE_MS, waitFor } from "./wait.ts";

export type ProgramName = "vproxy" | "notify" | "vclient";

/** What `deno task NAME` gives to `deno`. */
function taskArguments(name: ProgramName): readonly string[] {
  const [environment, deno, ...args] = denoConfiguration.tasks[name].split(" ");
  if (environment !== "DENO_NO_UPDATE_CHECK=1" || deno !== "deno") {
    throw new Error(`the task ${name} is not what it was`);
  }
  return args;
}

export class Daemon implements AsyncDisposable {
  readonly #manager: ServiceManager;
  readonly #child: Deno.ChildProcess;
  readonly #logged: Promise<void>;
  #log = "";
  #ended: Deno.CommandStatus | undefined;

  private constructor(
    name: ProgramName,
    args: readonly string[],
    env: Record<string, string>,
    under: readonly string[],
  ) {
    const path = `${scratchDirectory(name)}/notify`;
    this.#manager = new ServiceManager(path);
    const [command, ...rest] = [...under, Deno.execPath(), ...taskArguments(name), ...args];
    this.#child = new Deno.Command(command ?? "", {
      args: rest,
      cwd: REPOSITORY,
      env: marked({ ...env, NOTIFY_SOCKET: path }),
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#logged = this.#collect();
    this.#child.status.then((status) => this.#ended = status);
  }

  /**
   * Starts it and waits until it says that it is ready. `under`: a program and its arguments that run it in their
   * turn, such as setpriv(1).
   */
  static async start(
    name: ProgramName,
    args: readonly string[],
    env: Record<string, string> = {},
    under: readonly string[] = [],
  ): Promise<Daemon> {
    const daemon = Daemon.launch(name, args, env, under);
    try {
      await waitFor(() => `${name} is not ready; its log:\n${daemon.log}`, () => {
        if (daemon.#ended !== undefined) {
          throw new Error(`${name} ended with ${daemon.#ended.code}; its log:\n${daemon.log}`);
        }
        return daemon.said("READY=1");
      });
      return daemon;
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts it without waiting for anything. */
  static launch(
    name: ProgramName,
    args: readonly string[],
    env: Record<string, string> = {},
    under: readonly string[] = [],
  ): Daemon {
    return new Daemon(name, args, env, under);
  }

  async #collect(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const piece of this.#child.stderr) {
      this.#log += decoder.decode(piece, { stream: true });
    }
  }

  get log(): string {
    return this.#log;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Whether it told the service manager so. */
  said(assignment: string): boolean {
    return this.#manager.said().includes(assignment);
  }

  /** Waits for a line of the log; returns it. */
  async logged(pattern: RegExp): Promise<string> {
    return await waitFor(
      () => `the log has no ${pattern}:\n${this.#log}`,
      () => this.#log.split("\n").find((line) => pattern.test(line)),
    );
  }

  /** Resident memory in MiB. */
  memoryMiB(): number {
    const status = Deno.readTextFileSync(`/proc/${this.pid}/status`);
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
  }

  /** Descriptors that it holds. */
  descriptors(): number {
    return [...Deno.readDirSync(`/proc/${this.pid}/fd`)].length;
  }

  /** Asks it to end, and waits; its exit code. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<number> {
    if (this.#ended === undefined) this.#child.kill(signal);
    return await this.exitCode();
  }

  /** Waits for its end. */
  async exitCode(): Promise<number> {
    const { code } = await waitFor(
      () => `it does not end; its log:\n${this.#log}`,
      () => this.#ended,
      PATIENCE_MS,
    );
    await this.#logged;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended === undefined) this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#logged;
    this.#manager[Symbol.dispose]();
  }
}
