/** A filesystem, a clamd and the channels on it: the same for ours and for the reference. */

import { Clamd, type ClamdOptions } from "../tests/support/clamd.ts";
import { LoopFilesystem } from "../tests/support/loop_filesystem.ts";
import type { Effort } from "./case.ts";
import { GateProcess } from "./gate_process.ts";

/** As Debian sets it. */
const THREADS = 12;

export interface StageOptions {
  readonly producers?: readonly string[];
  readonly debounceMs?: number;
  readonly scanning?: boolean;
  readonly sizeMiB?: number;
  readonly clamd?: ClamdOptions;
  /** Fills clamd's database with something else than one signature. */
  prepareDatabase?(folder: string): Promise<void>;
}

/** A channel `bench` of some producers; the first of them is the one that writes. */
export class Stage implements AsyncDisposable {
  #gate: GateProcess | undefined;

  private constructor(
    readonly filesystem: LoopFilesystem,
    readonly clamd: Clamd | undefined,
    readonly producers: readonly string[],
    readonly debounceMs: number,
  ) {}

  /** Without a gate yet. */
  static async set(options: StageOptions = {}): Promise<Stage> {
    const { producers = ["ann", "bob", "cid"], debounceMs = 100, scanning = true } = options;
    const filesystem = await LoopFilesystem.create("btrfs", {
      sizeMiB: options.sizeMiB ?? 4096,
      where: "memory",
    });
    const clamd = scanning
      ? Clamd.prepare({ LogClean: "no", MaxThreads: THREADS, ...options.clamd })
      : undefined;
    const stage = new Stage(filesystem, clamd, producers, debounceMs);
    try {
      for (const producer of producers) {
        await Deno.mkdir(stage.share(producer), { recursive: true });
      }
      for (const own of ["export", "outside"]) await Deno.mkdir(`${stage.basePath}/${own}`);
      if (clamd !== undefined) {
        await options.prepareDatabase?.(`${clamd.folder}/database`);
        await clamd.start();
      }
      return stage;
    } catch (error) {
      await stage[Symbol.asyncDispose]();
      throw error;
    }
  }

  get basePath(): string {
    return this.filesystem.path;
  }

  share(producer: string): string {
    return `${this.basePath}/share/${producer}`;
  }

  /** Where the first producer writes. */
  get source(): string {
    return this.share(this.producers[0] ?? "");
  }

  /** Everywhere that its files are to arrive. */
  get targets(): string[] {
    return [...this.producers.slice(1).map((name) => this.share(name)), `${this.basePath}/export`];
  }

  /** On the same filesystem, in no share: for the reference. */
  get outside(): string {
    return `${this.basePath}/outside`;
  }

  get configuration(): unknown {
    const { basePath, producers, debounceMs } = this;
    return { bench: { basePath, producers, debounceMs, scanning: { notifySocket: "/nobody" } } };
  }

  /** Starts the gate, again if need be; settles when it is ready. */
  async startGate(
    { runtime }: Pick<Effort, "runtime">,
    { scanning = true, ...rest }: {
      readonly scanning?: boolean;
      readonly checkout?: string;
      readonly more?: readonly string[];
    } = {},
  ): Promise<GateProcess> {
    await this.#gate?.[Symbol.asyncDispose]();
    this.#gate = await GateProcess.start({
      configuration: this.configuration,
      clamdSocket: scanning ? this.clamd?.socket : undefined,
      runtime,
      ...rest,
    });
    return this.#gate;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#gate?.[Symbol.asyncDispose]();
    await this.clamd?.[Symbol.asyncDispose]();
    await this.filesystem[Symbol.asyncDispose]();
  }
}
