/** What README.md and docs/ say of the project's own files. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { REPOSITORY } from "../support/gate.ts";

const DOCUMENTS = [
  "README.md",
  ...[...Deno.readDirSync(`${REPOSITORY}docs`)]
    .filter(({ name }) => name.endsWith(".md")).map(({ name }) => `docs/${name}`),
];

function read(document: string): string {
  return Deno.readTextFileSync(`${REPOSITORY}${document}`);
}

/** As GitHub and others make them from headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replaceAll(/[^\p{L}\p{N}_\- ]/gu, "").replaceAll(" ", "-")
  );
}

Deno.test("documents link to files and headings that are there", () => {
  for (const document of DOCUMENTS) {
    const links = [...read(document).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)];
    for (const [, path = "", anchor] of links) {
      const target = new URL(
        path || document.replace(/.*\//, ""),
        `file://${REPOSITORY}${document}`,
      );
      assert(Deno.statSync(target).isFile, `${document}: ${path}`);
      if (anchor === undefined) continue;
      assert(anchorsOf(Deno.readTextFileSync(target)).includes(anchor), `${document}: #${anchor}`);
    }
  }
});

Deno.test("docs/architecture.md tells of each folder of src/", () => {
  const [, house = ""] =
    /^## The house$[^]*?^```$([^]*?)^```$/m.exec(read("docs/architecture.md")) ?? [];
  const told = [...house.matchAll(/^src\/(\w+)\//gm)].map(([, name = ""]) => name);
  const there = [...Deno.readDirSync(`${REPOSITORY}src`)].map(({ name }) => name);
  assertEquals(told.sort(), there.sort());
});
