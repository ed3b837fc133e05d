/**
 * I3: whatever is done to a tree, and however fast, in the end everybody who looked at what was told when it was told
 * knows exactly what is there; every directory is watched, and nothing else is.
 *
 * `WATCHER_ROUNDS=1000` runs more rounds, `WATCHER_SEED=N` begins with this seed. What happens between the two threads
 * is not the same each time, so a seed that failed may have to be tried again.
 */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import type { Orders } from "../support/tree_attacker.ts";
import { WatchedTree } from "../support/watched_tree.ts";

const ROUNDS = Number(Deno.env.get("WATCHER_ROUNDS") ?? 8);
const FIRST_SEED = Number(Deno.env.get("WATCHER_SEED") ?? 1);

async function attack(orders: Orders): Promise<void> {
  const worker = new Worker(new URL("../support/tree_attacker.ts", import.meta.url), {
    type: "module",
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  worker.onmessage = () => resolve();
  worker.onerror = (event) => reject(new Error(event.message));
  worker.postMessage(orders);
  try {
    await promise;
  } finally {
    worker.terminate();
  }
}

async function assertAllWatched(tree: WatchedTree): Promise<void> {
  const directories = tree.directories();
  assertEquals(tree.watcher.watched, directories.length);
  tree.take();
  for (const entry of Deno.readDirSync(tree.outside())) {
    if (entry.isDirectory) Deno.writeTextFileSync(tree.outside(`${entry.name}/probe`), "");
  }
  for (const directory of directories) tree.write(`${directory}/probe`);
  const expected = directories.map((path) => `changed ${path}${path && "/"}probe`);
  await tree.hears(...expected);
  await tree.quiet();
  assertEquals(tree.take().sort(), expected.sort());
}

const WAYS: readonly (Pick<Orders, "operations" | "pauseMs"> & { name: string })[] = [
  { name: "with pauses", operations: 500, pauseMs: 4 },
  { name: "without a pause", operations: 5000, pauseMs: 0 },
];

for (const { name, operations, pauseMs } of WAYS) {
  Deno.test(`I3: a tree that is changed at random ${name} is known in the end`, async (test) => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + ROUNDS; seed++) {
      await test.step(`seed ${seed}`, async () => {
        await using tree = new WatchedTree();
        const orders = {
          inside: tree.inside(),
          outside: tree.outside(),
          seed,
          operations,
          pauseMs,
        };
        // Every other tree is at rest while it is armed, and is attacked once more afterwards.
        const first = attack(orders);
        if (seed % 2 === 0) await first;
        await tree.watcher.start();
        await first;
        if (seed % 2 === 0) await attack({ ...orders, seed: -seed });
        await tree.quiet();
        assertEquals(tree.differences(), []);
        await assertAllWatched(tree);
        assertEquals(tree.troubles, []);
      });
    }
  });
}
