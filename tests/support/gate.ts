/** The daemon, started as users start it. */

import { marked } from "./command.ts";
import { scratchDirectory } from "./scratch.ts";
import { ServiceManager } from "./service_manager.ts";
import { PATIENCE_MS, sleep, waitFor } from "./wait.ts";

export const REPOSITORY = new URL("../../", import.meta.url).pathname;

/** How `deno task gate` runs it: the permission set of deno.json, and no questions. */
export const GATE_COMMAND: readonly string[] = [
  "run",
  "-P=gate",
  "--no-prompt",
  "src/gate/main.ts",
];

export interface GateOptions {
  /** The configuration: an object, or a text as it stands. */
  readonly configuration: unknown;
  readonly clamdSocket?: string;
  readonly arguments?: readonly string[];
  /** A program and its arguments that run the gate in their turn, such as setpriv(1). */
  readonly under?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class Gate implements AsyncDisposable {
  readonly #decoder = new TextDecoder();
  #log = "";
  #markedAt = 0;
  #ended: Deno.CommandStatus | undefined;

  private constructor(
    readonly child: Deno.ChildProcess,
    readonly serviceManager: ServiceManager,
    private readonly configurationFile: string,
  ) {
    this.#collect();
    child.status.then((status) => this.#ended = status);
  }

  /** Starts it and waits until it is ready. */
  static async start(options: GateOptions): Promise<Gate> {
    const gate = Gate.launch(options);
    try {
      await gate.ready();
      return gate;
    } catch (error) {
      await gate[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts it without waiting for anything. */
  static launch(options: GateOptions): Gate {
    const folder = scratchDirectory("gate");
    const configuration = `${folder}/channels.json`;
    Deno.writeTextFileSync(configuration, textOf(options.configuration));
    const serviceManager = new ServiceManager(`${folder}/notify`);
    const debug = Deno.env.get("VIRTIOFS_GATE_TEST_DEBUG") === undefined ? [] : ["--debug"];
    const clamd = options.clamdSocket === undefined ? [] : ["--clamd-socket", options.clamdSocket];
    const [command = Deno.execPath(), ...before] = [...options.under ?? [], Deno.execPath()];
    const child = new Deno.Command(command, {
      args: [
        ...before,
        ...GATE_COMMAND,
        "run",
        "--config",
        configuration,
        ...clamd,
        ...debug,
        ...options.arguments ?? [],
      ],
      cwd: REPOSITORY,
      env: marked({ ...options.env, NOTIFY_SOCKET: serviceManager.path }),
      stdin: "null",
      detached: true, // a terminal's Ctrl-C is for us to pass on
      stdout: "null",
      stderr: "piped",
    }).spawn();
    return new Gate(child, serviceManager, configuration);
  }

  async #collect(): Promise<void> {
    for await (const piece of this.child.stderr) {
      this.#log += this.#decoder.decode(piece, { stream: true });
    }
  }

  /** Everything that it logged. */
  get log(): string {
    return this.#log;
  }

  /** What it logged since `mark` was last called. */
  get recentLog(): string {
    return this.#log.slice(this.#markedAt);
  }

  mark(): void {
    this.#markedAt = this.#log.length;
  }

  get status(): Deno.CommandStatus | undefined {
    return this.#ended;
  }

  /** Waits for READY=1. */
  async ready(timeoutMs = PATIENCE_MS): Promise<void> {
    await waitFor(() => `the gate is not ready; its log:\n${this.tail()}`, () => {
      if (this.#ended !== undefined) {
        throw new Error(`the gate ended with ${this.#ended.code}; its log:\n${this.tail()}`);
      }
      return this.serviceManager.said().includes("READY=1");
    }, timeoutMs);
  }

  /** Waits for a line of the log; returns it. */
  async logged(pattern: RegExp, timeoutMs = PATIENCE_MS): Promise<string> {
    return await waitFor(
      () => `the log has no ${pattern}; it ends so:\n${this.tail()}`,
      () => this.#log.split("\n").find((line) => pattern.test(line)),
      timeoutMs,
    );
  }

  /** The last lines of the log, for messages. */
  tail(lines = 40, log = this.#log): string {
    return log.trimEnd().split("\n").slice(-lines).map((line) => `    ${line}`).join("\n");
  }

  /** Puts another configuration into the place of the first, as an editor does. */
  configure(configuration: unknown): void {
    const beside = `${this.configurationFile}.new`;
    Deno.writeTextFileSync(beside, textOf(configuration));
    Deno.renameSync(beside, this.configurationFile);
  }

  /** Sends SIGHUP, and waits until what follows from it is over. */
  async reload(): Promise<void> {
    const ready = this.timesReady;
    this.signal("SIGHUP");
    await waitFor(
      () => `the gate is not ready again; its log:\n${this.tail()}`,
      () => this.timesReady > ready,
    );
  }

  /** How many times it said READY=1. */
  get timesReady(): number {
    return this.serviceManager.said().filter((line) => line === "READY=1").length;
  }

  /** Asks it to end, and waits; its exit status. */
  async term(signal: Deno.Signal = "SIGTERM"): Promise<Deno.CommandStatus> {
    this.signal(signal);
    return await this.exit();
  }

  /** Waits for its end. */
  async exit(timeoutMs = PATIENCE_MS): Promise<Deno.CommandStatus> {
    const status = await waitFor(
      () => `the gate does not end; its log:\n${this.tail()}`,
      () => this.#ended,
      timeoutMs,
    );
    await sleep(20); // the pipe may hold its last words
    return status;
  }

  /** Ends it without any warning. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.child.status;
  }

  /** Nothing happens where it has ended. */
  signal(signal: Deno.Signal): void {
    try {
      this.child.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended already
    }
  }

  /** Resident memory in MiB. */
  memoryMiB(): number {
    const status = Deno.readTextFileSync(`/proc/${this.child.pid}/status`);
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
  }

  /** Processor time that it has used. */
  processorSeconds(): number {
    const stat = Deno.readTextFileSync(`/proc/${this.child.pid}/stat`);
    const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13);
    return (Number(user) + Number(system)) / TICKS_PER_SECOND;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.serviceManager[Symbol.dispose]();
  }
}

/** USER_HZ, the same on every Linux that this runs on. */
const TICKS_PER_SECOND = 100;

function textOf(configuration: unknown): string {
  return typeof configuration === "string"
    ? configuration
    : JSON.stringify(configuration, undefined, 2);
}
