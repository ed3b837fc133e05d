/** AF_VSOCK is tested where nobody else listens: in a virtual machine that talks to itself. */

import { REPOSITORY } from "../support/gate.ts";
import { FILESYSTEM_MODULES, VIRTIOFS_MODULES, VSOCK_MODULES } from "./support/kernel.ts";
import { noMachine, VirtualMachine } from "./support/virtual_machine.ts";

const reason = await noMachine();

/** The host's files, under a layer in memory that takes everything that is written. */
const ENTER_HOST_FILES = `
set -e
mkdir -p /lower /ram /new
mount -t virtiofs root /lower -o ro
mount -t tmpfs ram /ram
mkdir /ram/upper /ram/work
mount -t overlay overlay /new -o lowerdir=/lower,upperdir=/ram/upper,workdir=/ram/work
for directory in proc sys dev; do mount -o bind /$directory /new/$directory; done
for directory in tmp run dev/shm; do mkdir -p /new/$directory; mount -t tmpfs tmp /new/$directory; done
`;

Deno.test({
  name: `AF_VSOCK: all four programs in a machine of their own${
    reason === undefined ? "" : `: ${reason}`
  }`,
  ignore: reason !== undefined,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await using machine = await VirtualMachine.boot({
      name: "vsock",
      modules: [...VIRTIOFS_MODULES, ...VSOCK_MODULES, ...FILESYSTEM_MODULES],
      memoryMiB: 3072,
      shares: { root: "/" },
    });
    await machine.run(ENTER_HOST_FILES);
    const environment = {
      HOME: Deno.env.get("HOME") ?? "/root",
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      NO_COLOR: "1",
      DENO_NO_UPDATE_CHECK: "1",
    };
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    const output = await machine.run(
      `chroot /new /usr/bin/env -i ${variables.join(" ")} sh -c ` +
        `'cd ${REPOSITORY} && "${Deno.execPath()}" test -A --no-check --cached-only tests/vm/inside/vsock.ts' 2>&1`,
      900_000,
    );
    Deno.stdout.writeSync(new TextEncoder().encode(`in the machine:\n${output}`));
  },
});
