/**
 * `deno task bench [--quick] [--only NAME]… [--rounds N] [--jitless] [--write]`: what the programs cost, each figure
 * beside a reference that was measured in the same run, in turns. Each case runs in a process of its own.
 *
 * The exit code is 1 if a case failed; a bar that is missed is no failure, but a line in the table. Needs root and
 * Debian's packages, which it installs.
 */

import { parseArgs } from "node:util";
import { messageOf } from "../ffi/errno.ts";
import { marked } from "../tests/support/command.ts";
import { installMissing } from "../tests/support/packages.ts";
import { filesystemPrograms, obstacle } from "../tests/support/prerequisites.ts";
import { abandonedScratch, leftovers, scratchPathsOf, sweep } from "../tests/support/scratch.ts";
import { bold, dim, say, warn } from "../tests/support/terminal.ts";
import type { Case, GrowthCase, Size } from "./case.ts";
import { CASES } from "./cases/all.ts";
import { describeMachine } from "./machine.ts";
import { drawBars, drawGrowth } from "./plots.ts";
import { markdownOf, textOf } from "./report.ts";
import { type CaseResult, type Results, withAgain } from "./results.ts";

const USAGE = `Usage: deno task bench [OPTIONS]

  --quick       fewer and smaller things: minutes instead of most of an hour
  --smoke       next to nothing: does everything still work?
  --only NAME   this case alone; may be given several times
  --rounds N    how often each is measured [default: 5; quick 3; smoke 1]
  --jitless     measure also without a compiler for JavaScript; a full run always does
  --write       put the results into bench/: RESULTS.md, results.json, bars.svg, growth.svg; with
                --only beside what a whole run on the same machine has left there
  --list        the cases' names

Cases: ${CASES.map(({ name }) => name).join(", ")}`;

const ROUNDS: Readonly<Record<Size, number>> = { full: 5, quick: 3, smoke: 1 };
const JITLESS_ROUNDS: Readonly<Record<Size, number>> = { full: 3, quick: 1, smoke: 1 };
const PATIENCE_MINUTES = 10;
/** After that no further case is begun: on a machine that is too busy nothing is worth measuring. */
const MOST_MINUTES = 60;
const FOLDER = import.meta.dirname ?? ".";

interface Options {
  readonly size: Size;
  readonly rounds: number;
  readonly jitless: boolean;
  readonly write: boolean;
  /** Not all cases: with `write`, the others' results stay. */
  readonly isPart: boolean;
  readonly cases: readonly (Case | GrowthCase)[];
}

const flag = { type: "boolean", default: false } as const;

function valuesOf(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      quick: flag,
      smoke: flag,
      jitless: flag,
      write: flag,
      list: flag,
      help: flag,
      only: { type: "string", multiple: true, default: [] },
      rounds: { type: "string" },
    },
  }).values;
}

/** What is said instead of measuring anything. */
interface Answer {
  readonly text: string;
  readonly code: number;
}

const asked = (text: string): Answer => ({ text, code: 0 });
const wrong = (problem: string): Answer => ({ text: `${problem}\n\n${USAGE}`, code: 2 });

/** Reads the command line. */
function optionsOf(args: readonly string[]): Options | Answer {
  let values: ReturnType<typeof valuesOf>;
  try {
    values = valuesOf(args);
  } catch (error) {
    return wrong(messageOf(error));
  }
  if (values.help) return asked(USAGE);
  if (values.list) {
    return asked(CASES.map(({ name, title }) => `${name.padEnd(20)} ${title}`).join("\n"));
  }
  const unknown = values.only.filter((name) => !CASES.some((one) => one.name === name));
  if (unknown.length > 0) return wrong(`no such case: ${unknown.join(" ")}`);
  const size = values.smoke ? "smoke" : values.quick ? "quick" : "full";
  const rounds = Number(values.rounds ?? ROUNDS[size]);
  if (!Number.isInteger(rounds) || rounds < 1) return wrong("--rounds: a whole number");
  const { only, write } = values;
  const cases = CASES.filter(({ name }) => only.length === 0 || only.includes(name));
  const jitless = values.jitless || size === "full";
  return { size, rounds, jitless, write, isPart: only.length > 0, cases };
}

/** The case that runs, with everything that it started. */
let running: Deno.ChildProcess | undefined;

function endRunning(): void {
  if (running === undefined) return;
  try {
    running.kill("SIGKILL");
  } catch {
    // It has ended by itself.
  }
  sweep(scratchPathsOf(running.pid));
}

