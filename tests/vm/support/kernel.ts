/** Debian's kernel and the few modules that the test machines load, without installing the package. */

import { must } from "../../support/command.ts";

/** In loading order; each needs only what stands before it. */
export const VIRTIOFS_MODULES = [
  "virtio_ring",
  "virtio",
  "virtio_pci_modern_dev",
  "virtio_pci_legacy_dev",
  "virtio_pci",
  "fuse",
  "virtiofs",
  "overlay",
];
export const VSOCK_MODULES = [
  "vsock",
  "vmw_vsock_virtio_transport_common",
  "vsock_loopback",
  "vhost_iotlb",
  "vhost",
  "vhost_vsock",
];

/** For a small XFS of the gate's own. */
export const FILESYSTEM_MODULES = ["loop", "crc32c_generic", "libcrc32c", "xfs"];

/** Kept between runs: a download of 70 MiB. */
const CACHE = "/var/cache/virtiofs-gate-tests";

export interface Kernel {
  readonly image: string;
  /** The path of a module by its name. */
  module(name: string): string;
}

/** The kernel, downloaded if it is not there. Throws with the reason if it cannot be had. */
export async function debianKernel(): Promise<Kernel> {
  const installed = find("");
  if (installed !== undefined) return installed;
  const dependencies = new TextDecoder().decode(
    await must("apt-cache", ["depends", "linux-image-amd64"]),
  );
  const name = /Depends: (linux-image-\S+)/.exec(dependencies)?.[1];
  if (name === undefined) throw new Error("apt knows no linux-image-amd64: run apt-get update");
  const root = `${CACHE}/${name}`;
  await Deno.mkdir(CACHE, { recursive: true });
  // Tests that run side by side need it at the same time.
  using lock = await Deno.open(`${CACHE}/lock`, { create: true, write: true });
  await lock.lock(true);
  const cached = find(root);
  if (cached !== undefined) return cached;
  await download(name, root);
  const kernel = find(root);
  if (kernel === undefined) throw new Error(`${name} holds no kernel with the modules needed`);
  return kernel;
}

/** Unpacks Debian's package `name` to `root`: as a whole, or not at all. */
async function download(name: string, root: string): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: CACHE, prefix: "download-" });
  try {
    await must("apt-get", ["download", "-q", name], { cwd: folder });
    const [archive] = [...Deno.readDirSync(folder)].filter((entry) => entry.name.endsWith(".deb"));
    if (archive === undefined) throw new Error(`apt-get download brought no ${name}`);
    await must("dpkg-deb", ["-x", `${folder}/${archive.name}`, `${folder}/unpacked`]);
    await Deno.remove(root, { recursive: true }).catch(() => {}); // half of it, from another time
    await Deno.rename(`${folder}/unpacked`, root);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function find(root: string): Kernel | undefined {
  for (const version of list(`${root}/lib/modules`)) {
    const image = `${root}/boot/vmlinuz-${version}`;
    if (!exists(image)) continue;
    const paths = new Map<string, string>();
    const visit = (path: string) => {
      for (const entry of Deno.readDirSync(path)) {
        if (entry.isDirectory) visit(`${path}/${entry.name}`);
        else {
          const module = /^(.+)\.ko$/.exec(entry.name)?.[1];
          if (module !== undefined) paths.set(module.replaceAll("-", "_"), `${path}/${entry.name}`);
        }
      }
    };
    const parts = [
      ...["drivers/virtio", "drivers/vhost", "drivers/block", "net/vmw_vsock"],
      ...["fs/fuse", "fs/overlayfs", "fs/xfs", "crypto", "lib"],
    ];
    for (const part of parts) {
      const path = `${root}/lib/modules/${version}/kernel/${part}`;
      if (exists(path)) visit(path);
    }
    const needed = [...VIRTIOFS_MODULES, ...VSOCK_MODULES, ...FILESYSTEM_MODULES];
    if (!needed.every((name) => paths.has(name))) continue;
    return {
      image,
      module: (name) => {
        const path = paths.get(name);
        if (path === undefined) throw new Error(`no module ${name}`);
        return path;
      },
    };
  }
  return undefined;
}

function list(path: string): string[] {
  return exists(path) ? [...Deno.readDirSync(path)].map(({ name }) => name) : [];
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
