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
  readonly where?: "disk" | "memory";
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
  ) {}

  static async create(
    kind: FilesystemKind,
    options: FilesystemOptions = {},
  ): Promise<LoopFilesystem> {
    const sizeMiB = Math.max(options.sizeMiB ?? 2048, LEAST_MIB[kind]);
    const imageFolder = scratchDirectory(kind, options.where ?? "memory");
    const image = `${imageFolder}/image`;
    // Not below /dev/shm: Deno keeps programs with scoped permissions out of /dev.
    const path = scratchDirectory(`${kind}-mount`);
    using file = await Deno.open(image, { write: true, createNew: true });
    await file.truncate(sizeMiB * 2 ** 20);
    const [command = "", ...args] = MAKE[kind];
    if (options.mixed && kind === "btrfs") args.push("--mixed");
    await must(command, [...args, image]);
    // With "loop" the device is freed by the kernel as soon as nothing is mounted from it any more.
    const flags = ["loop", ...(options.mountOptions === undefined ? [] : [options.mountOptions])];
    await must("mount", ["-t", kind, "-o", flags.join(","), image, path]);
    return new LoopFilesystem(kind, path, imageFolder);
  }

  /** A fresh directory on it. */
  async directory(label = "base"): Promise<string> {
    const path = `${this.path}/${label}-${this.#directories++}`;
    await Deno.mkdir(path);
    return path;
  }

  /** Mounts it again in the same place with other options, such as `ro`. */
  async remount(options: string): Promise<void> {
    let failure = "";
    // A scanner may still read a snapshot of a gate that was killed; unnamed files keep a filesystem writable.
    await waitFor(() => failure, async () => {
      const { code, stderr } = await run("mount", ["-o", `remount,${options}`, this.path]);
      failure = stderr.trim();
      return code === 0;
    });
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
