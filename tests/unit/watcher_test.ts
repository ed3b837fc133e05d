/** The inotify watcher on real directories: everything that happens below the root is told, and nothing else. */

// @ts-types="../support/assert.d.ts"
import { assert, assertArrayIncludes, assertEquals, assertMatch } from "@std/assert";
import {
  type ByteString,
  fileName,
  fromText,
  type RelativePath,
  toBytes,
} from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { RENAME_EXCHANGE } from "../../ffi/platform.ts";
import { nextTurn, Reactor } from "../../ffi/reactor.ts";
import { must } from "../support/command.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { DEBOUNCE_MS, WatchedTree } from "../support/watched_tree.ts";

const QUICK = { missingRootMs: 30, presentRootMs: 60, pollMs: 60 };

/** Whoever looked at everything that was told, when it was told, knows all that there is (I3). */
function assertNothingMissed(tree: WatchedTree): void {
  assertEquals(tree.differences(), []);
}

/** Each directory tells what happens in it, and there is no watch on anything else. */
async function assertAllWatched(tree: WatchedTree): Promise<void> {
  const directories = tree.directories();
  assertEquals(tree.watcher.watched, directories.length);
  for (const directory of directories) tree.write(`${directory}/probe`);
  await tree.hears(...directories.map((path) => `changed ${path}${path && "/"}probe`));
}

Deno.test("a file is told once, when it has been quiet for the debounce time", async () => {
  await using tree = await WatchedTree.start();
  for (let i = 0; i < 5; i++) tree.write("file", `version ${i}`);
  await tree.hears("changed file");
  await tree.quiet();
  assertEquals(tree.take(), ["found", "changed file"]);
  assertNothingMissed(tree);
});

Deno.test("of a file that waits alone it is said mostly that it will be told, before it is", async () => {
  await using tree = await WatchedTree.start();
  await waitFor("it is said", async () => {
    tree.forewarned.length = 0;
    tree.take();
    tree.write("file");
    await tree.hears("changed file");
    return tree.forewarned.length > 0; // a busy machine is late
  });
  assertEquals(tree.forewarned, ["file"]);
  tree.forewarned.length = 0;
  tree.write("file");
  tree.write("other");
  await tree.hears("changed file", "changed other");
  assert(!tree.forewarned.includes(fromText("file")), "another one was waiting");
});

Deno.test("what the sink expects is told, and keeps nothing from waiting alone", async () => {
  await using tree = await WatchedTree.start();
  tree.expected.add(fromText("expected") as RelativePath);
  await waitFor("it is said", async () => {
    tree.forewarned.length = 0;
    tree.take();
    tree.write("expected");
    tree.write("file");
    await tree.hears("changed file", "changed expected");
    return tree.forewarned.length > 0; // a busy machine is late
  });
  assertEquals(tree.forewarned, ["file"]);
});

Deno.test("each way to change a file is told: links, modes, times, sizes, special files, removal", async () => {
  await using tree = await WatchedTree.start();
  tree.write("file");
  tree.write("removed");
  await tree.quiet();
  tree.take();
  Deno.linkSync(tree.inside("file"), tree.inside("hard link"));
  Deno.symlinkSync("file", tree.inside("symbolic link"));
  await must("mkfifo", [tree.inside("fifo")]);
  Deno.truncateSync(tree.inside("file"), 3);
  Deno.removeSync(tree.inside("removed"));
  await tree.quiet();
  const all = ["fifo", "file", "hard link", "removed", "symbolic link"];
  assertEquals(tree.take().sort(), all.map((path) => `changed ${path}`));
  Deno.chmodSync(tree.inside("file"), 0o600);
  await tree.hears("changed file");
  tree.take();
  Deno.utimeSync(tree.inside("file"), 1000, 1000);
  await tree.hears("changed file");
});

Deno.test("a file that stays open and is written again and again is told when the writing stops", async () => {
  await using tree = await WatchedTree.start();
  using file = Deno.openSync(tree.inside("log"), { create: true, write: true });
  for (let i = 0; i < 20; i++) {
    file.writeSync(new Uint8Array(1));
    await sleep(DEBOUNCE_MS / 10);
  }
  await tree.hears("changed log");
  assertNothingMissed(tree);
});

