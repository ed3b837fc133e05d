/** What the machine must offer for the tests on real parts, and why some cannot run where it does not. */

import { FILESYSTEM_KINDS, type FilesystemKind } from "./loop_filesystem.ts";

/** A Debian package that the tests use, known by a program that it brings. */
export interface Package {
  readonly name: string;
  readonly program: string;
  readonly why: string;
}

export const PACKAGES: readonly Package[] = [
  { name: "clamav-daemon", program: "clamd", why: "the scanner itself, on a private socket" },
  { name: "clamdscan", program: "clamdscan", why: "clamd's own client, to measure ours beside it" },
  { name: "gcc", program: "gcc", why: "to build what the benchmark compares with" },
  { name: "libc6-dev", program: "gencat", why: "the C library's headers, for gcc" },
  { name: "btrfs-progs", program: "mkfs.btrfs", why: "a btrfs in an image file" },
  { name: "xfsprogs", program: "mkfs.xfs", why: "an XFS in an image file" },
  { name: "e2fsprogs", program: "chattr", why: "files that nobody may change" },
  { name: "mount", program: "losetup", why: "loop devices for both" },
  { name: "strace", program: "strace", why: "to see which system calls a daemon makes" },
  { name: "systemd", program: "systemd-analyze", why: "to score and run the units" },
  { name: "qemu-system-x86", program: "qemu-system-x86_64", why: "virtual machines" },
  { name: "busybox-static", program: "busybox", why: "what runs in them" },
  { name: "cpio", program: "cpio", why: "their initial file system" },
  { name: "nix-bin", program: "nix-instantiate", why: "to evaluate what is in nix/" },
];

const CAP_SYS_ADMIN = 21n;

/** Whether a program can be found; administrators' directories count, whatever PATH says. */
export function hasProgram(name: string): boolean {
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  return [...folders, "/usr/sbin", "/sbin"].some((folder) => exists(`${folder}/${name}`));
}

/** Packages of the list that are not there. */
export function missingPackages(): Package[] {
  return PACKAGES.filter(({ program }) => !hasProgram(program));
}

/** Why tests on a filesystem of this kind with a real clamd cannot run here; `undefined` if they can. */
export function obstacle(kind: FilesystemKind): string | undefined {
  if (Deno.uid() !== 0) return "needs root, to mount a filesystem of its own";
  if (!mayMount()) return "needs CAP_SYS_ADMIN, to mount a filesystem of its own";
  if (!exists("/dev/loop-control")) return "needs loop devices";
  const missing = filesystemPrograms(kind).map(missingProgram).find((why) => why !== undefined);
  if (missing !== undefined) return missing;
  if (!kernelKnows(kind)) return `needs a kernel with ${kind}`;
  return undefined;
}

/** What a filesystem of this kind with a clamd beside it takes. */
export function filesystemPrograms(kind: FilesystemKind): string[] {
  return ["clamd", "losetup", `mkfs.${kind}`];
}

/** Why tests with this program of the list cannot run here; `undefined` if they can. */
export function missingProgram(program: string): string | undefined {
  const missing = missingPackages().find((entry) => entry.program === program);
  return missing === undefined ? undefined : `needs the package ${missing.name}: ${missing.why}`;
}

/** All obstacles, each once. */
export function obstacles(): string[] {
  return [...new Set(FILESYSTEM_KINDS.flatMap((kind) => obstacle(kind) ?? []))];
}

function mayMount(): boolean {
  const status = Deno.readTextFileSync("/proc/self/status");
  const mask = BigInt(`0x${/CapEff:\s*([0-9a-f]+)/.exec(status)?.[1] ?? "0"}`);
  return (mask & (1n << CAP_SYS_ADMIN)) !== 0n;
}

function kernelKnows(kind: FilesystemKind): boolean {
  if (Deno.readTextFileSync("/proc/filesystems").includes(`\t${kind}\n`)) return true;
  const loaded = new Deno.Command("modprobe", { args: [kind], stdout: "null", stderr: "null" });
  return hasProgram("modprobe") && loaded.outputSync().success;
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false; // not there
  }
}
