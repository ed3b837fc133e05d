/**
 * The kernel refuses a system call while a channel starts, or makes its export again. It says that it cannot run and leaves nothing open, or it
 * runs: then everything arrives, and nothing is taken for deleted that is not.
 */

import { intercept, opensDescriptor, ownDescriptors } from "./support/libc_hook.ts"; // before everything that opens the C library
// @ts-types="../support/assert.d.ts"
import { assertEquals, assertThrows } from "@std/assert";
import { fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { ERRNO } from "../../ffi/errno.ts";
import { closingFiles } from "../../ffi/file_descriptor.ts";
import { nextTurn, Reactor } from "../../ffi/reactor.ts";
import { Channel } from "../../src/gate/channel.ts";
import { parseConfiguration } from "../../src/gate/config/configuration.ts";
import { FileIndex } from "../../src/gate/file_index.ts";
import { LayoutFault } from "../../src/gate/layout_fault.ts";
import { RecoveryJournal } from "../../src/gate/recovery_journal.ts";
import { nameOfTaken } from "../../src/gate/recovery_name.ts";
import { logger } from "../../src/logging/logging.ts";
import { NoScanner } from "../../src/scanning/no_scanner.ts";
import { Scheduler } from "../../src/scheduling/scheduler.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { LoopFilesystem } from "../support/loop_filesystem.ts";
import { NIGHTLY } from "../support/size.ts";
import { waitFor } from "../support/wait.ts";
import { GuestTree } from "./support/guest_tree.ts";
import { report } from "./support/size.ts";

const PATIENCE_MS = 12_000;

/** Pauses before something is tried again are cut short. */
const LONGEST_PAUSE_MS = 300;

async function impatiently(what: () => Promise<void>): Promise<void> {
  const { setTimeout } = globalThis;
  const soon = (callback: () => void, delayMs: number) =>
    setTimeout(callback, Math.min(delayMs, LONGEST_PAUSE_MS));
  Object.assign(globalThis, { setTimeout: soon });
  try {
    await what();
  } finally {
    Object.assign(globalThis, { setTimeout });
  }
}

/** Not refused: the machinery of this process, and what has no good reason to fail. */
const NEVER: ReadonlySet<string> = new Set(["close", "epoll_wait", "timerfd_settime", "write"]);

/** What happens to a channel's shares while it does not run, and what is everywhere at the end. */
interface Absence {
  readonly happens: (base: string) => void;
  readonly ends: readonly string[];
}

const ABSENCES: Readonly<Record<string, Absence>> = {
  "files come, go, and are left in recovery": {
    happens(base) {
      Deno.removeSync(`${base}/share/ann/a`);
      Deno.writeTextFileSync(`${base}/share/bob/d/new`, "new");
      takeOut(base, "d/b");
    },
    ends: ["d", "d/b", "d/new"],
  },
  "a share is emptied": {
    happens(base) {
      Deno.removeSync(`${base}/share/bob`, { recursive: true });
      Deno.mkdirSync(`${base}/share/bob`);
    },
    ends: ["a", "d", "d/b"],
  },
};

/** As if the daemon had died when it had taken a newer version out of ann's share than the one that it knew. */
function takeOut(base: string, path: string): void {
  using directory = Directory.openTrusted(fromText(`${base}/.virtiofs-gate/recovery`));
  const journal = new RecoveryJournal(directory);
  const name = nameOfTaken(1, { expected: { inode: 1, size: 1, mtimeNs: 1n }, clone: 0 });
  journal.rewrite([{
    replica: fromText("share/ann"),
    producer: fileName("ann"),
    path: fromText(path) as RelativePath,
    name,
  }]);
  journal.close();
  Deno.renameSync(`${base}/share/ann/${path}`, `${base}/.virtiofs-gate/recovery/${name}`);
}

/** A channel that runs in this process. */
class Running {
  readonly #reactor = new Reactor();
  /** No work is done before `settles`: what fails then, `refused_calls_test.ts` tries. */
  readonly #scheduler = new Scheduler({
    places: () => this.#mayWork ? 4 : 0,
    quick: () => this.#mayWork ? 4 : 0,
  });
  #mayWork = false;
  #channel: Channel | undefined;

  constructor(private readonly base: string) {}

  /** Throws where it cannot run. */
  async start(): Promise<void> {
    const text = JSON.stringify({
      docs: {
        basePath: this.base,
        producers: ["ann", "bob"],
        debounceMs: 1,
        scanning: { enable: false },
      },
    });
    const [config] = parseConfiguration(text, { unknownKeys: "fault" }).channels;
    if (config === undefined) throw new Error("the configuration has faults");
    this.#channel = new Channel({
      config,
      reactor: this.#reactor,
      scheduler: this.#scheduler,
      scanner: new NoScanner(),
      log: logger("test"),
      onChange: () => {},
    });
    await this.#channel.start(() => {});
  }

  async settles(ends: readonly string[]): Promise<void> {
    this.#mayWork = true;
    this.#scheduler.wake();
    const trees = ["share/ann", "share/bob", "export"].map((path) =>
      new GuestTree(`${this.base}/${path}`)
    );
    const state = () => trees.map((tree) => [...tree.contents().keys()].sort().join(","));
    const isSettled = () => state().every((paths) => paths === ends.join(","));
    await waitFor(
      () => `${ends.join(",")}; there is ${state().join(" | ")}`,
      isSettled,
      PATIENCE_MS,
    );
  }

  async stop(): Promise<void> {
    const reading = this.#channel?.stop();
    await this.#scheduler.stop();
    await reading;
    this.#channel?.close({ processEnds: false });
    await this.#reactor.stop();
    this.#reactor[Symbol.dispose]();
    while (closingFiles() > 0) await nextTurn();
  }
}

