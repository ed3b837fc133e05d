/** Which producers of older configurations still count: those whose shares are as they were left. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { type ByteString, fromText } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { FileIndex } from "../../src/gate/file_index.ts";
import { formerProducers } from "../../src/gate/former_producers.ts";
import { scratchDirectory } from "../support/scratch.ts";

Deno.test("I3, I6: a former producer counts as long as its share is the one that was known", () => {
  const folder = scratchDirectory("former");
  using index = FileIndex.open(":memory:", () => {});
  const ids = new Map<string, number>();
  for (const name of ["present", "former", "replaced", "gone"]) {
    Deno.mkdirSync(`${folder}/${name}`);
    const { ino } = Deno.statSync(`${folder}/${name}`);
    const known = name === "replaced" ? 1 : Number(ino);
    ids.set(name, index.replicaId(`share/${name}`, known).id);
  }
  index.replicaId("export", 1);
  Deno.removeSync(`${folder}/gone`);
  using share = Directory.openTrusted(fromText(folder));
  const present = new Set(["share/present", "export"] as ByteString[]);
  assertEquals([...formerProducers(index, share, present)], [ids.get("former")]);
});

Deno.test("I3: a former producer counts whatever characters its name has", () => {
  const folder = scratchDirectory("former");
  Deno.mkdirSync(`${folder}/bücher`);
  using index = FileIndex.open(":memory:", () => {});
  const { ino } = Deno.statSync(`${folder}/bücher`);
  const { id } = index.replicaId(fromText("share/bücher"), Number(ino));
  using share = Directory.openTrusted(fromText(folder));
  assertEquals([...formerProducers(index, share, new Set())], [id]);
});

Deno.test("I3: what is no producer's name, as in a damaged index, keeps no channel from starting", () => {
  using index = FileIndex.open(":memory:", () => {});
  for (const name of ["share/b/b", "share/", "share/..", "share/\u20ac"]) index.replicaId(name, 1);
  using share = Directory.openTrusted(fromText(scratchDirectory("former")));
  assertEquals([...formerProducers(index, share, new Set())], []);
});