Deno.test("what is made in new directories before they can be watched is told", async () => {
  await using tree = await WatchedTree.start();
  for (let i = 0; i < 50; i++) {
    tree.mkdir(`a${i}/b/c`);
    tree.write(`a${i}/b/c/file`);
  }
  await tree.quiet();
  assertNothingMissed(tree);
  await assertAllWatched(tree);
});

Deno.test("a renamed file is told as moved, and both names as changed", async () => {
  await using tree = await WatchedTree.start();
  tree.mkdir("a");
  tree.write("a/old");
  await tree.quiet();
  tree.take();
  Deno.renameSync(tree.inside("a/old"), tree.inside("new"));
  await tree.hears("moved a/old new", "changed a/old", "changed new");
  assertEquals(tree.told[0], "moved a/old new");
});

Deno.test("a renamed directory is told as moved, and read again under both names", async () => {
  await using tree = await WatchedTree.start();
  tree.mkdir("a/b/c");
  tree.mkdir("z");
  tree.write("a/b/c/file");
  await tree.quiet();
  tree.take();
  Deno.renameSync(tree.inside("a/b"), tree.inside("z/y"));
  tree.write("z/y/c/file", "after the rename");
  await tree.hears("moved a/b z/y", "reread a/b moved", "reread z/y moved", "changed z/y/c/file");
  assertNothingMissed(tree);
  await assertAllWatched(tree);
});

Deno.test("two directories that exchange their names are told under both", async () => {
  await using tree = await WatchedTree.start();
  tree.mkdir("a/of-a");
  tree.mkdir("b/of-b");
  await tree.quiet();
  using root = Directory.openTrusted(fromText(tree.inside()));
  root.rename(fileName("a"), root, fileName("b"), RENAME_EXCHANGE);
  await tree.quiet();
  assertNothingMissed(tree);
  tree.write("a/of-b/file");
  tree.write("b/of-a/file");
  await tree.hears("changed a/of-b/file", "changed b/of-a/file");
  await assertAllWatched(tree);
});

Deno.test("whoever reads trees that move at once is told to as soon as they are watched, and once only", async () => {
  const hour = 3_600_000;
  await using tree = await WatchedTree.start({ readsMovedAtOnce: true, debounceMs: hour });
  Deno.mkdirSync(tree.outside("new/below"), { recursive: true });
  Deno.writeTextFileSync(tree.outside("new/below/file"), "content");
  Deno.renameSync(tree.outside("new"), tree.inside("new"));
  await tree.hears("reread new moved");
  assertEquals(tree.watcher.watched, 3);
  assertNothingMissed(tree);
  await using other = await WatchedTree.start({ readsMovedAtOnce: true });
  Deno.mkdirSync(other.outside("new"));
  Deno.renameSync(other.outside("new"), other.inside("new"));
  await other.hears("changed new");
  assertEquals(other.take(), ["found", "reread new moved", "changed new"]);
});

Deno.test("a tree that is moved in is read when all of it is watched", async () => {
  await using tree = await WatchedTree.start();
  Deno.mkdirSync(tree.outside("a/b"), { recursive: true });
  Deno.writeTextFileSync(tree.outside("a/b/file"), "content");
  Deno.renameSync(tree.outside("a"), tree.inside("in"));
  await tree.hears("reread in moved");
  assertEquals(tree.watcher.watched, 3);
  assertNothingMissed(tree);
  await assertAllWatched(tree);
});

Deno.test("I2: of a tree that was moved out nothing is told any more, and no watch stays on it", async () => {
  await using tree = await WatchedTree.start();
  tree.mkdir("a/b");
  await tree.quiet();
  Deno.renameSync(tree.inside("a"), tree.outside("a"));
  await tree.hears("reread a moved");
  await waitFor("the watches to go", () => tree.watcher.watched === 1);
  await tree.quiet();
  tree.take();
  Deno.writeTextFileSync(tree.outside("a/b/secret"), "not told");
  Deno.writeTextFileSync(tree.outside("a/secret"), "not told");
  tree.write("witness");
  await tree.hears("changed witness");
  assertEquals(tree.take(), ["changed witness"]);
});

Deno.test("a directory that is moved out and in again is watched again", async () => {
  await using tree = await WatchedTree.start();
  tree.mkdir("a/b");
  await tree.quiet();
  for (const pauseMs of [0, 0, 60, 120]) {
    Deno.renameSync(tree.inside("a"), tree.outside("a"));
    await sleep(pauseMs);
    Deno.renameSync(tree.outside("a"), tree.inside("a"));
    await sleep(pauseMs);
  }
  await tree.quiet();
  assertNothingMissed(tree);
  await assertAllWatched(tree);
});

