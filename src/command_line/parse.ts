/** Arguments → typed options, by a program's definition. */

// @ts-types="./parse_args.d.ts"
import { parseArgs } from "@std/cli/parse-args";
import { displayText } from "../../ffi/byte_string.ts";
import {
  type Command,
  type CommandProgram,
  type Invocation,
  longName,
  type Options,
  type OptionValues,
  type Program,
  type ValuedOption,
} from "./definition.ts";
import { commandHelp, programHelp } from "./help.ts";
import { readValue } from "./option_value.ts";
import { closest } from "./suggestion.ts";

/** What the arguments ask for: to run, to print something and be done, or nothing that makes sense. */
export type Reading<T> =
  | { readonly kind: "run"; readonly value: T }
  | { readonly kind: "print"; readonly text: string }
  | { readonly kind: "usage"; readonly message: string };

/** Reads the arguments of a program without sub-commands. */
export function readOptions<O extends Options>(
  program: Program<O>,
  args: readonly string[],
  version: string,
): Reading<OptionValues<O>> {
  return readCommand(program.name, program, args, `${program.name} ${version}`);
}

/** Reads the arguments of a program whose first argument names what to do. */
export function readInvocation<P extends CommandProgram>(
  program: P,
  args: readonly string[],
  version: string,
): Reading<Invocation<P>> {
  const [name = "", ...rest] = args;
  const commands: Readonly<Record<string, Command>> = program.commands;
  if (name === "--help" || name === "-h" || name === "help") {
    return { kind: "print", text: programHelp(program) };
  }
  if (name === "--version" || name === "-V") {
    return { kind: "print", text: `${program.name} ${version}\n` };
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) return usage(program.name, commandProblem(name, commands));
  const title = `${program.name} ${name}`;
  const reading = readCommand(title, command, rest, `${program.name} ${version}`);
  if (reading.kind !== "run") return reading;
  // `command` was found under `name`, so these options are the ones that the type pairs with it.
  return { kind: "run", value: { command: name, options: reading.value } as Invocation<P> };
}

function commandProblem(name: string, commands: Readonly<Record<string, Command>>): string {
  const names = Object.keys(commands);
  if (name === "") return `say what to do: ${names.join(" or ")}`;
  if (name.startsWith("-")) return `options go behind the command: ${names.join(" or ")}`;
  const suggestion = closest(name, names);
  const advice = suggestion === undefined
    ? `use ${names.join(" or ")}`
    : `did you mean ${suggestion}?`;
  return `unknown command ${displayText(name)}; ${advice}`;
}

function readCommand<O extends Options>(
  title: string,
  command: Command<O>,
  args: readonly string[],
  versionLine: string,
): Reading<OptionValues<O>> {
  const given = split(command.options, args);
  if (given.help) return { kind: "print", text: commandHelp(title, command) };
  if (given.version) return { kind: "print", text: `${versionLine}\n` };
  if (given.problem !== undefined) return usage(title, given.problem);
  const values: Record<string, unknown> = {};
  for (const [key, option] of Object.entries(command.options)) {
    if (option.kind === "flag") {
      values[key] = given.flags.has(key);
      continue;
    }
    const result = settle(option, given.texts.get(key) ?? []);
    if ("problem" in result) return usage(title, `${longName(key)} ${result.problem}`);
    values[key] = result.value;
  }
  // Every key of the definition was set above, each by the rule that its type states.
  return { kind: "run", value: values as OptionValues<O> };
}

interface Given {
  readonly help: boolean;
  readonly version: boolean;
  readonly flags: ReadonlySet<string>;
  readonly texts: ReadonlyMap<string, readonly string[]>;
  /** The first thing that fits nowhere. */
  readonly problem: string | undefined;
}

