/** Hard links: who is asked when a file was changed through one of its names. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { display, fromText, type RelativePath } from "../../ffi/byte_string.ts";
import { LinkedNames } from "../../src/gate/linked_names.ts";
import { plainFile } from "../support/file_status.ts";

const path = (name: string) => fromText(name) as RelativePath;

const file = (inode: number, links: number, ctimeNs = 1n) => plainFile({ inode, links, ctimeNs });

/** What a story made it ask for; `?` is a search of the whole share. */
function asked(story: (names: LinkedNames, said: string[]) => void): string[] {
  const said: string[] = [];
  const names = new LinkedNames({
    lookAt: (name) => said.push(display(name)),
    search: () => said.push("?"),
  });
  story(names, said);
  names.close();
  return said;
}

Deno.test("I3: a change through one name is looked for under all others", () => {
  const said = asked((names) => {
    for (const name of ["a", "b", "c"]) names.seen(path(name), file(7, 3), true);
    names.seen(path("b"), file(7, 3), false);
  });
  assertEquals(said, ["a", "c"]);
});

Deno.test("I7: each change is looked for once, not again by each of the names", () => {
  const said = asked((names) => {
    for (const name of ["a", "b", "c"]) names.seen(path(name), file(7, 3), true);
    for (const name of ["a", "b", "c"]) names.seen(path(name), file(7, 3, 2n), false);
    names.seen(path("c"), file(7, 3, 3n), false);
  });
  assertEquals(said, ["b", "c", "a", "b"]);
});

Deno.test("I3: where names are unknown the share is searched, once in a while", () => {
  const said = asked((names) => {
    names.seen(path("a"), file(7, 2), false);
    names.seen(path("a"), file(7, 2), false);
  });
  assertEquals(said, ["?"]);
});

Deno.test("a name that became another file is none of the first one's any more", () => {
  const said = asked((names, said) => {
    names.seen(path("a"), file(7, 2), true);
    names.seen(path("b"), file(7, 2), true);
    names.seen(path("b"), file(8, 1), true);
    said.length = 0;
    names.seen(path("a"), file(7, 1), false);
  });
  assertEquals(said, []);
});

Deno.test("I3: a file may have changed by a name that it has lost: it is looked at, or searched for", () => {
  const said = asked((names) => {
    for (const name of ["a", "b"]) names.seen(path(name), file(7, 2), true);
    names.seen(path("b"), undefined, false);
    names.seen(path("c"), file(9, 2), true);
    names.seen(path("c"), undefined, false);
    names.seen(path("c"), undefined, false);
  });
  assertEquals(said, ["a", "?"]);
});

Deno.test("I3: the names in a directory that is renamed for everybody are known by the new one", () => {
  const said = asked((names) => {
    for (const name of ["old/a", "old/b", "older"]) names.seen(path(name), file(7, 3), true);
    names.followed({ from: path("old"), to: path("new"), isExchange: false });
    names.seen(path("new/a"), file(7, 3, 2n), false);
  });
  assertEquals(said, ["older", "new/b"]);
});

Deno.test("what was not changed asks for nothing", () => {
  assertEquals(asked((names) => names.seen(path("a"), file(7, 2), true)), []);
});

Deno.test("jobs that end after the share was closed start no search, and no timer", () => {
  const said = asked((names) => {
    names.close();
    names.seen(path("a"), file(7, 2), false);
  });
  assertEquals(said, []);
});
