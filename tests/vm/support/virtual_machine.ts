/** A virtual machine in software emulation: Debian's kernel, an initramfs, and shared directories by virtiofs. */

import { marked } from "../../support/command.ts";
import { scratchDirectory } from "../../support/scratch.ts";
import { waitFor } from "../../support/wait.ts";
import { buildInitramfs } from "./initramfs.ts";
import { debianKernel } from "./kernel.ts";

export interface MachineOptions {
  readonly name: string;
  readonly modules: readonly string[];
  readonly memoryMiB?: number;
  /** Directories of the host by virtiofs tag. */
  readonly shares: Readonly<Record<string, string>>;
}

/** Emulation is slow, and the machine may be busy. */
const BOOT_MS = 180_000;
/** On the kernel's command line: what runs inside can tell. */
export const MACHINE_MARK = "virtiofs_gate_test_machine";
/** The kernel gives up where its timer is late, as on busy processors. */
const KERNEL_OPTIONS = `console=ttyS0 quiet panic=-1 no_timer_check ${MACHINE_MARK}`;
const VIRTIOFSD = "/usr/lib/qemu/virtiofsd";

export class VirtualMachine implements AsyncDisposable {
  #output = "";
  #commands = Promise.resolve();

  private constructor(
    readonly name: string,
    private readonly qemu: Deno.ChildProcess,
    private readonly daemons: readonly Deno.ChildProcess[],
    private readonly input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>,
    private readonly consolePath: string,
  ) {
    this.#collect();
  }

  /** Boots, and waits until it takes commands. */
  static async boot(options: MachineOptions): Promise<VirtualMachine> {
    const folder = scratchDirectory(`vm-${options.name}`);
    const kernel = await debianKernel();
    await buildInitramfs(`${folder}/initramfs.cpio`, folder, kernel, options.modules);
    const memory = `${options.memoryMiB ?? 384}M`;
    const daemons: Deno.ChildProcess[] = [];
    const devices: string[] = [];
    for (const [tag, path] of Object.entries(options.shares)) {
      const socket = `${folder}/${tag}.sock`;
      daemons.push(start(VIRTIOFSD, [
        `--socket-path=${socket}`,
        "-o",
        `source=${path}`,
        "-o",
        "sandbox=chroot",
        "-o",
        "cache=auto",
      ], folder));
      await waitFor(`virtiofsd listens for ${tag}`, () => exists(socket));
      devices.push("-chardev", `socket,id=${tag},path=${socket}`);
      devices.push("-device", `vhost-user-fs-pci,chardev=${tag},tag=${tag}`);
    }
    const consolePath = `${folder}/console`;
    const qemu = new Deno.Command("qemu-system-x86_64", {
      args: [
        ...["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", memory],
        ...["-object", `memory-backend-memfd,id=memory,size=${memory},share=on`],
        ...["-numa", "node,memdev=memory"],
        ...["-kernel", kernel.image, "-initrd", `${folder}/initramfs.cpio`],
        ...["-append", KERNEL_OPTIONS],
        ...["-display", "none", "-nic", "none", "-no-reboot", "-nodefaults"],
        ...["-serial", `file:${consolePath}`, "-serial", "stdio"],
        ...devices,
      ],
      env: marked({}),
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const machine = new VirtualMachine(
      options.name,
      qemu,
      daemons,
      qemu.stdin.getWriter(),
      consolePath,
    );
    try {
      await waitFor(
        () => `the machine ${options.name} does not boot:\n${machine.console()}`,
        () => machine.#output.includes("@ready"),
        BOOT_MS,
      );
      return machine;
    } catch (error) {
      await machine[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs a shell script inside; its output and exit status. */
  tryRun(script: string, timeoutMs = 120_000): Promise<{ status: number; output: string }> {
    const result = this.#commands.then(() => this.#command(script, timeoutMs));
    this.#commands = result.then(() => {}, () => {});
    return result;
  }

  /** The same, where anything but success is an error. */
  async run(script: string, timeoutMs?: number): Promise<string> {
    const { status, output } = await this.tryRun(script, timeoutMs);
    if (status === 0) return output;
    throw new Error(`in ${this.name}: status ${status}:\n${script}\n${output}`);
  }

  async #command(script: string, timeoutMs: number): Promise<{ status: number; output: string }> {
    this.#output = "";
    const bytes = new TextEncoder().encode(script);
    await this.input.write(new TextEncoder().encode(`${bytes.toBase64()}\n`));
    const status = await waitFor(
      () => `in ${this.name}: no end of:\n${script}\n${this.#output}\n${this.console()}`,
      () => /@done (\d+)\s*\n/.exec(this.#output)?.[1],
      timeoutMs,
    );
    const output = this.#output.slice(0, this.#output.lastIndexOf("@done ")).replaceAll("\r", "");
    return { status: Number(status), output };
  }

  /** Pulls the plug. */
  async kill(): Promise<void> {
    try {
      this.qemu.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await this.qemu.status;
  }

  /** What the kernel said. */
  console(): string {
    return exists(this.consolePath) ? Deno.readTextFileSync(this.consolePath) : "";
  }

  async #collect(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const piece of this.qemu.stdout) {
      this.#output += decoder.decode(piece, { stream: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.input.abort().catch(() => {}); // its reader is gone
    for (const daemon of this.daemons) {
      try {
        daemon.kill("SIGKILL");
      } catch {
        // It ends with its machine.
      }
      await daemon.status;
    }
  }
}

function start(program: string, args: string[], cwd: string): Deno.ChildProcess {
  const env = marked({});
  return new Deno.Command(program, {
    args,
    cwd,
    env,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  })
    .spawn();
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Why no virtual machine can be had here; `undefined` if one can. */
export async function noMachine(): Promise<string | undefined> {
  if (Deno.build.arch !== "x86_64") return "is written for x86-64";
  if (Deno.uid() !== 0) return "needs root, for virtiofsd";
  const needed = {
    "/usr/bin/qemu-system-x86_64": "qemu-system-x86",
    [VIRTIOFSD]: "qemu-system-x86",
    "/bin/busybox": "busybox-static",
    "/usr/bin/cpio": "cpio",
  };
  for (const [path, name] of Object.entries(needed)) {
    if (!exists(path)) return `needs the package ${name}`;
  }
  try {
    await debianKernel();
    return undefined;
  } catch (error) {
    return `needs Debian's kernel: ${
      error instanceof Error ? error.message.split("\n")[0] : error
    }`;
  }
}
