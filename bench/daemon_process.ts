/** Our daemons as users start them, with what is to be read off a process. */

import denoConfiguration from "../deno.json" with { type: "json" };
import { check } from "../ffi/errno.ts";
import { libc } from "../ffi/libc.ts";
import { marked } from "../tests/support/command.ts";
import { REPOSITORY } from "../tests/support/gate.ts";
import { scratchDirectory } from "../tests/support/scratch.ts";
import { ServiceManager } from "../tests/support/service_manager.ts";
import { sleep } from "../tests/support/wait.ts";
import type { Runtime } from "./case.ts";

export type ProgramName = "gate" | "vproxy" | "vclient";

export interface ProcessOptions {
  readonly program: ProgramName;
  readonly args: readonly string[];
  readonly runtime: Runtime;
  /** More options for the runtime, such as `--cpu-prof`. */
  readonly runtimeOptions?: readonly string[];
  /** Where the sources are, for comparing two of them. */
  readonly checkout?: string;
}

const PATIENCE_MS = 5 * 60_000;
const LOOK_MS = 4;
const V8_FLAGS = "--v8-flags=";

/** What `deno task NAME` gives to `deno`. */
function runtimeArguments({ program, runtime, runtimeOptions = [] }: ProcessOptions): string[] {
  const [, deno, ...words] = denoConfiguration.tasks[program].split(" ");
  const script = words.pop();
  if (deno !== "deno" || script === undefined) throw new Error(`the task ${program} has changed`);
  const flags = words.filter((word) => word.startsWith(V8_FLAGS))
    .map((word) => word.slice(V8_FLAGS.length));
  if (runtime === "jitless") flags.push("--jitless");
  const v8 = flags.length === 0 ? [] : [V8_FLAGS + flags.join(",")];
  return [...words.filter((word) => !word.startsWith(V8_FLAGS)), ...v8, ...runtimeOptions, script];
}

export class DaemonProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #manager: ServiceManager;
  #log = "";
  #ended: Deno.CommandStatus | undefined;
  readonly #launchedAt = performance.now();
  /** From the start of the process to READY=1. */
  readySeconds = NaN;

  private constructor(private readonly options: ProcessOptions) {
    this.#manager = new ServiceManager(`${scratchDirectory(options.program)}/notify`);
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...runtimeArguments(options), ...options.args],
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
  static async start(options: ProcessOptions): Promise<DaemonProcess> {
    const daemon = new DaemonProcess(options);
    try {
      await daemon.#ready();
      return daemon;
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #ready(): Promise<void> {
    const age = () => performance.now() - this.#launchedAt;
    const { program } = this.options;
    while (!this.#manager.said().includes("READY=1")) {
      if (this.#ended !== undefined) throw new Error(`${program} ended:\n${this.#log}`);
      if (age() > PATIENCE_MS) throw new Error(`${program} is not ready:\n${this.#log}`);
      await sleep(LOOK_MS);
    }
    this.readySeconds = age() / 1000;
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

  /** Resident memory in MiB. */
  memoryMiB(): number {
    const status = Deno.readTextFileSync(`/proc/${this.#child.pid}/status`);
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? NaN) / 1024;
  }

  /** Processor time of all its threads so far, to the nanosecond: its clock as in clock_getcpuclockid(3). */
  cpuSeconds(): number {
    const CPUCLOCK_SCHED = 2;
    const timespec = new BigInt64Array(2);
    const clock = (~this.#child.pid << 3) | CPUCLOCK_SCHED;
    check(libc.clock_gettime(clock, new Uint8Array(timespec.buffer)), "clock_gettime");
    return Number(timespec[0]) + Number(timespec[1]) / 1e9;
  }

  /** Waits until it has nothing to do: `ms` long it used less than `load` of a processor. Fails after five minutes. */
  async quiet(ms = 500, load = 0.02): Promise<void> {
    const until = performance.now() + 300_000;
    for (let before = this.cpuSeconds();;) {
      await sleep(ms);
      const now = this.cpuSeconds();
      if (now - before < ms / 1000 * load) return;
      if (performance.now() > until) {
        throw new Error(`${this.options.program} does not come to rest`);
      }
      before = now;
    }
  }

  /** Asks it to end, and waits. */
  async stop(): Promise<void> {
    if (this.#ended === undefined) this.#child.kill("SIGTERM");
    const { code } = await this.#child.status;
    if (code !== 0) throw new Error(`${this.options.program} ended with ${code}:\n${this.#log}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended === undefined) this.#child.kill("SIGKILL");
    await this.#child.status;
    this.#manager[Symbol.dispose]();
  }
}
