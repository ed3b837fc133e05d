/** The tasks of deno.json: whatever runs with permissions of its own runs the code that is here. */

// @ts-types="../support/assert.d.ts"
import { assert, assertStringIncludes } from "@std/assert";
import denoConfiguration from "../../deno.json" with { type: "json" };
import { run } from "../support/command.ts";
import { REPOSITORY } from "../support/gate.ts";
import { scratchDirectory } from "../support/scratch.ts";

/** Deno fetches from some hosts unless told not to; a bare --deny-import does not (2.9.6). */
const ELSEWHERE = "https://deno.land/std/version.ts";

const tasks = Object.entries(denoConfiguration.tasks).filter(([, task]) => !task.includes(" -A "));

for (const [name, task] of tasks) {
  Deno.test(`deno task ${name}: no code comes from elsewhere`, async () => {
    const [, options] = /deno run (.*) \S+\.ts\b/.exec(task) ?? [];
    assert(options !== undefined, task);
    const module = `${scratchDirectory("tasks")}/import.ts`;
    await Deno.writeTextFile(module, `await import(${JSON.stringify(ELSEWHERE)});\n`);
    const { code, stderr } = await run(Deno.execPath(), [
      ...["run", `--config=${REPOSITORY}deno.json`, "--no-check", ...options.split(" "), module],
    ]);
    assert(code !== 0);
    assertStringIncludes(stderr, "--no-remote is specified");
  });
}
