/**
 * The kernel refuses system calls of a watcher: each of them alone, and each with what follows for a while.
 * Afterwards every change is told again, and nothing stays open.
 */

import { intercept, mayFail, opensDescriptor, ownDescriptors } from "./support/libc_hook.ts"; // before everything that opens the C library
// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { ERRNO } from "../../ffi/errno.ts";
import { statusOf } from "../../ffi/file_status.ts";
import { RENAME_EXCHANGE } from "../../ffi/platform.ts";
import { Reactor } from "../../ffi/reactor.ts";
import type { RereadReason } from "../../src/watching/watcher.ts";
import { NIGHTLY } from "../support/size.ts";
import { waitFor } from "../support/wait.ts";
import { WatchedTree } from "../support/watched_tree.ts";
import { report } from "./support/size.ts";

const INTERVALS = { missingRootMs: 10, presentRootMs: 20, pollMs: 20 };
const DEBOUNCE_MS = 2;
/** For what takes some tens of milliseconds. */
const PATIENCE_MS = 10_000;

/** Not refused: the machinery of this process, closing, and what has no good reason to fail. */
const NEVER: ReadonlySet<string> = new Set([
  "close",
  "epoll_wait",
  "inotify_rm_watch",
  "timerfd_settime",
  "write",
]);

/** What a test makes of what it is told is no call of the watcher's. */
let isWatchersOwn = true;

function apart<T>(what: () => T): T {
  const before = isWatchersOwn;
  isWatchersOwn = false;
  try {
    return what();
  } finally {
    isWatchersOwn = before;
  }
}

class SpiedTree extends WatchedTree {
  override changed(path: RelativePath): void {
    apart(() => super.changed(path));
  }
  override reread(directory: RelativePath, reason: RereadReason): void {
    apart(() => super.reread(directory, reason));
  }
  override rootFound(root: Directory): void {
    apart(() => super.rootFound(root));
  }
  override rootLost(): void {
    apart(() => super.rootLost());
  }
}

interface Action {
  readonly prepare?: (tree: WatchedTree) => void;
  /** What the watcher has to follow; nothing: to begin with. */
  readonly act?: (tree: WatchedTree) => void;
}

function makeTree(tree: WatchedTree): void {
  tree.mkdir("a/b/c");
  tree.mkdir("d");
  tree.write("a/b/file");
}

const ACTIONS: Readonly<Record<string, Action>> = {
  "it begins": { prepare: makeTree },
  "directories are made": { act: makeTree },
  "a directory is renamed": {
    prepare: makeTree,
    act: (tree) => Deno.renameSync(tree.inside("a/b"), tree.inside("d/b")),
  },
  "a tree is moved in": {
    prepare: (tree) => Deno.mkdirSync(tree.outside("new/below"), { recursive: true }),
    act: (tree) => Deno.renameSync(tree.outside("new"), tree.inside("new")),
  },
  "a directory is replaced": {
    prepare: makeTree,
    act: (tree) => {
      Deno.removeSync(tree.inside("a"), { recursive: true });
      tree.mkdir("a/e/f");
    },
  },
  "the root is replaced": {
    prepare: (tree) => {
      makeTree(tree);
      Deno.mkdirSync(tree.outside("other/a"), { recursive: true });
    },
    act: (tree) => {
      using base = Directory.openTrusted(fromText(tree.base));
      using outside = Directory.openTrusted(fromText(tree.outside()));
      base.rename(fileName("inside"), outside, fileName("other"), RENAME_EXCHANGE);
    },
  },
};

interface Refusal {
  readonly errno: number;
  /** How long all further ones fail as well. */
  readonly forMs: number;
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  "a call fails": { errno: ERRNO.EIO, forMs: 0 },
  "there is no memory for a call": { errno: ERRNO.ENOMEM, forMs: 0 },
  "a descriptor is missing": { errno: ERRNO.EMFILE, forMs: 0 },
  "no descriptors for a while": { errno: ERRNO.EMFILE, forMs: 50 },
};

/** Lets the watcher's calls fail from number `from` on. */
class Interference {
  readonly calls: string[] = [];
  #endsAt = Infinity;