Deno.test("a directory that is removed and made again under the same name is watched again", async () => {
  await using tree = await WatchedTree.start();
  for (let i = 0; i < 20; i++) {
    tree.mkdir("a/b");
    tree.write(`a/b/file ${i}`);
    if (i % 3 === 0) await sleep(i);
    if (i < 19) Deno.removeSync(tree.inside("a"), { recursive: true });
  }
  await tree.quiet();
  assertNothingMissed(tree);
  await assertAllWatched(tree);
});

Deno.test("removing a whole tree tells every entry and leaves no watch", async () => {
  await using tree = await WatchedTree.start();
  tree.mkdir("a/b/c");
  for (const path of ["a/1", "a/b/2", "a/b/c/3"]) tree.write(path);
  await tree.quiet();
  tree.take();
  Deno.removeSync(tree.inside("a"), { recursive: true });
  await tree.quiet();
  assertArrayIncludes(
    tree.take(),
    ["a", "a/1", "a/b", "a/b/2", "a/b/c", "a/b/c/3"].map((path) => `changed ${path}`),
  );
  assertNothingMissed(tree);
  assertEquals(tree.watcher.watched, 1);
});

Deno.test("in an excluded directory nothing is told; the directory itself and files of such names are", async () => {
  await using tree = await WatchedTree.start({ excludes: (path) => path.includes("trash") });
  tree.mkdir("trash/deep");
  tree.write("trash/deep/file");
  tree.write("trash.txt");
  await tree.quiet();
  assertEquals(tree.take(), ["found", "changed trash", "changed trash.txt"]);
  assertEquals(tree.watcher.watched, 1);
  // By renaming, a directory comes under the rule and out of it again.
  tree.mkdir("a/b");
  await tree.quiet();
  Deno.renameSync(tree.inside("a"), tree.inside("trash2"));
  await waitFor("the watches to go", () => tree.watcher.watched === 1);
  Deno.renameSync(tree.inside("trash2"), tree.inside("c"));
  await tree.hears("reread c moved");
  assertEquals(tree.watcher.watched, 3);
});

Deno.test("I9: names are bytes, whatever they are, from the event to whom it is told", async () => {
  await using tree = await WatchedTree.start();
  const name = "line\nbreak \x1b[31m \xff\xfe not UTF-8" as ByteString;
  using root = Directory.openTrusted(fromText(tree.inside()));
  assert(root.makeDirectory(name as ReturnType<typeof fileName>, 0o755));
  await waitFor("the watch", () => tree.watcher.watched === 2);
  const opened = root.openBeneath(name as ReturnType<typeof fileName>);
  opened?.createFile(name as ReturnType<typeof fileName>, 0o644).close();
  opened?.close();
  await waitFor("the file to be told", () => tree.told.includes(`changed ${name}/${name}`));
  assertEquals(toBytes(name).includes(0xff), true);
  assertNothingMissed(tree);
});

Deno.test("directories deeper than PATH_MAX are watched and told", async () => {
  await using tree = await WatchedTree.start();
  const name = fileName("d".repeat(200));
  let deepest = Directory.openTrusted(fromText(tree.inside()));
  let path = "";
  for (let i = 0; i < 40; i++) {
    deepest.makeDirectory(name, 0o755);
    using parent = deepest;
    deepest = parent.openBeneath(name) ?? deepest;
    path += `${name}/`;
  }
  await waitFor("all watches", () => tree.watcher.watched === 41);
  deepest.createFile(fileName("file"), 0o644).close();
  deepest.close();
  await tree.hears(`changed ${path}file`);
  assertNothingMissed(tree);
  await must("rm", ["-r", tree.inside(name)]);
  await waitFor("the watches to go", () => tree.watcher.watched === 1);
});

