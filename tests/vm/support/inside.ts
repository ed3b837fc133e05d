/** Tests that run inside a virtual machine, on the files of the host. */

import { REPOSITORY } from "../../support/gate.ts";
import { FILESYSTEM_MODULES, VIRTIOFS_MODULES, VSOCK_MODULES } from "./kernel.ts";
import { noMachine, VirtualMachine } from "./virtual_machine.ts";

const PATIENCE_MS = 900_000;

/** Empty, for what the tests write themselves; nothing of the host's may be covered: it may hold this very checkout. */
const SCRATCH = "/run/virtiofs-gate-scratch";

/** The host's files, under a layer in memory that takes everything that is written. */
const ENTER_HOST_FILES = `
set -e
mkdir -p /lower /ram /new
mount -t virtiofs root /lower -o ro
mount -t tmpfs ram /ram
mkdir /ram/upper /ram/work
mount -t overlay overlay /new -o lowerdir=/lower,upperdir=/ram/upper,workdir=/ram/work
for directory in proc sys dev; do mount -o bind /$directory /new/$directory; done
for directory in dev/shm ${SCRATCH.slice(1)}; do
  mkdir -p /new/$directory
  mount -t tmpfs scratch /new/$directory
done
`;

const reason = await noMachine();

/** Defines a test that runs the test file `path` (relative to the repository) in a machine with vsock. */
export function testInside(name: string, path: string): void {
  Deno.test({
    name: reason === undefined ? name : `${name}: ${reason}`,
    ignore: reason !== undefined,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await using machine = await VirtualMachine.boot({
        name: "inside",
        modules: [...VIRTIOFS_MODULES, ...VSOCK_MODULES, ...FILESYSTEM_MODULES],
        memoryMiB: 3072,
        shares: { root: "/" },
      });
      await machine.run(ENTER_HOST_FILES);
      const denoDirectory = Deno.env.get("DENO_DIR");
      const environment = {
        HOME: Deno.env.get("HOME") ?? "/root",
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        TMPDIR: SCRATCH,
        ...(denoDirectory === undefined ? {} : { DENO_DIR: denoDirectory }),
        NO_COLOR: "1",
        DENO_NO_UPDATE_CHECK: "1",
      };
      const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
      // Moved to the root of its namespace: in a mere chroot the kernel makes no user namespaces.
      const output = await machine.run(
        `cd /new && mount -o move . / && chroot . /usr/bin/env -i ${variables.join(" ")} sh -c ` +
          `'cd ${REPOSITORY} && "${Deno.execPath()}" test -A --no-check --cached-only ${path}' 2>&1`,
        PATIENCE_MS,
      );
      Deno.stdout.writeSync(new TextEncoder().encode(`in the machine:\n${output}`));
    },
  });
}
