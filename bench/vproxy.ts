// deno-lint-ignore-file no-console -- to print is what a benchmark is for
/**
 * What clamd-vproxy costs: INSTREAM through it, beside the same client straight to the same clamd, in turns.
 *
 *     deno run -A bench/vproxy.ts [ROUNDS] [LANES]
 *
 * LANES connections at once for the small files (default 4: what one guest may have).
 */

import { Clamd } from "../tests/support/clamd.ts";
import { must } from "../tests/support/command.ts";
import { Daemon } from "../tests/support/daemon.ts";
import { scratchDirectory } from "../tests/support/scratch.ts";

interface Case {
  readonly name: string;
  readonly bytes: number;
  readonly files: number;
  readonly lanes: number;
  /** The ratio that is aimed at. */
  readonly bar: number;
}

const rounds = Number(Deno.args[0] ?? 5);
const lanes = Number(Deno.args[1] ?? 4);
const GIB = 1024 ** 3;

const CASES: readonly Case[] = [
  { name: "1 GiB", bytes: GIB, files: 1, lanes: 1, bar: 1.15 },
  { name: "10,000 x 4 KiB", bytes: 4096, files: 10_000, lanes, bar: 1.3 },
  { name: "10,000 x 4 KiB, one by one", bytes: 4096, files: 10_000, lanes: 1, bar: 1.3 },
];

const folder = scratchDirectory("bench", "memory");
const client = `${folder}/instream_client`;
const source = new URL("./reference/instream_client.c", import.meta.url).pathname;
await must("gcc", ["-O2", "-pthread", "-o", client, source]);
await using clamd = await Clamd.start({
  StreamMaxLength: "2000M",
  TemporaryDirectory: folder,
  LogClean: "no",
  MaxThreads: 12,
});
await using proxy = await Daemon.start("vproxy", [
  "--uds",
  `${folder}/vm`,
  "--clamd",
  clamd.socket,
  "--max-connections",
  "64",
  "--max-connections-per-guest",
  "64",
]);

let seed = 0;

/** Seconds. */
async function measure(socket: string, { bytes, files, lanes }: Case): Promise<number> {
  const args = [socket, bytes, files, lanes, ++seed].map(String);
  return Number(new TextDecoder().decode(await must(client, args)));
}

/** Processor time that the proxy has used, in seconds. */
function cpuSeconds(): number {
  const stat = Deno.readTextFileSync(`/proc/${proxy.pid}/stat`).split(") ")[1]?.split(" ") ?? [];
  return (Number(stat[11]) + Number(stat[12])) / 100;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

function spread(values: readonly number[], digits: number): string {
  return `${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)}`;
}

for (const one of CASES) {
  const direct: number[] = [];
  const proxied: number[] = [];
  await measure(`${folder}/vm_3400`, { ...one, files: Math.min(one.files, 2000) }); // warms up both
  const cpuBefore = cpuSeconds();
  for (let round = 0; round < rounds; round++) {
    direct.push(await measure(clamd.socket, one));
    proxied.push(await measure(`${folder}/vm_3400`, one));
  }
  const cpu = (cpuSeconds() - cpuBefore) / rounds;
  const ratios = proxied.map((seconds, round) => seconds / (direct[round] ?? NaN));
  console.log(
    `${one.name.padEnd(28)} clamd ${median(direct).toFixed(3)} s, through the proxy ` +
      `${median(proxied).toFixed(3)} s: ratio ${median(ratios).toFixed(2)} ` +
      `(${spread(ratios, 2)}; bar ${one.bar}); proxy's CPU ${cpu.toFixed(2)} s`,
  );
}
console.log(`memory of the proxy afterwards: ${proxy.memoryMiB().toFixed(0)} MiB`);
