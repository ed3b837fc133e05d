/** A disk on which there is no room for anything more. */

import { must, run } from "./command.ts";
import { waitFor } from "./wait.ts";

/** Takes all room in pieces that get smaller; nothing is written, so it costs no memory. */
export async function fillDisk(directory: string): Promise<void> {
  for (let size = 256 * 2 ** 20, number = 0; size >= 4096;) {
    const { code } = await run("fallocate", ["-l", String(size), `${directory}/${number++}`]);
    if (code !== 0) size /= 4;
  }
  await must("sync", ["-f", directory]);
}

/** Gives it back. On btrfs even that may be refused at first. */
export async function emptyDisk(directory: string): Promise<void> {
  await waitFor(`there is room again without ${directory}`, async () => {
    const { code } = await run("rm", ["-rf", directory]);
    await must("sync", ["-f", parentOf(directory)]);
    return code === 0;
  });
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