Deno.test("I2: links to directories and mount points are told, not entered", async (test) => {
  await using tree = await WatchedTree.start();
  Deno.mkdirSync(tree.outside("target"));
  Deno.symlinkSync(tree.outside("target"), tree.inside("link"));
  await tree.hears("changed link");
  Deno.writeTextFileSync(tree.outside("target/secret"), "not told");
  await test.step({
    name: "a mount point",
    ignore: Deno.uid() !== 0,
    fn: async () => {
      tree.mkdir("a/mount");
      await tree.quiet();
      await must("mount", ["-t", "tmpfs", "none", tree.inside("a/mount")]);
      Deno.renameSync(tree.inside("a"), tree.inside("b"));
      try {
        await tree.hears("reread b moved");
        Deno.mkdirSync(tree.inside("b/mount/d"));
        Deno.writeTextFileSync(tree.inside("b/mount/secret"), "not told");
        tree.write("witness");
        await tree.hears("changed witness");
        await tree.quiet();
        assertEquals(tree.watcher.watched, 2);
      } finally {
        await must("umount", [tree.inside("b/mount")]);
      }
    },
  });
  assertEquals(tree.told.filter((line) => line.includes("secret") || line.includes("mount/")), []);
});

Deno.test("nothing is told after the end, and the directory that was handed over stays open", async () => {
  const tree = await WatchedTree.start();
  tree.write("before");
  await tree.hears("changed before");
  tree.write("waiting");
  await waitFor("the event", () => tree.watcher.pending > 0);
  tree.watcher.close();
  tree.take();
  tree.write("after");
  await sleep(5 * DEBOUNCE_MS);
  assertEquals(tree.take(), []);
  assertEquals(tree.root?.status(fileName("after"))?.kind, "file");
  await tree[Symbol.asyncDispose]();
});

Deno.test("I3: when events are lost everything is armed and read again, and the user hears of it once", async () => {
  await using tree = await WatchedTree.start();
  tree.mkdir("stays/below");
  tree.mkdir("goes/below");
  tree.mkdir("moves/below");
  await tree.quiet();
  tree.take();
  // Without a pause, so that the watcher cannot read: far more than fs.inotify.max_queued_events.
  const most = Number(Deno.readTextFileSync("/proc/sys/fs/inotify/max_queued_events"));
  for (let i = 0; i < most; i++) {
    tree.write(`file ${i % 100}`);
    tree.write(`other ${i % 100}`);
  }
  tree.mkdir("new/below");
  tree.write("new/below/file");
  Deno.renameSync(tree.inside("moves"), tree.inside("stays/moved"));
  Deno.renameSync(tree.inside("goes"), tree.outside("gone"));
  await tree.hears("reread  overflow");
  await tree.quiet();
  assertNothingMissed(tree);
  assertEquals(tree.troubles.length, 1);
  assertMatch(tree.troubles[0] ?? "", /max_queued_events/);
  tree.take();
  Deno.writeTextFileSync(tree.outside("gone/below/secret"), "not told");
  await assertAllWatched(tree);
  assertEquals(tree.told.filter((line) => line.includes("secret")), []);
});

Deno.test("I6: directories beyond the limit of watches are polled, reported once, and watched when they can be", async () => {
  await using tree = await WatchedTree.start({ mostWatches: 5, intervals: QUICK });
  for (let i = 0; i < 8; i++) tree.mkdir(`d${i}/below`);
  await tree.quiet();
  assertEquals(tree.watcher.watched, 5);
  for (let i = 0; i < 8; i++) tree.write(`d${i}/below/file`);
  await waitFor("everything to be known", () => tree.differences().length === 0);
  assertEquals(tree.troubles.length, 1);
  assertMatch(tree.troubles[0] ?? "", /^\d+ director.*fs\.inotify\.max_user_watches/);
  for (let i = 0; i < 7; i++) Deno.removeSync(tree.inside(`d${i}`), { recursive: true });
  await waitFor("the rest to be watched", () => tree.watcher.watched === 3);
  await tree.quiet();
  assertNothingMissed(tree);
  assertEquals(tree.troubles.length, 1);
  await assertAllWatched(tree);
});

Deno.test("I6: many directories that cannot be watched are polled together, by reading everything", async () => {
  await using tree = await WatchedTree.start({ mostWatches: 1, intervals: QUICK });
  for (let i = 0; i < 150; i++) tree.mkdir(`d${i}`);
  await tree.hears("reread  unwatched");
  tree.take();
  for (let i = 0; i < 150; i++) tree.write(`d${i}/file`);
  await waitFor("everything to be known", () => tree.differences().length === 0);
  assertEquals(tree.told.filter((line) => /^reread d.* unwatched/.test(line)), []);
});

