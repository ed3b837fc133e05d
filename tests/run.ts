/**
 * `deno task test [FILTER …]`: every test, in the order of their weight, each file in a process of its own.
 *
 * A filter that occurs in the path of a test file chooses that file; one that occurs in none is looked for in
 * the tests' names. The last line is the count; the exit code is 1 if anything failed.
 */

import { installMissing } from "./support/packages.ts";
import { obstacles } from "./support/prerequisites.ts";
import { abandonedScratch, leftovers, scratchPathsOf, sweep } from "./support/scratch.ts";
import { bold, coloured, say } from "./support/terminal.ts";
import {
  add,
  type Counts,
  inWords,
  NOTHING,
  readReport,
  type Report,
  total,
} from "./support/test_report.ts";

interface Lane {
  /** Below tests/, the light ones first. */
  readonly folders: readonly string[];
  /** So many of its files run at a time. */
  readonly sideBySide: number;
}

/**
 * One phase after the other, the light one first: what is wrong there explains what fails later. The lanes of a phase
 * run beside each other. Most files wait more than they work, and each has a filesystem, a clamd and a gate of its
 * own; the virtual machines work all the time, and take what the others leave of the processors.
 */
const PHASES: readonly (readonly Lane[])[] = [
  [{ folders: ["unit"], sideBySide: 2 }],
  [
    { folders: ["integration", "attack", "packaging"], sideBySide: 4 },
    { folders: ["vm"], sideBySide: 1 },
  ],
];

const ROOT = new URL("./", import.meta.url).pathname;
const REPOSITORY = new URL("../", import.meta.url).pathname;
const running = new Set<Deno.ChildProcess>();

/** Test files of a folder, by path relative to the repository. */
function testFiles(folder: string): string[] {
  const found: string[] = [];
  const visit = (path: string) => {
    for (const entry of Deno.readDirSync(path)) {
      if (entry.isDirectory) visit(`${path}/${entry.name}`);
      else if (/_test\.tsx?$/.test(entry.name)) found.push(`${path}/${entry.name}`);
    }
  };
  try {
    visit(`${ROOT}${folder}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // a folder that is still to come
  }
  return found.map((path) => path.slice(REPOSITORY.length)).sort();
}

interface Choice {
  readonly files: (path: string) => boolean;
  readonly names: readonly string[];
}

function choose(filters: readonly string[], all: readonly string[]): Choice {
  const byPath = filters.filter((filter) => all.some((path) => path.includes(filter)));
  return {
    files: (path) => byPath.length === 0 || byPath.some((filter) => path.includes(filter)),
    names: filters.filter((filter) => !byPath.includes(filter)),
  };
}

/** Runs one file; its output is shown as it comes, or (`held`) at its end, so that two do not mingle. */
async function runFile(path: string, names: readonly string[], held: boolean): Promise<Report> {
  const junit = await Deno.makeTempFile({ prefix: "junit-" });
  const filter = names.length === 0 ? [] : ["--filter", `/${names.map(literally).join("|")}/`];
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "-A",
      "--no-prompt",
      "--no-check",
      "-q",
      `--junit-path=${junit}`,
      ...filter,
      path,
    ],
    cwd: REPOSITORY,
    env: coloured ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" },
    stdin: "null",
    stdout: held ? "piped" : "inherit",
    stderr: held ? "piped" : "inherit",
  }).spawn();
  running.add(child);
  const { code, output } = held ? await outputOf(child) : { ...await child.status, output: [] };
  running.delete(child);
  const report = readReport(await Deno.readTextFile(junit), code, path);
  await Deno.remove(junit);
  // A file of which the filter chose nothing has nothing to say.
  if (total(report) > 0) { for (const text of output) Deno.stdout.writeSync(text); }
  return withLeftovers(report, path, child.pid);
}

async function outputOf(child: Deno.ChildProcess): Promise<{ code: number; output: Uint8Array[] }> {
  const { code, stdout, stderr } = await child.output();
  return { code, output: [stdout, stderr] };
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

/** A test file that leaves a process, a mount or a loop device behind has failed, whatever its tests say. */
function withLeftovers(report: Report, path: string, pid: number): Report {
  const scratch = scratchPathsOf(pid);
  const left = leftovers(scratch);
  if (scratch.length > 0) sweep(scratch);
  const failures = left.map((what) => `${path}: left behind: ${what}`);
  return {
    ...report,
    failed: report.failed + failures.length,
    failures: [...report.failures, ...failures],
  };
}

/** Runs the files of a lane in their order; each is begun as soon as there is a place for it. */
async function runLane(
  files: readonly string[],
  sideBySide: number,
  run: (path: string) => Promise<void>,
): Promise<void> {
  const waiting = files.values();
  const place = async () => {
    for (const path of waiting) await run(path);
  };
  await Promise.all(Array.from({ length: sideBySide }, place));
}

function endOnSignal(signal: Deno.Signal, code: number): void {
  Deno.addSignalListener(signal, () => {
    for (const child of running) {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
      sweep(scratchPathsOf(child.pid));
    }
    Deno.exit(code);
  });
}

const USAGE = `Usage: deno task test [FILTER …]

A FILTER is part of a test file's path, or of a test's name. Without any, all tests run.`;

async function main(filters: readonly string[]): Promise<number> {
  const option = filters.find((filter) => filter.startsWith("-"));
  if (option !== undefined) {
    say(option === "--help" ? USAGE : `there is no option ${option}\n\n${USAGE}`);
    return option === "--help" ? 0 : 2;
  }
  endOnSignal("SIGINT", 130);
  endOnSignal("SIGTERM", 143);
  const abandoned = abandonedScratch();
  if (abandoned.length > 0) {
    say(`removing what an earlier run left behind: ${abandoned.join(" ")}`);
    sweep(abandoned);
  }
  const failure = await installMissing(say);
  if (failure !== undefined) say(failure);
  for (const reason of obstacles()) say(`some tests cannot run here and are skipped: ${reason}`);

  const filesOf = ({ folders }: Lane) => folders.flatMap(testFiles);
  const all = PHASES.flat().flatMap(filesOf);
  const choice = choose(filters, all);
  const isAlone = all.filter(choice.files).length === 1;
  const reports: Report[] = [];
  const run = async (path: string) => {
    reports.push(await runFile(path, choice.names, !isAlone));
  };
  for (const lanes of PHASES) {
    await Promise.all(
      lanes.map((lane) => runLane(filesOf(lane).filter(choice.files), lane.sideBySide, run)),
    );
  }
  const failures = reports.flatMap((report) => report.failures);
  const skips = reports.flatMap((report) => report.skips);
  if (skips.length > 0) say(bold("\nSkipped:"));
  for (const name of skips) say(`  ${name}`);
  if (failures.length > 0) say(bold("\nFailed:"));
  for (const name of failures) say(`  ${name}`);
  const counts = reports.reduce<Counts>(add, NOTHING);
  if (total(counts) === 0) say("\nno test has such a name or path");
  say();
  say(inWords(counts));
  return counts.failed > 0 || counts.passed + counts.skipped === 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
