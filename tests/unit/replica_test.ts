/** Looks at neighbours share an open directory, and none of them is taken in by a directory that was exchanged. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { fileName, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { nextTurn } from "../../ffi/reactor.ts";
import { Replica } from "../../src/gate/replica.ts";
import { scratchDirectory } from "../support/scratch.ts";

const OLD = "a/b/old" as RelativePath;
const NEW = "a/b/new" as RelativePath;

class Bench implements Disposable {
  readonly path = scratchDirectory("replica", "memory");
  readonly replica = new Replica("producer", fileName("ann"));

  /** `a/b` holds `old`; a directory beside the share holds `new`. */
  constructor() {
    Deno.mkdirSync(`${this.path}/share/a/b`, { recursive: true });
    Deno.mkdirSync(`${this.path}/other`);
    Deno.writeTextFileSync(`${this.path}/share/${OLD}`, "");
    Deno.writeTextFileSync(`${this.path}/other/new`, "");
    this.replica.attach(Directory.openTrusted(fromText(`${this.path}/share`)), 1);
  }

  /** Another directory takes the place of `a/b`. */
  exchange(): void {
    Deno.renameSync(`${this.path}/share/a/b`, `${this.path}/before`);
    Deno.renameSync(`${this.path}/other`, `${this.path}/share/a/b`);
  }

  /** What `a/b` has, as looks at it tell. */
  seen(afresh = false): string[] {
    return [OLD, NEW].filter((path) => {
      using view = this.replica.view(path, { afresh });
      return view.seen.kind === "file";
    });
  }

  [Symbol.dispose](): void {
    this.replica.detach();
  }
}

Deno.test("looks at neighbours in one turn share an open directory, which outlives none of them", async () => {
  using bench = new Bench();
  const first = bench.replica.view(OLD);
  const second = bench.replica.view(NEW);
  const { parent } = first;
  assert(parent !== undefined && second.parent === parent);
  await nextTurn();
  first[Symbol.dispose]();
  assert(parent.isOpen, "the second look still holds it");
  second[Symbol.dispose]();
  assert(!parent.isOpen, "nobody holds it any more");
});

for (const told of ["a", "a/b", ""] as RelativePath[]) {
  Deno.test(`I3: once a change of "${told}" is told, a directory is opened anew`, () => {
    using bench = new Bench();
    assertEquals(bench.seen(), [OLD]);
    bench.exchange();
    bench.replica.onMoved(told);
    assertEquals(bench.seen(), [NEW]);
  });
}

Deno.test("I3: a second look in the same run opens the directory anew", () => {
  using bench = new Bench();
  assertEquals(bench.seen(), [OLD]);
  bench.exchange();
  assertEquals(bench.seen(true), [NEW]);
});

Deno.test("I3: so does a look in the next turn", async () => {
  using bench = new Bench();
  assertEquals(bench.seen(), [OLD]);
  bench.exchange();
  await nextTurn();
  assertEquals(bench.seen(), [NEW]);
});

Deno.test("a share that is gone holds no directory open", () => {
  using bench = new Bench();
  const view = bench.replica.view(OLD);
  const { parent } = view;
  bench.replica.detach();
  assert(parent?.isOpen, "the look goes on");
  view[Symbol.dispose]();
  assert(!parent.isOpen);
});
