/** When renames of directories are followed. */

// @ts-types="../support/assert.d.ts"
import { assert } from "@std/assert";
import { fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { DirectoryMoves } from "../../src/gate/directory_moves.ts";
import { FileIndex } from "../../src/gate/file_index.ts";
import { PAGE_NAMES } from "../../src/gate/known_directory.ts";
import { DirectoryTurn, LargeDirectories } from "../../src/gate/large_directories.ts";
import { Replica } from "../../src/gate/replica.ts";
import type { IndexEntry } from "../../src/gate/replica_record.ts";
import { sleep } from "../support/wait.ts";

const LONG_MS = 300;

const path = (name: string) => fromText(name) as RelativePath;

const DIRECTORY: IndexEntry = {
  version: 1,
  deleted: false,
  records: [{
    replica: 1,
    kind: "directory",
    status: "current",
    version: 1,
    inode: 1,
    size: 0,
    mtimeNs: 0n,
    ctimeNs: 0n,
    mode: 0o755,
    uid: 1,
    gid: 1,
  }],
};

/** Takes `lastsMs` for the first that is followed, and hardly any time for the others. */
function follower(
  index: FileIndex,
  lastsMs: number,
  large = new LargeDirectories(),
): DirectoryMoves {
  const busyMs = [lastsMs];
  return new DirectoryMoves({
    replicas: [],
    index,
    publisher: { parentFor: () => undefined },
    canFollow: () => true,
    tree: () => {
      const until = performance.now() + (busyMs.shift() ?? 0);
      while (performance.now() < until);
      return {
        index,
        replicas: [],
        large,
        isIgnored: () => false,
        isIgnoredDirectory: () => false,
        lookAt: () => {},
        mark: () => 0,
        onRenamed: () => {},
        isStopped: () => false,
        onShortage: () => {},
        onFailure: () => {},
        room: () => undefined,
      };
    },
    isPossible: () => true,
    isWorkedOn: () => false,
    onChanged: () => {},
    onRenamed: () => {},
    onMoved: () => {},
    onTrouble: (error) => {
      throw error;
    },
  });
}

const ann = new Replica("producer", fileName("ann"));
const bob = new Replica("producer", fileName("bob"));

Deno.test("I7: others have their time after all that was followed, not only after the last", async () => {
  using index = FileIndex.open(":memory:", () => {});
  for (const name of ["large", "small"]) index.put(path(name), DIRECTORY);
  const moves = follower(index, LONG_MS);
  moves.moved({ author: ann, from: path("large"), to: path("huge"), number: 1 });
  moves.moved({ author: ann, from: path("small"), to: path("tiny"), number: 1 });
  await moves.ended();
  await sleep(LONG_MS / 3); // for the small one the rest is over
  moves.moved({ author: ann, from: path("huge"), to: path("large"), number: 1 });
  assert(!moves.covers(path("huge")), "it is kept from the others again at once");
  await moves.ended();
});

Deno.test("I7: two guests that rename the same in turns leave others their time, too", async () => {
  using index = FileIndex.open(":memory:", () => {});
  for (const name of ["above", "above/large", "small"]) index.put(path(name), DIRECTORY);
  const moves = follower(index, LONG_MS);
  moves.moved({ author: ann, from: path("above/large"), to: path("above/huge"), number: 1 });
  await moves.ended();
  for (const [from, to] of [["above/huge", "above/large"], ["above", "below"]] as const) {
    moves.moved({ author: bob, from: path(from), to: path(to), number: 1 });
    assert(!moves.covers(path("above/huge")), `${from} is kept from the others again at once`);
  }
  moves.moved({ author: bob, from: path("small"), to: path("tiny"), number: 1 });
  assert(moves.covers(path("small")), "others are followed");
  await moves.ended();
});

Deno.test("I7: what was followed waits for no other one behind it", async () => {
  using index = FileIndex.open(":memory:", () => {});
  for (const name of ["large", "small"]) index.put(path(name), DIRECTORY);
  for (let i = 0; i < PAGE_NAMES; i++) index.put(path(`large/${i}`), DIRECTORY);
  const large = new LargeDirectories();
  const moves = follower(index, 0, large);
  {
    using turn = new DirectoryTurn(large);
    await turn.take();
    moves.moved({ author: ann, from: path("small"), to: path("tiny"), number: 1 });
    moves.moved({ author: ann, from: path("large"), to: path("huge"), number: 1 });
    await moves.ready(path("tiny"));
    assert(!moves.covers(path("tiny")) && moves.covers(path("huge")));
  }
  await moves.ended();
});