/** Fails call number `from` of a start; the calls that were made. */
async function startRefused(running: Running, from: number, errno: number): Promise<string[]> {
  const calls: string[] = [];
  intercept({
    before(name, args) {
      if (NEVER.has(name)) return undefined;
      if (errno === ERRNO.EMFILE && !opensDescriptor(name, args)) return undefined;
      return calls.push(name) - 1 === from ? errno : undefined;
    },
  });
  try {
    await running.start();
  } finally {
    intercept(undefined);
  }
  return calls;
}

/** Ann has two files, which everybody has got. */
async function prepare(base: string): Promise<Running> {
  const running = new Running(base);
  Deno.mkdirSync(`${base}/share/bob`, { recursive: true });
  Deno.mkdirSync(`${base}/share/ann/d`, { recursive: true });
  for (const path of ["a", "d/b"]) Deno.writeTextFileSync(`${base}/share/ann/${path}`, path);
  await running.start();
  await running.settles(["a", "d", "d/b"]);
  return running;
}

async function play(
  base: string,
  { happens, ends }: Absence,
  from: number,
  errno: number,
): Promise<readonly string[]> {
  const prepared = await prepare(base);
  await prepared.stop();
  happens(base);

  const before = new Set(ownDescriptors());
  let calls: string[] = [];
  let running = new Running(base);
  try {
    calls = await startRefused(running, from, errno);
  } catch (error) {
    if (!(error instanceof LayoutFault)) {
      await running.stop();
      throw error;
    }
    await running.stop();
    const left = ownDescriptors().difference(before).size;
    if (left > 0) throw new Error(`${left} descriptors stay open where it cannot run`);
    running = new Running(base);
    await running.start();
  }
  await running.settles(ends).finally(() => running.stop());
  const left = ownDescriptors().difference(before).size;
  if (left > 0) throw new Error(`${left} descriptors stay open`);
  return calls;
}

const ERRNOS = { EIO: ERRNO.EIO, EMFILE: ERRNO.EMFILE } as const;

testOnEachFilesystem(
  "I3, I6: a channel of whose start a call fails says so, or runs as if nothing had been; nothing stays open",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind);
    const faults: string[] = [];
    let cases = 0;
    for (const [what, absence] of Object.entries(ABSENCES)) {
      for (const [name, errno] of Object.entries(ERRNOS)) {
        const place = () => `${filesystem.path}/base-${cases++}`;
        const calls = await play(place(), absence, Infinity, errno);
        for (const [from, call] of calls.entries()) {
          if (!NIGHTLY && (from + calls.length) % 12 !== (kind === "xfs" ? 6 : 0)) continue;
          const one = () => play(place(), absence, from, errno).then(() => {});
          await impatiently(one).catch((error) => {
            faults.push(`${what}; ${name} of ${call} (${from}): ${error.message}`);
          });
        }
      }
    }
    report(`starts on ${kind}: ${cases} cases, ${faults.length} faults`, faults);
    assertEquals(faults.slice(0, 20), [], `${faults.length} faults in ${cases} cases`);
  },
);

Deno.test({
  name: "I3: an index that no descriptor is left for is not taken for damaged",
  permissions: { read: false, write: false }, // as the gate has them: only the doorway leads there
  fn() {
    intercept({ before: (name) => name === "openat" ? ERRNO.EMFILE : undefined });
    try {
      assertThrows(() => FileIndex.open("/nowhere/index.sqlite", () => {}), LayoutFault);
    } finally {
      intercept(undefined);
    }
  },
});

testOnEachFilesystem(
  "I6: an export that is made again and cannot be looked at is opened once more, and nothing stays open",
  async (kind) => {
    await using filesystem = await LoopFilesystem.create(kind);
    const base = `${filesystem.path}/base`;
    const running = await prepare(base);
    const before = ownDescriptors().size;
    for (const refused of [2, 3]) { // looks at the one that is open by then
      let looks = -1; // none counts before the directory is made
      intercept({
        before(name) {
          if (name === "mkdirat" && looks < 0) looks = 0;
          return name === "statx" && looks >= 0 && looks++ === refused ? ERRNO.EIO : undefined;
        },
      });
      Deno.renameSync(`${base}/export`, `${base}/export-${refused}`);
      Deno.mkdirSync(`${base}/export`);
      await running.settles(["a", "d", "d/b"]).finally(() => intercept(undefined));
    }
    assertEquals(ownDescriptors().size, before);
    await running.stop();
  },
);
