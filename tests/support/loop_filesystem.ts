/** A filesystem of its own in an image file, mounted by loop device. Needs root. */

import { must, run } from "./command.ts";
import { scratchDirectory } from "./scratch.ts";
import { waitFor } from "./wait.ts";

export type FilesystemKind = "btrfs" | "xfs";
export const FILESYSTEM_KINDS: readonly FilesystemKind[] = ["btrfs", "xfs"];

/** mkfs refuses less. */
const LEAST_MIB: Readonly<Record<FilesystemKind, number>> = { btrfs: 128, xfs: 300 };

const MAKE: Readonly<Record<FilesystemKind, readonly string[]>> = {
  btrfs: ["mkfs.btrfs", "-q", "-m", "single", "-d", "single"],
  xfs: ["mkfs.xfs", "-q", "-m", "reflink=1"],
};

export interface FilesystemOptions {
  /** Sparse: takes only what is written to it. */
  readonly sizeMiB?: number;
  /** `memory` (the default) keeps the disk's speed out of the tests. */
  readonly where?: "disk" | "memory" | LoopFilesystem;
  readonly mountOptions?: string;
  /** btrfs: one kind of room for data and metadata, so that what is freed of one is there for the other. */
  readonly mixed?: boolean;
}

export class LoopFilesystem implements AsyncDisposable {
  #mounted = true;
  #directories = 0;

  private constructor(
    readonly kind: FilesystemKind,
    /** Where it is mounted. */
    readonly path: string,
    private readonly imageFolder: string,
    private readonly mountOptions: string | undefined,
  ) {}

  static async create(
    kind: FilesystemKind,
    options: FilesystemOptions = {},
  ): Promise<LoopFilesystem> {
    const sizeMiB = Math.max(options.sizeMiB ?? 2048, LEAST_MIB[kind]);
    const where = options.where ?? "memory";
    const imageFolder = where instanceof LoopFilesystem
      ? await where.directory(kind)
      : scratchDirectory(kind, where);
    const image = `${imageFolder}/image`;
    // Not below /dev/shm: Deno keeps programs with scoped permissions out of /dev.
    const path = scratchDirectory(`${kind}-mount`);
    using file = await Deno.open(image, { write: true, createNew: true });
    await file.truncate(sizeMiB * 2 ** 20);
    const [command = "", ...args] = MAKE[kind];
    if (options.mixed && kind === "btrfs") args.push("--mixed");
    await must(command, [...args, image]);
    const filesystem = new LoopFilesystem(kind, path, imageFolder, options.mountOptions);
    await filesystem.mount();
    return filesystem;
  }

  /** A fresh directory on it. */
  async directory(label = "base"): Promise<string> {
    const path = `${this.path}/${label}-${this.#directories++}`;
    await Deno.mkdir(path);
    return path;
  }

  /** Mounts it again in the same place with other options, such as `ro`. */
  async remount(options: string): Promise<void> {
    await untilDone("mount", ["-o", `remount,${options}`, this.path]);
  }

  /**
   * Keeps what is on the disk at this very moment, which is all that a power failure would leave. The image is to lie
   * where `cp` can make a reflink of it: a plain copy takes a while, in which the disk is written to.
   */
  async keepDisk(): Promise<void> {
    await must("cp", ["--reflink=always", this.#image, this.#kept]);
  }

  /** As after a power failure: mounts, in the same place, what `keepDisk` kept. Whoever uses it is to have been killed. */
  async losePower(): Promise<void> {
    await untilDone("umount", [this.path]);
    await Deno.rename(this.#kept, this.#image);
    await this.mount();
  }

  /** Mounts it in its place, from which somebody has unmounted it. */
  async mount(): Promise<void> {
    // With "loop" the device is freed by the kernel as soon as nothing is mounted from it any more.
    const flags = ["loop", ...(this.mountOptions === undefined ? [] : [this.mountOptions])];
    await must("mount", ["-t", this.kind, "-o", flags.join(","), this.#image, this.path]);
  }

  get #image(): string {
    return `${this.imageFolder}/image`;
  }

  get #kept(): string {
    return `${this.imageFolder}/kept`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#mounted) return;
    this.#mounted = false;
    if ((await run("umount", [this.path])).code !== 0) {
      // A process of a failed test still uses it; its end frees the rest.
      await must("umount", ["-l", this.path]);
    }
    await must("rm", ["-rf", "--one-file-system", this.imageFolder, this.path]);
  }
}

/** A scanner may still read a snapshot of a gate that was killed; unnamed files keep a filesystem in use, and writable. */
async function untilDone(command: string, args: readonly string[]): Promise<void> {
  let failure = "";
  await waitFor(() => failure, async () => {
    const { code, stderr } = await run(command, args);
    failure = stderr.trim();
    return code === 0;
  });
}
