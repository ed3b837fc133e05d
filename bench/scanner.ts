// deno-lint-ignore-file no-console -- to print is what a benchmark is for
/**
 * How fast the scanner is: 10,000 unnamed files of 4 KiB by FILDES, beside `clamdscan --multiscan --fdpass` over as
 * many named files with the same kind of content, in turns, against the same clamd.
 *
 *     deno run -A bench/scanner.ts [FILES] [ROUNDS]
 */

import { fromText } from "../ffi/byte_string.ts";
import type { Descriptor } from "../ffi/descriptor.ts";
import { Directory } from "../ffi/directory.ts";
import { writeAll } from "../ffi/file_content.ts";
import { Reactor } from "../ffi/reactor.ts";
import { ClamdScanner } from "../src/scanning/clamd.ts";
import { Clamd } from "../tests/support/clamd.ts";
import { scratchDirectory } from "../tests/support/scratch.ts";
import { median } from "./statistics.ts";

const FILE_SIZE = 4096;
/** Unnamed files that are open at once. */
const BATCH = 5000;

const files = Number(Deno.args[0] ?? 10_000);
const rounds = Number(Deno.args[1] ?? 5);

/** Content that clamd has not seen: it remembers what was clean. */
function freshContent(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FILE_SIZE);
  return crypto.getRandomValues(bytes);
}

/** Seconds that `files` scans take; making the files is not counted. */
async function ourScans(scanner: ClamdScanner, directory: Directory): Promise<number> {
  let seconds = 0;
  for (let done = 0; done < files; done += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, files - done) }, () => {
      const file = directory.createUnnamed();
      writeAll(file, freshContent());
      return file;
    });
    const begin = performance.now();
    await scanAll(scanner, batch);
    seconds += (performance.now() - begin) / 1000;
    for (const file of batch) file.close();
  }
  return seconds;
}

/** As the gate does: as many in flight as the scanner wants, the next as soon as one has its verdict. */
async function scanAll(scanner: ClamdScanner, batch: readonly Descriptor[]): Promise<void> {
  let next = 0;
  const lane = async () => {
    for (let file = batch[next++]; file !== undefined; file = batch[next++]) {
      const verdict = await scanner.scan(file, FILE_SIZE);
      if (verdict.kind !== "clean") throw new Error(`unexpected: ${JSON.stringify(verdict)}`);
    }
  };
  await Promise.all(Array.from({ length: scanner.concurrency }, lane));
}

/** Seconds that clamdscan takes for as many files in one directory. */
async function clamdscan(clamd: Clamd, folder: string): Promise<number> {
  for (let i = 0; i < files; i++) Deno.writeFileSync(`${folder}/${i}`, freshContent());
  const command = new Deno.Command("clamdscan", {
    args: [`--config-file=${clamd.configuration}`, "--multiscan", "--fdpass", "--quiet", folder],
  });
  const begin = performance.now();
  const { success } = await command.output();
  if (!success) throw new Error("clamdscan failed");
  return (performance.now() - begin) / 1000;
}

function report(name: string, seconds: readonly number[]): void {
  const each = (value: number) => (value / files * 1e6).toFixed(1);
  console.log(
    `${name.padEnd(12)} ${(files / median(seconds)).toFixed(0).padStart(6)} files/s  ` +
      `${each(median(seconds))} µs a file (median of ${rounds}; ` +
      `${each(Math.min(...seconds))} to ${each(Math.max(...seconds))})`,
  );
}

await using clamd = await Clamd.start({ LogClean: "no", MaxThreads: 10 });
const folder = scratchDirectory("scanner-bench", "memory");
const reactor = new Reactor();
const scanner = new ClamdScanner({
  reactor,
  socket: clamd.socket,
  onTrouble: (message) => console.error(message),
});
console.log(JSON.stringify(await scanner.check()), `${scanner.concurrency} in flight`);

const ours: number[] = [];
const theirs: number[] = [];
using directory = Directory.openTrusted(fromText(folder));
for (let round = 0; round < rounds; round++) {
  const named = `${folder}/${round}`;
  Deno.mkdirSync(named);
  theirs.push(await clamdscan(clamd, named));
  Deno.removeSync(named, { recursive: true });
  ours.push(await ourScans(scanner, directory));
}
report("scanner", ours);
report("clamdscan", theirs);
// Each pair ran side by side: the median of their ratios suffers least from what else the machine did.
const ratios = ours.map((seconds, i) => seconds / (theirs[i] ?? NaN));
console.log(
  `ratio        ${median(ratios).toFixed(2)} (${ratios.map((r) => r.toFixed(2)).join(", ")})`,
);

scanner.close();
await reactor.stop();
