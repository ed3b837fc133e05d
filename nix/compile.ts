/**
 * `deno task compile [--program NAME] [--output DIR] [--libc PATH]`: each program as one binary that
 * holds the permissions of its set in deno.json, and no others.
 */

import { defineProgram } from "../src/command_line/definition.ts";
import { exitCode } from "../src/command_line/exit_codes.ts";
import { optionsOrExit } from "../src/command_line/start.ts";
import { npmTestFolders } from "./npm_tests.ts";
import {
  permissionFlags,
  permissionSetOf,
  type Program,
  PROGRAM_NAMES,
  PROGRAMS,
  v8FlagsOf,
  withLibc,
} from "./programs.ts";

const COMPILE = defineProgram({
  name: "compile",
  summary: "build the programs as binaries, each with its own permissions",
  options: {
    program: {
      kind: "choice",
      short: "p",
      value: "NAME",
      choices: PROGRAM_NAMES,
      repeatable: true,
      default: PROGRAM_NAMES,
      help: "build this one only",
    },
    output: { kind: "text", short: "o", value: "DIR", default: "dist", help: "where to" },
    libc: {
      kind: "text",
      value: "PATH",
      help: "the C library that the binaries may open, instead of those in deno.json",
    },
  },
});

const REPOSITORY = new URL("../", import.meta.url).pathname;

/** The arguments of `deno` that build a program into the file `output`. */
export async function compileArguments(
  program: Program,
  output: string,
  libc?: string,
): Promise<string[]> {
  const declared = permissionSetOf(program.name);
  const permissions = libc === undefined ? declared : withLibc(declared, libc);
  const v8Flags = v8FlagsOf(program);
  return [
    "compile",
    "--quiet", // it is embedded: the runtime's own notices would stand among our log lines
    "--no-check",
    // The cache would lie in the temporary directory under a name that others can foresee.
    "--no-code-cache",
    "--exclude-unused-npm",
    ...(await npmTestFolders(program.entryPoint, REPOSITORY)).map((path) => `--exclude=${path}`),
    ...(v8Flags.length > 0 ? [`--v8-flags=${v8Flags.join(",")}`] : []),
    ...permissionFlags(permissions),
    `--output=${output}`,
    program.entryPoint,
  ];
}

async function compile(program: Program, output: string, libc?: string): Promise<boolean> {
  const args = await compileArguments(program, output, libc);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: REPOSITORY,
    env: { NO_COLOR: "1" },
    stdout: "null",
  }).output();
  const permissions = args.filter((arg) => arg.startsWith("--allow-")).join(" ");
  if (success) return say(`${output} (${permissions})`);
  return complain(
    `${program.binary} cannot be built: ${reasonFor(new TextDecoder().decode(stderr))}`,
  );
}

/** deno compile appends programs to `denort`, which it downloads unless told where it is. */
function reasonFor(said: string): string {
  if (/denort|base binary/i.test(said)) {
    return `there is no denort ${Deno.version.deno} to build on, and none can be downloaded; ` +
      "set DENORT_BIN to the path of one (nixpkgs has it as deno.denort)";
  }
  const [reason = ""] = said.trim().split("\n\n");
  return reason;
}

function say(line: string): true {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
  return true;
}

function complain(text: string): false {
  Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
  return false;
}

if (import.meta.main) {
  const options = optionsOrExit(COMPILE);
  await Deno.mkdir(options.output, { recursive: true });
  const folder = await Deno.realPath(options.output);
  let built = true;
  for (const program of PROGRAMS.filter(({ name }) => options.program.includes(name))) {
    built = await compile(program, `${folder}/${program.binary}`, options.libc) && built;
  }
  Deno.exit(exitCode(built ? "ok" : "failure"));
}
