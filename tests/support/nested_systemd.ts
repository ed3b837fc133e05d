/**
 * A real systemd with a world of its own: mount, process, IPC, host name and cgroup namespaces, on top
 * of the machine's files as they are (overlay), so that units can be installed and started exactly as
 * a manual says, and nothing stays.
 */

import { marked, must, run } from "./command.ts";
import { missingProgram } from "./prerequisites.ts";
import { scratchDirectory } from "./scratch.ts";
import { waitFor } from "./wait.ts";

/** Files by absolute path. */
export type Files = Readonly<Record<string, { readonly text: string; readonly mode?: number }>>;

export interface NestedSystemdOptions {
  /** Laid over the machine's. */
  readonly files: Files;
  /** Paths of the machine that appear in another place: a directory, or one file. */
  readonly mounts: readonly { readonly from: string; readonly to: string }[];
}

/** Why there can be none here; `undefined` if there can. */
export function systemdObstacle(): string | undefined {
  if (Deno.uid() !== 0) return "needs root, for namespaces of its own";
  const missing = missingProgram("systemd-analyze");
  if (missing !== undefined) return missing;
  const known = Deno.readTextFileSync("/proc/filesystems");
  for (const kind of ["overlay", "cgroup2"]) {
    if (!known.includes(`\t${kind}\n`)) return `needs a kernel with ${kind}`;
  }
  return undefined;
}

/** A file that is nowhere else. */
export const NESTED_MARK = "/usr/local/lib/virtiofs-gate-nested-systemd";

/** It may be in an emulated machine. */
const BOOT_MS = 300_000;

const target = (unit: string) => ({
  text: `[Unit]\nDescription=Nested\nDefaultDependencies=no\n${unit}\n`,
});

/** Only the journal; what units want by default is there, and empty. */
const TARGETS: Files = {
  "/etc/systemd/system/sysinit.target": target(
    "Wants=systemd-journald.service\nAfter=systemd-journald.service",
  ),
  "/etc/systemd/system/nested.target": target("Requires=sysinit.target\nAfter=sysinit.target"),
};

/** Lays the layers and enters them. They lie in memory: a layer must not lie in what it covers. */
const LAYERS = `
mkdir layers
mount -t tmpfs -o mode=755 tmpfs layers
mkdir layers/work layers/root
cp --recursive --preserve=mode files layers/upper
cd layers
mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/work" root
cd root
`;

/** Runs with the new root as its working directory; ends by becoming systemd. */
const ENTER = `
mount --rbind /dev dev
mount -t tmpfs tmpfs dev/shm
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
while [ $# -gt 0 ]; do
  if [ -d "$1" ]; then mkdir -p ".$2"; else mkdir -p "$(dirname ".$2")"; touch ".$2"; fi
  mount --rbind "$1" ".$2"
  shift 2
done
mkdir -p old
pivot_root . old
umount -l /old
exec env -i container=other PATH=/usr/sbin:/usr/bin SYSTEMD_GENERATOR_PATH=/nonexistent \\
  /lib/systemd/systemd --system --unit=nested.target --show-status=no
`;

export class NestedSystemd implements AsyncDisposable {
  #ended: Deno.CommandStatus | undefined;

  private constructor(
    readonly child: Deno.ChildProcess,
    /** Of the nested systemd, as seen from here. */
    readonly pid: number,
    private readonly cgroup: string,
    private readonly cgroupRoot: string,
  ) {
    child.status.then((status) => this.#ended = status);
  }

  static async start(options: NestedSystemdOptions): Promise<NestedSystemd> {
    const folder = scratchDirectory("systemd");
    await writeFiles(`${folder}/files`, {
      ...options.files,
      ...TARGETS,
      [NESTED_MARK]: { text: "" },
    });
    const { cgroup, cgroupRoot } = await ownCgroup(folder);
    const child = new Deno.Command("sh", {
      args: [
        "-euc",
        'echo $$ > "$1"; shift; exec unshare --mount --pid --fork --uts --ipc --cgroup --kill-child "$@"',
        "sh",
        `${cgroup}/cgroup.procs`,
        ...["sh", "-euc", LAYERS + ENTER, "sh"],
        ...options.mounts.flatMap(({ from, to }) => [from, to]),
      ],
      cwd: folder,
      env: marked(),
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    const pid = await waitFor("unshare has started a process", () => childOf(child.pid));
    const nested = new NestedSystemd(child, pid, cgroup, cgroupRoot);
    try {
      let state = "";
      await waitFor(() => `the nested systemd runs: ${state}`, async () => {
        if (nested.#ended !== undefined) {
          throw new Error(`the nested systemd has ended with ${nested.#ended.code}: ${state}`);
        }
        const { stdout, stderr } = await nested.run("systemctl", ["is-system-running"]);
        state = new TextDecoder().decode(stdout) + stderr;
        return /running|degraded/.test(state);
      }, BOOT_MS);
      return nested;
    } catch (error) {
      await nested[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs a program beside the units, outside their sandboxes. */
  run(command: string, args: readonly string[]) {
    const namespaces = ["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wd"];
    return run("nsenter", [`--target=${this.pid}`, ...namespaces, command, ...args]);
  }

  /** systemctl(1); its output. Throws with what the journal says of `unit` if it fails. */
  async systemctl(command: string, unit: string, ...more: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run("systemctl", [command, ...more, unit]);
    if (code === 0) return new TextDecoder().decode(stdout).trim();
    throw new Error(`systemctl ${command} ${unit}: ${stderr}\n${await this.journal(unit)}`);
  }

  /** One property of a unit, as `systemctl show` tells it. */
  async property(unit: string, name: string): Promise<string> {
    return await this.systemctl("show", unit, "--value", `--property=${name}`);
  }

  /** What a unit logged. */
  async journal(unit: string): Promise<string> {
    const { stdout } = await this.run("journalctl", [
      "--no-pager",
      "--output=short-precise",
      `--unit=${unit}`,
    ]);
    return new TextDecoder().decode(stdout);
  }

  /** With it every process of its namespace ends, and its mounts with them. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended === undefined) this.child.kill("SIGKILL");
    await this.child.status;
    await waitFor("the nested processes have ended", async () => {
      const { code } = await run("find", [this.cgroup, "-depth", "-type", "d", "-delete"]);
      return code === 0;
    });
    await run("umount", [this.cgroupRoot]);
  }
}

async function writeFiles(folder: string, files: Files): Promise<void> {
  for (const [path, { text, mode = 0o644 }] of Object.entries(files)) {
    const file = `${folder}${path}`;
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(file, text);
    await Deno.chmod(file, mode);
  }
}

/** A cgroup for the nested systemd to be the root of, in a cgroup2 hierarchy that is mounted for it. */
async function ownCgroup(folder: string) {
  const cgroupRoot = `${folder}/cgroup`;
  await Deno.mkdir(cgroupRoot);
  await must("mount", ["-t", "cgroup2", "cgroup2", cgroupRoot]);
  const cgroup = `${cgroupRoot}/virtiofs-gate-test-${Deno.pid}`;
  await Deno.mkdir(cgroup);
  return { cgroup, cgroupRoot };
}

function childOf(pid: number): number | undefined {
  const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim();
  return children === "" ? undefined : Number(children.split(" ")[0]);
}
