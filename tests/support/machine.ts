/** A machine as docs/debian.md describes it: a channel on btrfs, clamd in its place, the units. */

import { UNIT_FOLDER } from "../../nix/units.ts";
import { Channel } from "./channel.ts";
import { Clamd } from "./clamd.ts";
import { type DropIns, installation } from "./installation.ts";
import { type FilesystemKind, LoopFilesystem } from "./loop_filesystem.ts";
import { NestedSystemd, systemdObstacle } from "./nested_systemd.ts";
import { obstacle } from "./prerequisites.ts";
import { UserSocket } from "./user_socket.ts";
import { waitFor } from "./wait.ts";

/** A user of the machine, with a home. */
export const USER = "ann";

export interface MachineOptions {
  readonly filesystem?: FilesystemKind;
  /** CIDs that the gate notifies. */
  readonly guests?: readonly number[];
}

export class Machine implements AsyncDisposable {
  private constructor(
    readonly systemd: NestedSystemd,
    readonly channel: Channel,
    readonly user: UserSocket,
    private readonly filesystem: LoopFilesystem,
    private readonly clamd: Clamd,
  ) {}

  static async start(dropIns: DropIns, options: MachineOptions = {}): Promise<Machine> {
    const filesystem = await LoopFilesystem.create(options.filesystem ?? "btrfs");
    const clamd = await Clamd.start();
    const user = UserSocket.listen(`${clamd.folder}/notify.sock`);
    await Deno.chmod(user.path, 0o666); // whoever may speak to the user
    const more = { notify: { guests: options.guests ?? [] } };
    const channel = await Channel.create("docs", `${filesystem.path}/docs`, { more });
    const installed = await installation(dropIns);
    const systemd = await NestedSystemd.start({
      files: {
        ...installed.files,
        "/etc/virtiofs/channels.json": {
          text: JSON.stringify({
            docs: { ...channel.configuration, basePath: "/var/lib/virtiofs/docs" },
          }),
        },
        "/etc/sysusers.d/virtiofs-gate.conf": {
          text: await Deno.readTextFile(`${UNIT_FOLDER}sysusers.d/virtiofs-gate.conf`),
        },
        "/etc/sysusers.d/ann.conf": { text: `u ${USER} - "A user" /home/${USER}\n` },
        "/home/ann/secret": { text: "secret" },
        "/root/secret": { text: "secret" },
      },
      mounts: [
        ...installed.mounts,
        { from: filesystem.path, to: "/var/lib/virtiofs" },
        { from: clamd.folder, to: "/run/clamav" },
      ],
    });
    const machine = new Machine(systemd, channel, user, filesystem, clamd);
    await machine.shell(`
      systemd-sysusers
      for folder in Downloads docs; do install -d -o ${USER} -g ${USER} /home/${USER}/$folder; done
    `);
    return machine;
  }

  /** Runs a script of root's on the machine; its output. */
  async shell(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.systemd.run("sh", ["-euc", script]);
    if (code !== 0) throw new Error(`${script.trim()} ended with ${code}: ${stderr}`);
    return new TextDecoder().decode(stdout).trim();
  }

  /** Where a path of the machine is to be found from outside. */
  outside(path: string): string {
    return `/proc/${this.systemd.pid}/root${path}`;
  }

  async mainPid(unit: string): Promise<string> {
    return await this.systemd.property(unit, "MainPID");
  }

  /** Waits until systemd has started `unit` again, and it is ready; `before` was its main process. */
  async restarted(unit: string, before: string): Promise<void> {
    await waitFor(`${unit} is started again`, async () => {
      const pid = await this.mainPid(unit);
      return pid !== "0" && pid !== before &&
        await this.systemd.property(unit, "ActiveState") === "active";
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.systemd[Symbol.asyncDispose]();
    await this.user[Symbol.asyncDispose]();
    await this.clamd[Symbol.asyncDispose]();
    await this.filesystem[Symbol.asyncDispose]();
  }
}

/** Defines a test of `unit` on a machine of its own; a failure shows what the unit logged. */
export function testOnMachine(
  name: string,
  unit: string,
  dropIns: DropIns,
  body: (machine: Machine) => Promise<void>,
): void {
  const reason = systemdObstacle() ?? obstacle("btrfs");
  Deno.test({
    name: reason === undefined ? name : `${name} [${reason}]`,
    ignore: reason !== undefined,
    fn: async () => {
      await using machine = await Machine.start(dropIns);
      try {
        await body(machine);
      } catch (error) {
        if (error instanceof Error) {
          error.message += `\nthe journal of ${unit}:\n${await machine.systemd.journal(unit)}`;
        }
        throw error;
      }
    },
  });
}

/** A drop-in that comes with the units. */
export function shippedDropIn(path: string): string {
  return Deno.readTextFileSync(`${UNIT_FOLDER}${path}`);
}
