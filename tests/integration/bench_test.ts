/** The benchmark works, and nothing of it stays, however it ends. */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertMatch } from "@std/assert";
import { marked, run } from "../support/command.ts";
import { REPOSITORY } from "../support/gate.ts";
import { missingProgram, obstacle } from "../support/prerequisites.ts";
import { leftovers, scratchPathsOf } from "../support/scratch.ts";
import { waitFor } from "../support/wait.ts";

const ARGUMENTS = ["run", "-A", "--no-prompt", "--quiet", `${REPOSITORY}bench/main.ts`];
const reason = obstacle("btrfs") ?? missingProgram("gcc") ?? missingProgram("gencat") ??
  missingProgram("clamdscan");

function testOfBenchmark(name: string, fn: () => Promise<void>): void {
  const title = reason === undefined ? name : `${name} [${reason}]`;
  Deno.test({ name: title, ignore: reason !== undefined, fn });
}

/** The process that runs a case, below the benchmark's own. */
function caseOf(pid: number): number | undefined {
  const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim().split(" ");
  return children.filter((child) => child !== "").map(Number).find((child) => {
    try {
      return Deno.readTextFileSync(`/proc/${child}/cmdline`).includes("run_case.ts");
    } catch {
      return false; // it has ended
    }
  });
}

testOfBenchmark(
  "the smallest case is measured, ours and the reference, both runtimes",
  async () => {
    const args = [...ARGUMENTS, "--smoke", "--jitless", "--only", "single"];
    const { code, stdout, stderr } = await run(Deno.execPath(), args);
    const text = new TextDecoder().decode(stdout);
    assertEquals(code, 0, `${text}\n${stderr}`);
    const table = text.slice(text.indexOf("All together"));
    assertMatch(table, /: p50 +[\d.]+ ms +[\d.]+ ms +[\d.]+ × +≤ 3 × and ≤ 2 ms +\w+ +[\d.]+ ×/);
  },
);

Deno.test("what is asked for is no mistake, and a mistake is one", async () => {
  const codeOf = async (arg: string) => (await run(Deno.execPath(), [...ARGUMENTS, arg])).code;
  const given = ["--help", "--list", "--what", "--rounds=0"];
  assertEquals(await Promise.all(given.map(codeOf)), [0, 0, 2, 2]);
});

testOfBenchmark("interrupted, it takes everything along", async () => {
  const benchmark = new Deno.Command(Deno.execPath(), {
    args: [...ARGUMENTS, "--smoke", "--only", "beside-large"],
    env: marked(),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const pid = await waitFor("a case runs", () => caseOf(benchmark.pid));
  await waitFor("it has a filesystem, a clamd and a gate", () => {
    const found = leftovers(scratchPathsOf(pid)).join("\n");
    return /^mount/m.test(found) && /clamd --config/.test(found) && /gate\/main/.test(found);
  });
  benchmark.kill("SIGTERM");
  assertEquals((await benchmark.status).code, 130);
  for (const one of [pid, benchmark.pid]) {
    assertEquals(leftovers(scratchPathsOf(one)), []);
    assertEquals(scratchPathsOf(one), []);
  }
});

Deno.test("a case that does not exist is a fault, and the answer names those that do", async () => {
  const { code, stdout } = await run(Deno.execPath(), [...ARGUMENTS, "--only", "nothing"]);
  assertEquals(code, 2);
  assertMatch(new TextDecoder().decode(stdout), /no such case: nothing[^]*burst-signatures/);
});
