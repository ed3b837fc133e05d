/** A filesystem and a clamd: the same for ours, ours without a compiler, and the reference. */

import { Clamd, type ClamdOptions } from "../tests/support/clamd.ts";
import { LoopFilesystem } from "../tests/support/loop_filesystem.ts";
import { type Effort, type Runtime, runtimesOf } from "./case.ts";
import { Channel, type ChannelOptions, configurationOf, makeChannel } from "./channel.ts";

/** As Debian sets it. */
const THREADS = 12;

export interface StageOptions {
  readonly scanning?: boolean;
  readonly sizeMiB?: number;
  readonly clamd?: ClamdOptions;
  /** Fills clamd's database with more than one signature. */
  prepareDatabase?(folder: string): Promise<void>;
}

export class Stage implements AsyncDisposable {
  readonly #channels: Channel[] = [];

  private constructor(
    readonly filesystem: LoopFilesystem,
    readonly clamd: Clamd | undefined,
  ) {}

  /** Without a channel yet. */
  static async set({ scanning = true, ...options }: StageOptions = {}): Promise<Stage> {
    const filesystem = await LoopFilesystem.create("btrfs", {
      sizeMiB: options.sizeMiB ?? 4096,
      where: "memory",
    });
    const clamd = scanning
      ? Clamd.prepare({ LogClean: "no", MaxThreads: THREADS, ...options.clamd })
      : undefined;
    const stage = new Stage(filesystem, clamd);
    try {
      await Deno.mkdir(stage.outside);
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

  /** On the filesystem, in no channel: for the reference. */
  get outside(): string {
    return `${this.filesystem.path}/outside`;
  }

  /** A channel whose gate is not started yet. */
  async channel(runtime: Runtime, options: ChannelOptions = {}): Promise<Channel> {
    const basePath = await this.filesystem.directory(runtime);
    const configuration = configurationOf(basePath, options);
    await makeChannel(configuration);
    const channel = new Channel(configuration, this.clamd?.socket, runtime);
    this.#channels.push(channel);
    return channel;
  }

  /** The same channel for a gate that is run in another way; the other one must have ended. */
  runtimeOn({ configuration }: Channel, runtime: Runtime): Channel {
    const channel = new Channel(configuration, this.clamd?.socket, runtime);
    this.#channels.push(channel);
    return channel;
  }

  /**
   * One channel for each runtime that is measured, all started: while one is measured, the others are idle, which
   * costs next to nothing.
   */
  async channels(
    effort: Effort,
    options: ChannelOptions = {},
  ): Promise<(runtime: Runtime) => Channel> {
    const channels = new Map<Runtime, Channel>();
    for (const runtime of runtimesOf(effort)) {
      const channel = await this.channel(runtime, options);
      await channel.start();
      channels.set(runtime, channel);
    }
    return (runtime) => {
      const channel = channels.get(runtime);
      if (channel === undefined) throw new Error(`nothing runs ${runtime}`);
      return channel;
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const channel of this.#channels) await channel[Symbol.asyncDispose]();
    await this.clamd?.[Symbol.asyncDispose]();
    await this.filesystem[Symbol.asyncDispose]();
  }
}
