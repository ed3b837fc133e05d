/** How fast the guest's client scans what arrives. */

import { Clamd } from "../../tests/support/clamd.ts";
import { scratchDirectory } from "../../tests/support/scratch.ts";
import { sleep } from "../../tests/support/wait.ts";
import { type Case, type Effort, type Figure, type Runtime, runtimesOf, sized } from "../case.ts";
import { DaemonProcess } from "../daemon_process.ts";
import { smallFiles, write } from "../guest.ts";
import { inRounds, warmUp } from "../rounds.ts";
import { secondsOf } from "../timed.ts";

/** As many as the client's default, for both. */
const THREADS = 4;
const PATIENCE_MS = 120_000;
const LOOK_MS = 4;

async function run(effort: Effort): Promise<readonly Figure[]> {
  const count = sized(effort, { full: 5000, quick: 2000, smoke: 100 });
  await using stack = new AsyncDisposableStack();
  const clamd = stack.use(await Clamd.start({ LogClean: "yes", MaxThreads: THREADS }));
  const folder = scratchDirectory("vclient", "memory");
  const watched = (runtime: Runtime) => `${folder}/${runtime}`;
  const clients = new Map<Runtime, DaemonProcess>();
  for (const runtime of runtimesOf(effort)) {
    Deno.mkdirSync(watched(runtime));
    const args = ["--watch", watched(runtime), "--socket", "--clamd-socket", clamd.socket];
    const client = DaemonProcess.start({ program: "vclient", args, runtime });
    clients.set(runtime, stack.use(await client));
  }
  const log = new ScanCounter(`${clamd.folder}/clamd.log`);
  const contest = {
    reference: async () => {
      const tree = await write(folder, smallFiles(count));
      const config = `--config-file=${clamd.configuration}`;
      const all = await secondsOf("clamdscan", [
        config,
        "--multiscan",
        "--stream",
        "--quiet",
        tree,
      ]);
      Deno.removeSync(tree, { recursive: true });
      return { all };
    },
    ours: async (runtime: Runtime) => {
      const tree = await write(folder, smallFiles(count));
      const target = `${watched(runtime)}/tree`;
      log.scans();
      const begin = performance.now();
      Deno.renameSync(tree, target);
      for (let scans = 0; scans < count;) {
        await sleep(LOOK_MS);
        scans += log.scans();
        if (performance.now() - begin > PATIENCE_MS) {
          throw new Error(`${scans} of ${count} scanned:\n${clients.get(runtime)?.log}`);
        }
      }
      const all = (performance.now() - begin) / 1000;
      Deno.removeSync(target, { recursive: true });
      return { all };
    },
  };
  await warmUp(effort, contest);
  const measured = await inRounds(effort, contest);
  const memory = (runtime: Runtime) => [clients.get(runtime)?.memoryMiB() ?? []].flat();
  return [
    measured.figure("all", { title: "", unit: "s", bar: { ratio: 1.3 } }),
    {
      title: "RSS afterwards",
      unit: "MiB",
      ours: memory("jit"),
      reference: [],
      jitless: memory("jitless"),
      bar: {},
    },
  ];
}

/** Counts the clean verdicts in clamd's log, reading only what is new. */
class ScanCounter {
  #read = 0;

  constructor(private readonly path: string) {}

  /** Since it was last asked. */
  scans(): number {
    using file = Deno.openSync(this.path);
    file.seekSync(this.#read, Deno.SeekMode.Start);
    const bytes = new Uint8Array(Math.max(0, file.statSync().size - this.#read));
    const text = new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    this.#read += new TextEncoder().encode(whole).length;
    return whole.match(/: OK$/gm)?.length ?? 0;
  }
}

export const vclient: Case = {
  name: "vclient",
  title: "vclient, 5,000 files",
  how:
    "4 KiB files, moved into the watched directory, until clamd has scanned the last one, the wait for " +
    "quiet included, beside clamdscan --multiscan --stream over as many others; clamd has 4 threads",
  run,
};
