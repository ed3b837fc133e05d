/** What clamd-vproxy costs: INSTREAM through it, and straight to the same clamd. */

import { Clamd } from "../../tests/support/clamd.ts";
import { scratchDirectory } from "../../tests/support/scratch.ts";
import { type Case, type Effort, type Figure, type Runtime, runtimesOf, sized } from "../case.ts";
import { DaemonProcess } from "../daemon_process.ts";
import { build, nextSeed, numbersOf } from "../reference.ts";
import { inRounds, warmUp } from "../rounds.ts";

interface Load {
  readonly title: string;
  readonly bytes: number;
  readonly files: number;
  /** Connections at a time. */
  readonly lanes: number;
  readonly bar: { readonly ratio?: number };
}

/** What one guest may have by default. */
const LANES = 4;
const PORT = 3400;

function startProxy(runtime: Runtime, uds: string, clamd: Clamd): Promise<DaemonProcess> {
  const args = ["--uds", uds, "--port", `${PORT}`, "--clamd", clamd.socket];
  return DaemonProcess.start({ program: "vproxy", args, runtime });
}

async function run(effort: Effort): Promise<readonly Figure[]> {
  const client = await build("instream_client");
  const folder = scratchDirectory("vproxy", "memory");
  await using stack = new AsyncDisposableStack();
  const clamd = stack.use(
    await Clamd.start({
      StreamMaxLength: "2000M",
      TemporaryDirectory: folder,
      LogClean: "no",
      MaxThreads: 12,
    }),
  );
  const proxies = new Map<Runtime, DaemonProcess>();
  for (const runtime of runtimesOf(effort)) {
    proxies.set(runtime, stack.use(await startProxy(runtime, `${folder}/${runtime}`, clamd)));
  }
  const large = sized(effort, { full: 2 ** 30, quick: 2 ** 28, smoke: 2 ** 22 });
  const count = sized(effort, { full: 10_000, quick: 3000, smoke: 100 });
  const loads: readonly Load[] = [
    { title: "1 GiB", bytes: large, files: 1, lanes: 1, bar: { ratio: 1.15 } },
    { title: "10,000 × 4 KiB", bytes: 4096, files: count, lanes: LANES, bar: { ratio: 1.3 } },
    { title: "10,000 × 4 KiB, one by one", bytes: 4096, files: count, lanes: 1, bar: {} },
  ];
  const figures: Figure[] = [];
  for (const { title, bytes, files, lanes, bar } of loads) {
    effort.say(title);
    const seconds = async (socket: string) => {
      const [all = NaN] = await numbersOf(client, [socket, bytes, files, lanes, nextSeed()]);
      return { all };
    };
    const contest = {
      reference: () => seconds(clamd.socket),
      ours: (runtime: Runtime) => seconds(`${folder}/${runtime}_${PORT}`),
    };
    await warmUp(effort, contest);
    figures.push((await inRounds(effort, contest)).figure("all", { title, unit: "s", bar }));
  }
  const memory = (runtime: Runtime) => proxies.get(runtime)?.memoryMiB() ?? [];
  figures.push({
    title: "RSS afterwards",
    unit: "MiB",
    ours: [memory("jit")].flat(),
    reference: [],
    jitless: [memory("jitless")].flat(),
    bar: {},
  });
  return figures;
}

export const vproxy: Case = {
  name: "vproxy",
  title: "vproxy, INSTREAM",
  how:
    "the same client through clamd-vproxy and straight to clamd; 4 connections at a time for the " +
    "small files, which is what one guest may have",
  run,
};
