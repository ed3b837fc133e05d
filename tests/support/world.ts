/** A filesystem, a clamd, channels and a gate that serves them: what most tests need. */

import { Channel, type ChannelOptions } from "./channel.ts";
import { Clamd, type ClamdOptions } from "./clamd.ts";
import type { Fixture } from "./fixture.ts";
import { Gate, type GateOptions } from "./gate.ts";
import { type FilesystemKind, type FilesystemOptions, LoopFilesystem } from "./loop_filesystem.ts";
import { openBelow } from "./open_files.ts";
import { UserSocket } from "./user_socket.ts";
import { sleep, waitFor } from "./wait.ts";

export interface WorldOptions {
  /** By name. */
  readonly channels: Readonly<Record<string, ChannelOptions>>;
  readonly filesystem?: FilesystemOptions;
  readonly clamd?: ClamdOptions;
  /** How the gate is started, each time. */
  readonly gate?: Partial<GateOptions>;
  /** Channels whose peers need not be equal in the end. */
  readonly unequal?: readonly string[];
}

/** Below a channel's directory. */
const OF_JOBS =
  /^\/(share\/[^/]+|export|quarantine|staging|\.virtiofs-gate\/recovery)\/(?!journal$)/;
/** The replica, its watcher, and what that watches. */
const MOST_OF_A_ROOT = 3;
/** How long its use of the processor is looked at, and how much of one it may be then. */
const REST_MS = 300;
const MOST_AT_REST = 0.2;

export class World implements Fixture {
  #gate: Gate | undefined;

  private constructor(
    readonly filesystem: LoopFilesystem,
    readonly clamd: Clamd,
    readonly user: UserSocket,
    readonly channels: ReadonlyMap<string, Channel>,
    private readonly options: WorldOptions,
  ) {}

  /** All of it, with a gate that is ready. */
  static async start(kind: FilesystemKind, options: WorldOptions): Promise<World> {
    const world = await World.prepare(kind, options);
    try {
      await world.clamd.start();
      await world.startGate();
      return world;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Neither clamd nor gate run yet. */
  static async prepare(kind: FilesystemKind, options: WorldOptions): Promise<World> {
    const filesystem = await LoopFilesystem.create(kind, options.filesystem);
    const user = UserSocket.listen();
    const channels = new Map<string, Channel>();
    for (const [name, channelOptions] of Object.entries(options.channels)) {
      const scanning = { notifySocket: user.path, ...channelOptions.scanning };
      const basePath = await filesystem.directory(name);
      channels.set(name, await Channel.create(name, basePath, { ...channelOptions, scanning }));
    }
    return new World(filesystem, Clamd.prepare(options.clamd), user, channels, options);
  }

  /** The gate's configuration file. */
  get configuration(): Record<string, unknown> {
    return Object.fromEntries(
      [...this.channels].map(([name, channel]) => [name, channel.configuration]),
    );
  }

  get gate(): Gate {
    if (this.#gate === undefined) throw new Error("the gate was not started");
    return this.#gate;
  }

  /** Starts the gate (again), and waits until it is ready. */
  async startGate(options: Partial<GateOptions> = {}): Promise<Gate> {
    await this.#gate?.[Symbol.asyncDispose]();
    this.#gate = await Gate.start({
      configuration: this.configuration,
      clamdSocket: this.clamd.socket,
      ...this.options.gate,
      ...options,
    });
    return this.#gate;
  }

  channel(name: string): Channel {
    const channel = this.channels.get(name);
    if (channel === undefined) throw new RangeError(`no channel ${name}`);
    return channel;
  }

  /** The only channel. */
  get only(): Channel {
    const [channel, ...others] = this.channels.values();
    if (channel === undefined || others.length > 0) {
      throw new Error("there is not just one channel");
    }
    return channel;
  }

  mark(): void {
    this.#gate?.mark();
  }

  report(): string {
    if (this.#gate === undefined) return "the gate was not started";
    const { status } = this.#gate;
    const ended = status === undefined
      ? ""
      : ` (it ended with ${status.signal ?? `exit code ${status.code}`})`;
    return `the gate's log of this test ends so${ended}:\n${
      this.#gate.tail(40, this.#gate.recentLog)
    }`;
  }

  async verify(): Promise<void> {
    for (const channel of this.channels.values()) {
      if (!this.options.unequal?.includes(channel.name)) await channel.settled();
    }
    await this.nothingStaysOpen();
    await this.isAtRest();
    // A stack trace in the log is a fault that nobody thought of.
    const trace = this.gate.log.split("\n").filter((line) =>
      /^\s+at .*\.ts:\d+|nobody foresaw/.test(line)
    );
    if (trace.length > 0) throw new Error(`the gate's log has a stack trace:\n${trace.join("\n")}`);
    const { code } = await this.gate.term();
    if (code !== 0) throw new Error(`the gate ended with ${code}:\n${this.gate.tail()}`);
  }

  /** Fails if the gate holds what only a job needs, or more of a root than its parts do. */
  async nothingStaysOpen(): Promise<void> {
    const { pid } = this.gate.child;
    const strays = () =>
      [...this.channels.values()].flatMap(({ basePath }) => {
        const open = openBelow(basePath, pid);
        const deep = open.filter((path) => OF_JOBS.test(path.slice(basePath.length)));
        const roots = open.filter((path) => path === open[open.indexOf(path) + MOST_OF_A_ROOT]);
        return [...deep, ...roots];
      });
    await waitFor(
      () => `descriptors stay open: ${strays().join(", ")}`,
      () => strays().length === 0,
    );
  }

  /** Fails if the gate goes on working when there is nothing to do any more. */
  async isAtRest(): Promise<void> {
    await waitFor("the gate comes to rest", async () => {
      const before = this.gate.processorSeconds();
      await sleep(REST_MS);
      return this.gate.processorSeconds() - before < REST_MS / 1000 * MOST_AT_REST;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#gate?.[Symbol.asyncDispose]();
    await this.clamd[Symbol.asyncDispose]();
    await this.user[Symbol.asyncDispose]();
    await this.filesystem[Symbol.asyncDispose]();
  }
}