  constructor(private readonly from: number, private readonly refusal: Refusal) {
    intercept({ before: (name, args) => this.#before(name, args) });
  }

  #before(name: string, args: readonly unknown[]): number | undefined {
    const { errno, forMs } = this.refusal;
    if (!isWatchersOwn || !mayFail(name, args, NEVER)) return undefined;
    if (errno === ERRNO.EMFILE && !opensDescriptor(name, args)) return undefined;
    const now = performance.now();
    const at = this.calls.push(name) - 1;
    if (at === this.from) this.#endsAt = now + forMs;
    return at === this.from || (at > this.from && now < this.#endsAt) ? errno : undefined;
  }

  get isOver(): boolean {
    return performance.now() >= this.#endsAt;
  }
}

/** Everything is known, and all directories are watched. */
async function rests(tree: WatchedTree): Promise<void> {
  const isAtRest = () =>
    tree.root !== undefined && statusOf(tree.root).inode === Deno.statSync(tree.inside()).ino &&
    tree.watcher.pending === 0 && tree.watcher.watched === tree.directories().length &&
    tree.differences().length === 0;
  const state = () =>
    `${tree.watcher.watched} are watched; ${tree.root && tree.differences().join("; ")}`;
  await waitFor(() => apart(state), () => apart(isAtRest), PATIENCE_MS);
}

async function begins(tree: WatchedTree): Promise<void> {
  let hasBegun = false;
  tree.watcher.start().then(() => hasBegun = true);
  await waitFor("a beginning", () => hasBegun, PATIENCE_MS);
}

/** One action, of which call number `from` is refused; the calls that were made. */
async function play(
  reactor: Reactor,
  { prepare, act }: Action,
  from: number,
  refusal: Refusal,
): Promise<readonly string[]> {
  const before = new Set(ownDescriptors());
  let calls: readonly string[] = [];
  try {
    await using tree = new SpiedTree({ intervals: INTERVALS, debounceMs: DEBOUNCE_MS }, reactor);
    prepare?.(tree);
    if (act !== undefined) {
      await tree.watcher.start();
      await rests(tree);
    }
    const interference = new Interference(from, refusal);
    calls = interference.calls;
    if (act === undefined) await begins(tree);
    else apart(() => act(tree));
    await waitFor("the refusal", () => interference.isOver || from === Infinity, PATIENCE_MS);
    await rests(tree);
    intercept(undefined);
    for (const directory of apart(() => tree.directories())) tree.write(`${directory}/probe`);
    await rests(tree);
  } finally {
    intercept(undefined);
  }
  const left = ownDescriptors().difference(before).size;
  if (left > 0) throw new Error(`${left} descriptors stay open`);
  return calls;
}

/** A share that is at rest makes calls too, to look at its root. */
const MOST_CALLS = 60;

for (const [name, refusal] of Object.entries(REFUSALS)) {
  Deno.test(`I3, I6: ${name} while a tree is watched: every later change is told, nothing stays open`, async () => {
    const reactor = new Reactor();
    const faults: string[] = [];
    let cases = 0;
    for (const [what, action] of Object.entries(ACTIONS)) {
      const calls = await play(reactor, action, Infinity, refusal);
      for (const [from, call] of calls.slice(0, MOST_CALLS).entries()) {
        if (!NIGHTLY && (from + calls.length) % 4 !== 0) continue;
        cases++;
        await play(reactor, action, from, refusal).catch((error) => {
          faults.push(`${what}; ${call} (${from}): ${error.message}`);
        });
      }
    }
    await reactor.stop();
    reactor[Symbol.dispose]();
    report(`${name}: ${cases} cases, ${faults.length} faults`, faults);
    assertEquals(faults.slice(0, 20), [], `${faults.length} faults in ${cases} cases`);
  });
}

for (const [call, limit] of [["timerfd_create", "files"], ["inotify_init1", "instances"]]) {
  Deno.test(`I6: where ${call} finds a limit reached, the log tells which one to raise`, async () => {
    await using tree = new WatchedTree();
    intercept({ before: (name) => name === call ? ERRNO.EMFILE : undefined });
    try {
      await tree.watcher.start();
    } finally {
      intercept(undefined);
    }
    const [told = ""] = tree.troubles;
    assertEquals(told.includes("LimitNOFILE"), true, told);
    assertEquals(told.includes("fs.inotify.max_user_instances"), limit === "instances", told);
  });
}
