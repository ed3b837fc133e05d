/** A channel with a gate of its own. */

import { scratchDirectory } from "../tests/support/scratch.ts";
import type { Runtime } from "./case.ts";
import { DaemonProcess } from "./daemon_process.ts";

export interface ChannelOptions {
  /** The first of them is the one that writes. */
  readonly producers?: readonly string[];
  readonly debounceMs?: number;
}

export interface StartOptions {
  /** `false`: as if no channel were to be scanned. */
  readonly scanning?: boolean;
  readonly checkout?: string;
  readonly runtimeOptions?: readonly string[];
}

/** What a gate is told of a channel. */
export interface ChannelConfiguration {
  readonly basePath: string;
  readonly producers: readonly string[];
  readonly debounceMs: number;
  readonly scanning: { readonly notifySocket: string };
}

export function configurationOf(
  basePath: string,
  { producers = ["ann", "bob", "cid"], debounceMs = 100 }: ChannelOptions,
): ChannelConfiguration {
  return { basePath, producers, debounceMs, scanning: { notifySocket: "/nobody" } };
}

/** Makes the directories that a channel needs. */
export async function makeChannel({ basePath, producers }: ChannelConfiguration): Promise<void> {
  for (const producer of producers) {
    await Deno.mkdir(`${basePath}/share/${producer}`, { recursive: true });
  }
  await Deno.mkdir(`${basePath}/export`);
}

/** A gate that serves the channels and is ready. Without `clamdSocket` nothing is scanned. */
export async function startGate(
  channels: Readonly<Record<string, ChannelConfiguration>>,
  clamdSocket: string | undefined,
  runtime: Runtime,
  options: Omit<StartOptions, "scanning"> = {},
): Promise<DaemonProcess> {
  const configuration = `${scratchDirectory("configuration")}/channels.json`;
  await Deno.writeTextFile(configuration, JSON.stringify(channels));
  const scanner = clamdSocket === undefined ? ["--no-scan"] : ["--clamd-socket", clamdSocket];
  const args = ["run", "--config", configuration, ...scanner];
  return await DaemonProcess.start({ program: "gate", args, runtime, ...options });
}

export class Channel implements AsyncDisposable {
  #gate: DaemonProcess | undefined;

  constructor(
    readonly configuration: ChannelConfiguration,
    private readonly clamdSocket: string | undefined,
    readonly runtime: Runtime,
  ) {}

  get basePath(): string {
    return this.configuration.basePath;
  }

  get debounceMs(): number {
    return this.configuration.debounceMs;
  }

  share(producer: string): string {
    return `${this.basePath}/share/${producer}`;
  }

  /** Where the first producer writes. */
  get source(): string {
    return this.share(this.configuration.producers[0] ?? "");
  }

  /** Everywhere that its files are to arrive. */
  get targets(): string[] {
    return this.targetsOf(this.source);
  }

  /** Everywhere that files of this share are to arrive. */
  targetsOf(share: string): string[] {
    const shares = this.configuration.producers.map((name) => this.share(name));
    return [...shares.filter((path) => path !== share), `${this.basePath}/export`];
  }

  get gate(): DaemonProcess {
    if (this.#gate === undefined) throw new Error("the gate is not started");
    return this.#gate;
  }

  /** Starts the gate, again if need be; settles when it is ready. */
  async start({ scanning = true, ...rest }: StartOptions = {}): Promise<DaemonProcess> {
    await this.#gate?.[Symbol.asyncDispose]();
    const channels = { bench: this.configuration };
    const clamd = scanning ? this.clamdSocket : undefined;
    this.#gate = await startGate(channels, clamd, this.runtime, rest);
    return this.#gate;
  }

  async stop(): Promise<void> {
    await this.#gate?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#gate?.[Symbol.asyncDispose]();
  }
}
