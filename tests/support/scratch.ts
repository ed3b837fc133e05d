/**
 * Where tests keep what must not stay behind. A test process owns one directory on disk and, if it asks, one
 * in memory, whose names tell the owner. Everything else is found from there: processes by a mark in
 * their environment, mounts and loop devices by their paths. So whatever a test that was killed left can be
 * removed by the next run, and nothing of a run that is still alive is touched.
 */

/** Set in every process that a test starts, to the path of its scratch directory. */
export const SCRATCH_VARIABLE = "VIRTIOFS_GATE_TEST";

const PREFIX = "virtiofs-gate-test-";
const MEMORY = "/dev/shm";

let own: { disk: string; memory: string } | undefined;
let nextNumber = 0;

/** This process's directory for everything that is to be removed at its end. */
export function scratchPath(): string {
  return ownPaths().disk;
}

/** A new directory, on disk or (`memory`) on a tmpfs if there is one. */
export function scratchDirectory(label: string, where: "disk" | "memory" = "disk"): string {
  const parent = where === "memory" && hasMemory() ? ownPaths().memory : ownPaths().disk;
  const path = `${parent}/${label}-${nextNumber++}`;
  Deno.mkdirSync(path, { recursive: true });
  return path;
}

function ownPaths(): { disk: string; memory: string } {
  if (own !== undefined) return own;
  const name = `${PREFIX}${Deno.pid}-${startTime(Deno.pid)}`;
  own = { disk: `${temporaryDirectory()}/${name}`, memory: `${MEMORY}/${name}` };
  Deno.mkdirSync(own.disk, { recursive: true });
  Deno.chmodSync(own.disk, 0o755);
  const paths = own;
  globalThis.addEventListener("unload", () => removeOwn([paths.disk, paths.memory]));
  return own;
}

/**
 * At the end of a test file. Where processes or mounts are left, tests have failed to clean up: then the
 * directories stay for the runner, which counts that as a failure, or for the next run.
 */
function removeOwn(paths: readonly string[]): void {
  if (leftovers(paths).length === 0) sweep(paths);
}

function temporaryDirectory(): string {
  return Deno.env.get("TMPDIR") ?? "/tmp";
}

/** A tmpfs of a useful size: containers often have one of 64 MiB only, which a mount flag does not show. */
function hasMemory(): boolean {
  const { stdout } = new Deno.Command("stat", { args: ["-f", "-c", "%T %a %S", MEMORY] })
    .outputSync();
  const [type, blocks, blockSize] = new TextDecoder().decode(stdout).trim().split(" ");
  return type === "tmpfs" && Number(blocks) * Number(blockSize) > 2 * 2 ** 30;
}

/** Field 22 of /proc/PID/stat: with it a process id is never taken for a later process's. */
function startTime(pid: number): string | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined; // no such process
  }
}

/** The scratch directories of a process, also one that has ended. */
export function scratchPathsOf(pid: number): string[] {
  return allScratch((name) => name.startsWith(`${PREFIX}${pid}-`));
}

/** Scratch directories whose owner has ended. */
export function abandonedScratch(): string[] {
  return allScratch((name) => {
    const [pid, started] = name.slice(PREFIX.length).split("-");
    return startTime(Number(pid)) !== started;
  });
}

function allScratch(chosen: (name: string) => boolean): string[] {
  return [temporaryDirectory(), MEMORY].flatMap((parent) =>
    listDirectory(parent)
      .filter((name) => name.startsWith(PREFIX) && chosen(name))
      .map((name) => `${parent}/${name}`)
  );
}

/** What still exists of these scratch directories, in words: processes, mounts, loop devices. */
export function leftovers(paths: readonly string[]): string[] {
  return [
    ...processesOf(paths).map((pid) => `process ${pid}: ${commandLine(pid)}`),
    ...mountsBelow(paths).map((path) => `mount ${path}`),
    ...loopDevicesOf(paths).map(({ device, image }) => `loop device ${device} on ${image}`),
  ];
}

/** Ends, unmounts, detaches and deletes everything that belongs to these scratch directories. */
export function sweep(paths: readonly string[]): void {
  for (const pid of processesOf(paths)) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
  for (let i = 0; i < 100 && processesOf(paths).length > 0; i++) sleep(20);
  for (const mount of mountsBelow(paths).reverse()) {
    if (!succeeds("umount", [mount])) succeeds("umount", ["-l", mount]);
  }
  for (const { device } of loopDevicesOf(paths)) succeeds("losetup", ["-d", device]);
  for (const path of paths) succeeds("rm", ["-rf", "--one-file-system", path]);
}

function processesOf(paths: readonly string[]): number[] {
  const marks = paths.map((path) => `${SCRATCH_VARIABLE}=${path}\0`);
  return listDirectory("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    if (pid === Deno.pid) return false;
    const environment = readText(`/proc/${pid}/environ`);
    return marks.some((mark) => environment.includes(mark));
  });
}

function mountsBelow(paths: readonly string[]): string[] {
  return readText("/proc/self/mountinfo").split("\n").flatMap((line) => {
    const mountPoint = line.split(" ")[4]?.replace(
      /\\([0-7]{3})/g,
      (_, octal: string) => String.fromCharCode(parseInt(octal, 8)),
    );
    return mountPoint !== undefined && paths.some((path) => mountPoint.startsWith(`${path}/`))
      ? [mountPoint]
      : [];
  });
}

function loopDevicesOf(paths: readonly string[]): { device: string; image: string }[] {
  return listDirectory("/sys/block").filter((name) => name.startsWith("loop")).flatMap((name) => {
    const image = readText(`/sys/block/${name}/loop/backing_file`).trim();
    return paths.some((path) => image.startsWith(`${path}/`))
      ? [{ device: `/dev/${name}`, image }]
      : [];
  });
}

function commandLine(pid: number): string {
  return readText(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
}

function listDirectory(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].map((entry) => entry.name);
  } catch {
    return []; // there is none, so it holds nothing
  }
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return ""; // gone meanwhile, or a kernel thread's
  }
}

function succeeds(command: string, args: string[]): boolean {
  return new Deno.Command(command, { args, stdout: "null", stderr: "null" }).outputSync().success;
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