/** Sorts the arguments by option; what a value means is not looked at yet. */
function split(options: Options, args: readonly string[]): Given {
  const keyOf = new Map(Object.keys(options).map((key) => [longName(key).slice(2), key]));
  const boolean = ["help", "version"];
  const string = ["_"]; // keeps "1" from becoming a number
  const alias: Record<string, string> = { help: "h", version: "V" };
  for (const [name, key] of keyOf) {
    const option = options[key];
    if (option?.short !== undefined) alias[name] = option.short;
    (option?.kind === "flag" ? boolean : string).push(name);
  }
  let problem: string | undefined;
  const parsed = parseArgs(args.flatMap((arg, index) => spellOut(arg, options, args, index)), {
    boolean,
    string,
    collect: string,
    alias,
    unknown: (argument, key) => {
      problem ??= key === undefined
        ? unexpectedArgument(argument)
        : unknownOption(argument, keyOf.keys());
      return false;
    },
  });
  problem ??= parsed._.length > 0 ? unexpectedArgument(parsed._[0] ?? "") : undefined;
  const flags = new Set<string>();
  const texts = new Map<string, readonly string[]>();
  for (const [name, key] of [...keyOf, ["help", "help"], ["version", "version"]] as const) {
    const value = parsed[name];
    if (Array.isArray(value)) texts.set(key, value.map(String));
    else if (value === true) flags.add(key);
    if (boolean.includes(name)) problem ??= flagProblem(name, alias[name], args, value);
  }
  return { help: flags.has("help"), version: flags.has("version"), flags, texts, problem };
}

/**
 * `-cFILE` → `--config=FILE`, which the parser would take for a row of flags; `--config ""` → `--config=`, of which it
 * would take the empty text for an argument.
 */
function spellOut(
  arg: string,
  options: Options,
  args: readonly string[],
  index: number,
): readonly string[] {
  if (arg === "" && valuedName(args[index - 1], options) !== undefined) return [];
  const name = valuedName(arg, options);
  if (name !== undefined) return args[index + 1] === "" ? [`${name}=`] : [arg];
  if (!/^-[A-Za-z]./s.test(arg)) return [arg];
  const long = valuedName(arg.slice(0, 2), options);
  return long === undefined ? [arg] : [`${long}=${arg.slice(2).replace(/^=/, "")}`];
}

/** The long name of the option with a value that `arg` names, and nothing else. */
function valuedName(arg: string | undefined, options: Options): string | undefined {
  for (const [key, option] of Object.entries(options)) {
    if (option.kind === "flag") continue;
    const long = longName(key);
    if (arg === long || (option.short !== undefined && arg === `-${option.short}`)) return long;
  }
  return undefined;
}

/** A flag is there or it is not; the parser would take `--debug=no` for true, `--debug false` for a value. */
function flagProblem(
  name: string,
  short: string | undefined,
  args: readonly string[],
  value: unknown,
): string | undefined {
  const valued = args.some((arg, index) => {
    if (arg.startsWith(`--${name}=`) || arg.startsWith(`-${short}=`)) return true;
    const next = args[index + 1];
    return (arg === `--${name}` || arg === `-${short}`) && (next === "true" || next === "false");
  });
  return valued || typeof value !== "boolean" ? `--${name} takes no value` : undefined;
}

function unexpectedArgument(argument: string): string {
  return `unexpected argument ${argument === "" ? '""' : displayText(argument)}`;
}

function unknownOption(argument: string, names: Iterable<string>): string {
  const name = argument.replace(/=.*$/s, "");
  const suggestion = name.startsWith("--") ? closest(name.slice(2), names) : undefined;
  const advice = suggestion === undefined ? "" : `; did you mean --${suggestion}?`;
  return `unknown option ${displayText(name)}${advice}`;
}

type Settled = { readonly value: unknown } | { readonly problem: string };

function settle(option: ValuedOption, texts: readonly string[]): Settled {
  if (texts.includes("")) {
    return { problem: `needs a value: ${option.value} (one that begins with "-" goes behind "=")` };
  }
  if (texts.length === 0) {
    if (option.required) return { problem: `${option.value} is required` };
    return { value: option.default ?? (option.repeatable ? [] : undefined) };
  }
  if (texts.length > 1 && !option.repeatable) return { problem: "is given more than once" };
  const values: (string | number)[] = [];
  for (const text of texts) {
    const reading = readValue(option, text);
    if ("problem" in reading) return reading;
    values.push(reading.value);
  }
  return { value: option.repeatable ? values : values[0] };
}

function usage(
  title: string,
  problem: string,
): { readonly kind: "usage"; readonly message: string } {
  return { kind: "usage", message: `${title}: ${problem} (see "${title} --help")` };
}
