/** `--help`, made from a program's definition. */

import {
  type Command,
  type CommandProgram,
  longName,
  type Option,
  type ValuedOption,
} from "./definition.ts";
import { EXIT_CODES } from "./exit_codes.ts";
import { showBytes } from "./option_value.ts";

const WIDTH = 80;
const HELP_COLUMN = 32;

/** The help of one command; `title` is how it is called. */
export function commandHelp(title: string, { summary, options }: Command): string {
  const entries = Object.entries(options);
  const required = entries.flatMap(([key, option]) =>
    isRequired(option) ? [` ${longName(key)} ${option.value}`] : []
  );
  return [
    ...wrap(`${title}: ${summary}`, WIDTH),
    "",
    `Usage: ${title}${required.join("")} [OPTIONS]`,
    "",
    "Options:",
    ...entries.map(([key, option]) => optionHelp(key, option)),
    optionHelp("help", { kind: "flag", short: "h", help: "print this and exit" }),
    optionHelp("version", { kind: "flag", short: "V", help: "print the version and exit" }),
    "",
    exitCodesHelp(),
  ].join("\n");
}

/** The help of a program with sub-commands. */
export function programHelp({ name, summary, commands }: CommandProgram): string {
  const names = Object.keys(commands);
  return [
    ...wrap(`${name}: ${summary}`, WIDTH),
    "",
    `Usage: ${name} COMMAND [OPTIONS]`,
    "",
    "Commands:",
    ...Object.entries(commands).map(([command, { summary }]) => inColumns(`  ${command}`, summary)),
    "",
    `Options of a command: ${names.map((command) => `${name} ${command} --help`).join(", ")}`,
    "",
    exitCodesHelp(),
  ].join("\n");
}

function isRequired(option: Option): option is ValuedOption {
  return option.kind !== "flag" && option.required === true;
}

function optionHelp(key: string, option: Option): string {
  const short = option.short === undefined ? "    " : `-${option.short}, `;
  const value = option.kind === "flag" ? "" : ` ${option.value}`;
  return inColumns(`  ${short}${longName(key)}${value}`, `${option.help}${notes(option)}`);
}

function notes(option: Option): string {
  if (option.kind === "flag") return "";
  const parts: string[] = [];
  if (option.kind === "choice") parts.push(`one of ${option.choices.join(", ")}`);
  if (option.repeatable) parts.push("may be given several times");
  if (option.required) parts.push("required");
  const fallback = [option.default ?? []].flat();
  if (fallback.length > 0) {
    const shown = fallback.map((value) =>
      option.kind === "bytes" ? showBytes(Number(value)) : String(value)
    );
    parts.push(`default: ${shown.join(", ")}`);
  }
  return parts.length === 0 ? "" : ` [${parts.join("; ")}]`;
}

function exitCodesHelp(): string {
  const lines = Object.values(EXIT_CODES).map(({ code, meaning }) =>
    inColumns(`  ${code}`, meaning, 6)
  );
  return `Exit codes:\n${lines.join("\n")}\n`;
}

/** `left`, and `text` wrapped in a column beside it, or below it where `left` is too long. */
function inColumns(left: string, text: string, column = HELP_COLUMN): string {
  const [first = "", ...rest] = wrap(text, WIDTH - column);
  const indent = " ".repeat(column);
  const start = left.length + 2 > column ? [left, indent + first] : [left.padEnd(column) + first];
  return [...start, ...rest.map((line) => indent + line)].join("\n");
}

/** Lines of at most `width` columns, but for longer words. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = "";
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
