/** A file system that is not the shares' own, for what lies on the other side of a mount point. Needs root. */

import { must } from "../../support/command.ts";
import { scratchDirectory } from "../../support/scratch.ts";

export class MemoryFilesystem implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async mount(path = scratchDirectory("memory")): Promise<MemoryFilesystem> {
    await must("mount", ["-t", "tmpfs", "-o", "size=64m,strictatime", "tmpfs", path]);
    return new MemoryFilesystem(path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await must("umount", [this.path]);
  }
}
