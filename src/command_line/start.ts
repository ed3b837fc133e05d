/** The edge of the command line: prints what was asked for, or what is wrong, and exits. */

import denoConfiguration from "../../deno.json" with { type: "json" };
import type { CommandProgram, Invocation, Options, OptionValues, Program } from "./definition.ts";
import { exitCode } from "./exit_codes.ts";
import { print } from "./print.ts";
import { type Reading, readInvocation, readOptions } from "./parse.ts";

/** The project's version. */
export const VERSION: string = denoConfiguration.version;

/** The options of a program without sub-commands; exits after `--help`, `--version` and mistakes. */
export function optionsOrExit<O extends Options>(program: Program<O>): OptionValues<O> {
  return valueOrExit(readOptions(program, Deno.args, VERSION));
}

/** The chosen sub-command with its options; exits after `--help`, `--version` and mistakes. */
export function invocationOrExit<P extends CommandProgram>(program: P): Invocation<P> {
  return valueOrExit(readInvocation(program, Deno.args, VERSION));
}

/** For mistakes that only a combination of options shows: prints the message and exits. */
export function exitForUsage(title: string, problem: string): never {
  print(Deno.stderr, `${title}: ${problem} (see "${title} --help")\n`);
  Deno.exit(exitCode("usage"));
}

function valueOrExit<T>(reading: Reading<T>): T {
  switch (reading.kind) {
    case "run":
      return reading.value;
    case "print":
      print(Deno.stdout, reading.text);
      return Deno.exit(exitCode("ok"));
    case "usage":
      print(Deno.stderr, `${reading.message}\n`);
      return Deno.exit(exitCode("usage"));
  }
}
