/** What is kept in memory has limits, and at each of them there is a way on (docs/threat-model.md, I6). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { display, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { Directory } from "../../ffi/directory.ts";
import { clone, writeAll } from "../../ffi/file_content.ts";
import { onThreadPool } from "../../ffi/thread_pool.ts";
import { LinkedNames } from "../../src/gate/linked_names.ts";
import { MoveMemory } from "../../src/gate/move_memory.ts";
import { PathQueue } from "../../src/gate/path_queue.ts";
import { Removals } from "../../src/gate/removals.ts";
import { VersionMemory } from "../../src/scanning/version_memory.ts";
import { UserNotifier } from "../../src/user_notification/user_notifier.ts";
import { plainFile } from "../support/file_status.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { sleep, waitFor } from "../support/wait.ts";

const path = (name: string | number) => fromText(`${name}`) as RelativePath;

const statusOf = (inode: number, links = 1) => plainFile({ inode, links });

Deno.test("I6, I3: a full queue of paths keeps what it has, and asks for a reading when it is empty", () => {
  const queue = new PathQueue({ paths: 3, bytes: 100 });
  const accepted = [1, 2, 3, 4, 5].map((name) => queue.add("ann", path(name)));
  assertEquals(accepted, [true, true, true, false, false]);
  assert(queue.add("ann", path(1)), "what waits already is no more");
  assert(queue.add("bob", path(6)), "I7: another share has a limit of its own");
  assertEquals(queue.size, 4);
  assert(!queue.takeOverflow("ann"), "not before it is empty");
  for (let left = 3; left > 0; left--) {
    const taken = queue.take("ann");
    assert(taken !== undefined);
    queue.done(taken);
  }
  assert(queue.takeOverflow("ann"));
  assert(!queue.takeOverflow("ann"), "once");
  assert(!queue.takeOverflow("bob"));
});

Deno.test("I6: few long paths fill a queue as many short ones do", () => {
  const queue = new PathQueue({ paths: 100, bytes: 10 });
  assertEquals(["12345", "67890", "x"].map((name) => queue.add("ann", path(name))), [
    true,
    true,
    false,
  ]);
  assertEquals(queue.fullness("ann"), 1);
  for (let left = 2; left > 0; left--) {
    const taken = queue.take("ann");
    assert(taken !== undefined);
    queue.done(taken);
  }
  assertEquals(queue.fullness("ann"), 0);
  assert(queue.takeOverflow("ann"));
});

Deno.test("I6: of too many removals that wait, the one that was tried longest ago begins anew", () => {
  const removals = new Removals({ paths: 2, bytes: 100 });
  const [a, b, c] = [path("a"), path("b"), path("c")];
  for (const name of [a, b]) for (let i = 0; i < 6; i++) removals.attempt(name);
  removals.wait(a);
  removals.wait(c);
  assertEquals([a, b, c].map((name) => removals.has(name)), [true, false, true]);
  assertEquals([a, b].map((name) => removals.attempt(name)), [undefined, 100]);
});

Deno.test("I3: however long a removal has waited, the next look at it is not far", () => {
  const removals = new Removals();
  const delays = Array.from({ length: 20 }, () => removals.wait(path("a")));
  assertEquals(delays.slice(0, 3), [100, 200, 400]);
  assert(delays.every((delayMs) => delayMs <= 2_000), `${delays}`);
});

Deno.test("I6: of too many renames the oldest are forgotten", () => {
  const moves = new MoveMemory();
  for (let name = 0; name < 50_005; name++) moves.moved(path(`from-${name}`), path(`to-${name}`));
  assertEquals(moves.targetOf(path("from-4")), undefined);
  assertEquals(moves.sourcesOf(path("to-4")), []);
  assertEquals(moves.targetOf(path("from-5")), path("to-5"));
});

Deno.test("I6: long renames count for more, for as long as they are remembered", () => {
  const moves = new MoveMemory();
  const long = "n".repeat(8000);
  const numbers = Array.from(
    { length: 1100 },
    (_, name) => moves.moved(path(`${long}${name}`), path(`${long}-${name}`)),
  );
  assertEquals(moves.targetOf(path(`${long}1`)), undefined);
  assertEquals(moves.targetOf(path(`${long}1099`)), path(`${long}-1099`));
  for (const [name, number] of numbers.entries()) {
    moves.followed(
      { from: path(`${long}${name}`), to: path(`${long}-${name}`), isExchange: false },
      number,
    );
  }
  for (let name = 0; name < 1000; name++) moves.moved(path(`from-${name}`), path(`to-${name}`));
  assertEquals(moves.targetOf(path("from-0")), path("to-0"));
});

Deno.test("I6, I3: beyond the limit of linked names the share is searched for those of a file", () => {
  let searches = 0;
  const asked: string[] = [];
  const names = new LinkedNames({
    lookAt: (name) => asked.push(display(name)),
    search: () => searches++,
  });
  names.seen(path("one"), statusOf(1, 2), true);
  names.seen(path("other"), statusOf(1, 2), true);
  for (let inode = 2; inode < 50_002; inode++) names.seen(path(inode), statusOf(inode, 2), true);
  names.seen(path("one"), statusOf(1, 2), false);
  names.close();
  assertEquals([asked, searches], [[], 1]);
});

Deno.test("I6, I3: long linked names count for more", () => {
  let searches = 0;
  const names = new LinkedNames({ lookAt: () => {}, search: () => searches++ });
  const long = "n".repeat(8000);
  names.seen(path("one"), statusOf(1, 2), true);
  names.seen(path("other"), statusOf(1, 2), true);
  for (let inode = 2; inode < 2200; inode++) {
    names.seen(path(`${long}${inode}`), statusOf(inode, 2), true);
  }
  names.seen(path("one"), statusOf(1, 2), false);
  names.close();
  assertEquals(searches, 1);
});

Deno.test("I6, I1: of too many verdicts the oldest are forgotten, which is a scan more", () => {
  const memory = new VersionMemory(3);
  for (let inode = 1; inode <= 5; inode++) memory.remember(statusOf(inode));
  const known = [1, 2, 3, 4, 5].map((inode) => memory.has(statusOf(inode)));
  assertEquals(known, [false, false, true, true, true]);
});

Deno.test("I6, I7: eight blocking calls run at a time, and the others wait", async () => {
  const ends: (() => void)[] = [];
  const results = Array.from(
    { length: 20 },
    (_, number) =>
      onThreadPool(() => new Promise<number>((resolve) => ends.push(() => resolve(number)))),
  );
  assertEquals(ends.length, 8);
  for (let ended = 0; ended < 20; ended++) {
    await waitFor("the next one runs", () => ends.length > 0);
    assert(ends.length <= 8, `${ends.length} run`);
    ends.shift()?.();
    await sleep(0);
  }
  assertEquals(await Promise.all(results), Array.from({ length: 20 }, (_, number) => number));
});

Deno.test("I7: whatever goes through large files leaves threads to the others", async () => {
  using directory = Directory.openTrusted(fromText(scratchDirectory("large")));
  using large = directory.createUnnamed();
  for (let mebibytes = 0; mebibytes < 17; mebibytes++) writeAll(large, new Uint8Array(2 ** 20));
  using small = directory.createUnnamed();
  writeAll(small, new Uint8Array(1));
  const ends: (() => void)[] = [];
  const untilEnded = () => new Promise<void>((resolve) => ends.push(resolve));
  const results = Array.from({ length: 20 }, () => onThreadPool(untilEnded, Infinity));
  assertEquals(ends.length, 4);
  const settled: string[] = [];
  const cloning = Object.entries({ large, small }).map(async ([name, file]) => {
    using target = directory.createUnnamed();
    await clone(file, target).catch(() => {}); // not every filesystem can
    settled.push(name);
  });
  await waitFor("the small one has its turn", () => settled.length > 0);
  assertEquals(settled, ["small"]);
  for (let ended = 0; ended < results.length; ended++) {
    await waitFor("the next one runs", () => ends.length > 0);
    ends.shift()?.();
  }
  await Promise.all([...results, ...cloning]);
  assertEquals(settled, ["small", "large"]);
});

Deno.test("I6, I7: messages that nobody takes wait up to a limit, and are dropped with a word", async () => {
  const socket = `${scratchDirectory("deaf")}/notify.sock`;
  // Its backlog fills, since nobody ever accepts.
  using _listener = Deno.listen({ transport: "unix", path: socket });
  const reactor = new Reactor();
  const troubles: string[] = [];
  const user = new UserNotifier(reactor, socket, (message) => troubles.push(message));
  for (let number = 0; number < 1000; number++) user.malware(path(`/virus-${number}`), "Test");
  const dropped = troubles.filter((message) => /messages to the user are dropped/.test(message));
  assert(dropped.length >= 1000 - 256 - 16, `${dropped.length} of 1000 were dropped`);
  await sleep(200);
  await reactor.stop();
  reactor[Symbol.dispose]();
});
