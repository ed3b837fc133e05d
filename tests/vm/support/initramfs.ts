/** A root file system in memory: busybox, kernel modules, and an /init that takes commands over a serial line. */

import { must } from "../../support/command.ts";
import type { Kernel } from "./kernel.ts";

/**
 * Commands come on the second serial port, one line each: base64 of a shell script. Its output goes back, and a
 * line `@done STATUS` ends it.
 */
const INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /mnt
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
for module in $(cat /modules/order); do insmod /modules/$module.ko; done
stty -F /dev/ttyS1 raw -echo
exec < /dev/ttyS1 > /dev/ttyS1 2>&1
echo @ready
while IFS= read -r line; do
  echo "$line" | base64 -d > /tmp/command
  sh /tmp/command < /dev/null
  echo "@done $?"
done
`;

/** Writes the archive to `path`. */
export async function buildInitramfs(
  path: string,
  folder: string,
  kernel: Kernel,
  modules: readonly string[],
): Promise<void> {
  const root = `${folder}/initramfs`;
  await Deno.mkdir(`${root}/bin`, { recursive: true });
  await Deno.mkdir(`${root}/modules`);
  await Deno.copyFile("/bin/busybox", `${root}/bin/busybox`);
  for (const module of modules) {
    await Deno.copyFile(kernel.module(module), `${root}/modules/${module}.ko`);
  }
  await Deno.writeTextFile(`${root}/modules/order`, modules.join("\n"));
  await Deno.writeTextFile(`${root}/init`, INIT, { mode: 0o755 });
  await must("sh", ["-c", `find . | cpio --quiet -o -H newc > "$0"`, path], { cwd: root });
}