Deno.test("a root that is missing at the start is waited for", async () => {
  await using tree = new WatchedTree({ intervals: QUICK });
  Deno.removeSync(tree.inside());
  await tree.watcher.start();
  assertEquals(tree.take(), []);
  tree.mkdir("a");
  await tree.hears("found");
  tree.write("a/file");
  await tree.hears("changed a/file");
});

Deno.test("before everything is watched the root is not told, and progress is", async () => {
  await using tree = new WatchedTree();
  for (let i = 0; i < 2000; i++) tree.mkdir(`${i % 10}/${i}`);
  const progress: number[] = [];
  const started = tree.watcher.start((directories) => progress.push(directories));
  tree.write("0/during");
  assertEquals(tree.take(), []);
  await started;
  assertEquals(tree.take(), ["found"]);
  assertEquals(tree.watcher.watched, 2011);
  assertEquals(progress, progress.toSorted((a, b) => a - b));
  await tree.quiet();
  assertNothingMissed(tree);
});

for (
  const [how, leave] of [
    ["removed", (tree: WatchedTree) => Deno.removeSync(tree.inside(), { recursive: true })],
    ["moved away", (tree: WatchedTree) => Deno.renameSync(tree.inside(), tree.outside("root"))],
  ] as const
) {
  Deno.test(`a root that was ${how} is told, and another one in its place is found`, async () => {
    await using tree = await WatchedTree.start({ intervals: QUICK });
    tree.mkdir("a");
    await tree.quiet();
    tree.take();
    leave(tree);
    await tree.hears("lost");
    await sleep(2 * QUICK.missingRootMs);
    assertEquals(tree.told.filter((line) => line === "lost" || line === "found"), ["lost"]);
    assertEquals(tree.watcher.watched, 0);
    tree.mkdir("b");
    await tree.hears("found");
    await tree.quiet();
    assertNothingMissed(tree);
    await assertAllWatched(tree);
  });
}

Deno.test("a root that was replaced between two looks is told as lost and found", async () => {
  await using tree = await WatchedTree.start({ intervals: QUICK });
  tree.take();
  Deno.mkdirSync(tree.outside("other/a"), { recursive: true });
  using base = Directory.openTrusted(fromText(tree.base));
  using outside = Directory.openTrusted(fromText(tree.outside()));
  base.rename(fileName("inside"), outside, fileName("other"), RENAME_EXCHANGE);
  await tree.hears("lost", "found");
  assertNothingMissed(tree);
  await assertAllWatched(tree);
});

Deno.test("I7: while one tree is flooded, another one's change is told in time", async () => {
  const reactor = new Reactor();
  {
    await using flooded = await WatchedTree.start({}, reactor);
    await using calm = await WatchedTree.start({}, reactor);
    const flood = new Deno.Command("sh", {
      args: [
        "-c",
        'cd "$1" && while :; do mkdir -p $$/a/b; : > $$/a/b/c; mv $$ x; rm -r x; done',
        "sh",
        flooded.inside(),
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      await waitFor("the flood", () => flooded.told.length > 1000);
      const startedAt = performance.now();
      calm.write("file");
      await calm.hears("changed file");
      const tookMs = performance.now() - startedAt;
      assert(tookMs < 5000, `told after ${tookMs} ms`); // 30 ms of debounce; the rest is for slow machines
    } finally {
      flood.kill("SIGKILL");
      await flood.status;
    }
  }
  await reactor.stop();
  reactor[Symbol.dispose]();
});

/** Whoever hears of a path takes some time to look at it, as where it lies thousands of directories deep. */
class SlowlyHeard extends WatchedTree {
  readonly heardAt: number[] = [];
  turn = 0;

  override changed(path: RelativePath): void {
    for (const until = performance.now() + 3; performance.now() < until;);
    this.heardAt.push(this.turn);
    super.changed(path);
  }
}

Deno.test("I7: however long it takes to hear of a path, others have their turn between some of them", async () => {
  await using tree = new SlowlyHeard();
  await tree.watcher.start();
  for (let file = 0; file < 100; file++) tree.write(`file-${file}`);
  const deadline = performance.now() + 30_000;
  while (tree.heardAt.length < 100 && performance.now() < deadline) {
    tree.turn++;
    await nextTurn();
  }
  assertEquals(tree.heardAt.length, 100);
  for (let at = 8; at < 100; at++) {
    assert(tree.heardAt[at] !== tree.heardAt[at - 8], "more than eight in one turn");
  }
});