/** Runs a case in a process of its own; nothing of it stays, however it ends. */
async function measure(one: Case | GrowthCase, options: Options): Promise<CaseResult> {
  const begin = performance.now();
  const jitless = "run" in one ? one.jitlessRounds ?? JITLESS_ROUNDS[options.size] : 0;
  const rounds = [options.rounds, options.jitless ? Math.min(jitless, options.rounds) : 0];
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-prompt",
      "--quiet",
      `${FOLDER}/run_case.ts`,
      one.name,
      options.size,
      ...rounds.map(String),
    ],
    env: marked(),
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  running = child;
  const minutes = one.patienceMinutes ?? PATIENCE_MINUTES;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    endRunning();
  }, minutes * 60_000);
  const { code, stdout } = await child.output();
  clearTimeout(timer);
  const left = leftovers(scratchPathsOf(child.pid));
  sweep(scratchPathsOf(child.pid));
  running = undefined;
  if (code === 0 && left.length === 0) return JSON.parse(new TextDecoder().decode(stdout));
  const reason = late
    ? `not finished after ${minutes} minutes`
    : code === 0
    ? `left behind: ${left.join(", ")}`
    : `ended with ${code}`;
  return { ...unmeasured(one, "failed", reason), seconds: (performance.now() - begin) / 1000 };
}

function unmeasured(
  { name, title, how }: Case | GrowthCase,
  kind: "failed" | "skipped",
  reason: string,
): CaseResult {
  return { name, title, how, figures: [], growth: [], seconds: 0, problem: { kind, reason } };
}

async function write(results: Results): Promise<void> {
  await Deno.writeTextFile(`${FOLDER}/results.json`, `${JSON.stringify(results, undefined, 1)}\n`);
  await Deno.writeTextFile(`${FOLDER}/RESULTS.md`, markdownOf(results));
  await Deno.writeTextFile(`${FOLDER}/bars.svg`, drawBars(results.cases));
  await Deno.writeTextFile(`${FOLDER}/growth.svg`, drawGrowth(results.cases));
}

/** What the last whole run has left; `undefined` if there was none. */
async function lastResults(): Promise<Results | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(`${FOLDER}/results.json`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Installs what is missing; why the benchmark cannot run, if it cannot. */
async function prepare(): Promise<string | undefined> {
  const needed = [...filesystemPrograms("btrfs"), "clamdscan", "gcc", "gencat"];
  return await installMissing((line) => say(`  ${line}`), needed) ?? obstacle("btrfs");
}

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOf(args);
  if ("text" in options) {
    say(options.text);
    return options.code;
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => {
      endRunning();
      sweep(scratchPathsOf(Deno.pid));
      Deno.exit(130);
    });
  }
  sweep(abandonedScratch());
  const reason = await prepare();
  if (reason !== undefined) {
    say(`The benchmark cannot run here: ${reason}`);
    return 1;
  }
  const begin = performance.now();
  const begun = new Date().toISOString();
  const machine = await describeMachine();
  const cases: CaseResult[] = [];
  const results = () => {
    const seconds = (performance.now() - begin) / 1000;
    return { size: options.size, begun, seconds, machine, cases };
  };
  const whole = options.write && options.isPart ? await lastResults() : undefined;
  const complete = () => whole === undefined ? results() : withAgain(whole, results());
  try {
    complete();
  } catch (error) {
    say(`--only and --write: ${messageOf(error)}. Leave one of them out.`);
    return 2;
  }
  for (const [i, one] of options.cases.entries()) {
    const minutes = ((performance.now() - begin) / 60_000).toFixed(1);
    say(bold(`\n[${i + 1}/${options.cases.length}, ${minutes} min] ${one.name}: ${one.title}`));
    const result = performance.now() - begin > MOST_MINUTES * 60_000
      ? unmeasured(one, "skipped", `${MOST_MINUTES} minutes were over`)
      : await measure(one, options);
    cases.push(result);
    if (result.problem !== undefined) say(warn(`${result.problem.kind}: ${result.problem.reason}`));
    say(textOf([result]));
    say(dim(`${result.seconds.toFixed(0)} s`));
    // After each case: an interruption loses nothing that was measured.
    if (options.write) await write(complete());
  }
  say(bold("\nAll together\n"));
  say(textOf(cases));
  return cases.some(({ problem }) => problem?.kind === "failed") ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
