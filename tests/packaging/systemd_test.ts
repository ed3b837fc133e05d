/** The units under a real systemd: the daemons do their work inside their sandboxes, and nothing else. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { UNIT_FOLDER } from "../../nix/units.ts";
import { Channel } from "../support/channel.ts";
import { Clamd } from "../support/clamd.ts";
import { EICAR } from "../support/eicar.ts";
import { type DropIns, installation } from "../support/installation.ts";
import { LoopFilesystem } from "../support/loop_filesystem.ts";
import { NestedSystemd, systemdObstacle } from "../support/nested_systemd.ts";
import { obstacle } from "../support/prerequisites.ts";
import { UserSocket } from "../support/user_socket.ts";
import { waitFor } from "../support/wait.ts";

const GATE = "virtiofs-gate.service";

/** A host as docs/debian.md describes it: channels on btrfs, clamd in its place, the units. */
class Host implements AsyncDisposable {
  private constructor(
    readonly systemd: NestedSystemd,
    readonly channel: Channel,
    readonly user: UserSocket,
    private readonly filesystem: LoopFilesystem,
    private readonly clamd: Clamd,
  ) {}

  static async start(dropIns: DropIns): Promise<Host> {
    const filesystem = await LoopFilesystem.create("btrfs");
    const clamd = await Clamd.start();
    const user = UserSocket.listen(`${clamd.folder}/notify.sock`);
    const channel = await Channel.create("docs", `${filesystem.path}/docs`);
    const options = await installation(dropIns);
    const systemd = await NestedSystemd.start({
      files: {
        ...options.files,
        "/etc/virtiofs/channels.json": {
          text: JSON.stringify({
            docs: { ...channel.configuration, basePath: "/var/lib/virtiofs/docs" },
          }),
        },
        "/etc/sysusers.d/virtiofs-gate.conf": {
          text: await Deno.readTextFile(`${UNIT_FOLDER}sysusers.d/virtiofs-gate.conf`),
        },
        "/home/ann/secret": { text: "secret", mode: 0o644 },
        "/root/secret": { text: "secret", mode: 0o644 },
      },
      mounts: [
        ...options.mounts,
        { from: filesystem.path, to: "/var/lib/virtiofs" },
        { from: clamd.folder, to: "/run/clamav" },
      ],
    });
    await systemd.run("systemd-sysusers", []);
    return new Host(systemd, channel, user, filesystem, clamd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.systemd[Symbol.asyncDispose]();
    await this.user[Symbol.asyncDispose]();
    await this.clamd[Symbol.asyncDispose]();
    await this.filesystem[Symbol.asyncDispose]();
  }
}

async function mainPid(systemd: NestedSystemd, unit: string): Promise<string> {
  return await systemd.property(unit, "MainPID");
}

/** Waits until `unit` was started again by systemd, and is ready. */
async function restarted(systemd: NestedSystemd, unit: string, before: string): Promise<void> {
  await waitFor(`${unit} is started again`, async () => {
    const pid = await mainPid(systemd, unit);
    return pid !== "0" && pid !== before &&
      await systemd.property(unit, "ActiveState") === "active";
  });
}

function gateTest(name: string, dropIns: DropIns, body: (host: Host) => Promise<void>): void {
  const reason = systemdObstacle() ?? obstacle("btrfs");
  Deno.test({
    name: reason === undefined ? name : `${name} [${reason}]`,
    ignore: reason !== undefined,
    fn: async () => {
      await using host = await Host.start(dropIns);
      try {
        await body(host);
      } catch (error) {
        if (error instanceof Error) {
          error.message += `\nthe gate's journal:\n${await host.systemd.journal(GATE)}`;
        }
        throw error;
      }
    },
  });
}

const read = (path: string) => Deno.readTextFileSync(`${UNIT_FOLDER}${path}`);

/** Short times, or the tests would wait for half a minute. */
const QUICK = { "quick.conf": "[Service]\nWatchdogSec=3\nRestartSec=100ms\n" };

const VARIANTS: Readonly<Record<string, DropIns>> = {
  "as root": { [GATE]: QUICK },
  "without root": {
    [GATE]: { ...QUICK, "unprivileged.conf": read(`${GATE}.d/unprivileged.conf`) },
  },
};

for (const [variant, dropIns] of Object.entries(VARIANTS)) {
  gateTest(`I8: the gate does all its work in its sandbox, ${variant}`, dropIns, async (host) => {
    const { systemd, channel, user } = host;
    await systemd.systemctl("start", GATE);
    const [ann, bob] = [channel.share("ann"), channel.share("bob")];

    await ann.write("office/order.txt", "200 sheets", { mode: 0o640, uid: 1000, gid: 1000 });
    await waitFor("a clean file arrives", () => bob.has("office/order.txt"));
    await channel.settled();

    await ann.write("game.exe", EICAR);
    await waitFor("malware is removed", () => !ann.has("game.exe"));
    await waitFor("the user is told", () => user.lines.some((line) => /game\.exe$/.test(line)));
    assertEquals(await channel.infectedElsewhere(), []);

    await Deno.remove(`${bob.path}/office/order.txt`);
    await waitFor("a deletion travels", () => !ann.has("office/order.txt"));
    await channel.settled();

    await systemd.systemctl("stop", GATE);
    assertEquals(await systemd.property(GATE, "Result"), "success");
  });

  gateTest(`I3: the gate is started again after a crash, ${variant}`, dropIns, async (host) => {
    const { systemd, channel } = host;
    await systemd.systemctl("start", GATE);
    const [ann, bob] = [channel.share("ann"), channel.share("bob")];
    const first = await mainPid(systemd, GATE);
    await systemd.systemctl("kill", GATE, "--signal=SIGKILL");
    await ann.write("meanwhile", "written while nobody looked");
    await restarted(systemd, GATE, first);
    await waitFor("what was written meanwhile arrives", () => bob.has("meanwhile"));

    // It hangs: no more signs of life.
    const second = await mainPid(systemd, GATE);
    await systemd.systemctl("kill", GATE, "--signal=SIGSTOP");
    await ann.write("later", "written while it hung");
    await restarted(systemd, GATE, second);
    await waitFor("what was written meanwhile arrives", () => bob.has("later"));
    assert((await systemd.journal(GATE)).includes("Watchdog timeout"));
    assertEquals(await systemd.property(GATE, "NRestarts"), "2");
    await channel.settled();
  });
}
