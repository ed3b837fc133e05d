// deno-lint-ignore-file no-console -- to print is what a benchmark is for
/**
 * How fast the guest's client is: 5,000 files of 4 KiB are moved into a watched directory, and the time until all of
 * them are scanned (the wait for quiet included) stands beside `clamdscan --multiscan --stream` over as many files
 * with the same kind of content, in turns, against the same clamd.
 *
 *     deno run -A bench/vclient.ts [FILES] [ROUNDS]
 */

import { fromText } from "../ffi/byte_string.ts";
import { Reactor } from "../ffi/reactor.ts";
import { logger } from "../src/logging/logging.ts";
import { StreamScanner } from "../src/scanning/stream_scanner.ts";
import { UserNotifier } from "../src/user_notification/user_notifier.ts";
import { Client } from "../src/vclient/client.ts";
import { leaving } from "../src/vclient/disposal.ts";
import { Clamd } from "../tests/support/clamd.ts";
import { scratchDirectory } from "../tests/support/scratch.ts";
import { waitFor } from "../tests/support/wait.ts";

const FILE_SIZE = 4096;
const FILES_A_DIRECTORY = 100;
/** As many as the client's default, for both. */
const CONCURRENCY = 4;

const files = Number(Deno.args[0] ?? 5_000);
const rounds = Number(Deno.args[1] ?? 5);

/** A tree of files that clamd has not seen: it remembers what was clean. */
function makeTree(path: string): void {
  for (let i = 0; i < files; i++) {
    const directory = `${path}/${Math.floor(i / FILES_A_DIRECTORY)}`;
    if (i % FILES_A_DIRECTORY === 0) Deno.mkdirSync(directory, { recursive: true });
    Deno.writeFileSync(`${directory}/${i}`, crypto.getRandomValues(new Uint8Array(FILE_SIZE)));
  }
}

/** Seconds until everything that is moved into the watched directory is scanned. */
async function ourScans(client: Client, tree: string, target: string): Promise<number> {
  const before = client.scanned;
  const begin = performance.now();
  Deno.renameSync(tree, target);
  await waitFor("all are scanned", () => client.scanned >= before + files);
  return (performance.now() - begin) / 1000;
}

/** Seconds that clamdscan takes. */
async function clamdscan(clamd: Clamd, tree: string): Promise<number> {
  const command = new Deno.Command("clamdscan", {
    args: [`--config-file=${clamd.configuration}`, "--multiscan", "--stream", "--quiet", tree],
  });
  const begin = performance.now();
  const { success } = await command.output();
  if (!success) throw new Error("clamdscan failed");
  return (performance.now() - begin) / 1000;
}

function report(name: string, seconds: number[]): number {
  const sorted = seconds.toSorted((a, b) => a - b);
  const median = sorted[sorted.length >> 1] ?? NaN;
  const each = (value: number) => (value / files * 1e6).toFixed(1);
  console.log(
    `${name.padEnd(13)} ${(files / median).toFixed(0).padStart(6)} files/s  ` +
      `${each(median)} µs a file (median of ${rounds}; ${each(sorted[0] ?? NaN)} to ` +
      `${each(sorted.at(-1) ?? NaN)})`,
  );
  return median;
}

await using clamd = await Clamd.start({ LogClean: "no", MaxThreads: CONCURRENCY });
const folder = scratchDirectory("vclient-bench", "memory");
const watched = `${folder}/watched`;
Deno.mkdirSync(watched);
const reactor = new Reactor();
const onTrouble = (message: string) => console.error(message);
const client = new Client({
  trees: [{ path: fromText(watched), excludes: [] }],
  scanner: new StreamScanner({
    reactor,
    address: { family: "unix", path: clamd.socket },
    concurrency: CONCURRENCY,
    onTrouble,
  }),
  disposal: leaving,
  user: new UserNotifier(reactor, `${folder}/nobody`, onTrouble),
  reactor,
  log: logger("bench"),
});
await client.start(() => {});

const ours: number[] = [];
const theirs: number[] = [];
for (let round = 0; round < rounds; round++) {
  const [first, second] = [`${folder}/first`, `${folder}/second`];
  makeTree(first);
  theirs.push(await clamdscan(clamd, first));
  Deno.removeSync(first, { recursive: true });
  makeTree(second);
  ours.push(await ourScans(client, second, `${watched}/${round}`));
  Deno.removeSync(`${watched}/${round}`, { recursive: true });
}
const ratio = report("clamd-vclient", ours) / report("clamdscan", theirs);
console.log(`ratio         ${ratio.toFixed(2)}`);
console.log(`memory        ${(Deno.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB`);

await client.finish();
client[Symbol.dispose]();
await reactor.stop();
