/** Text for a person: coloured on a terminal, plain in a pipe or with NO_COLOR set. */

export const coloured = Deno.stdout.isTerminal() && !Deno.noColor;

export function say(text = ""): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

/** Each line of `text` behind `prefix`. */
export function indent(text: string, prefix: string): string {
  return text.split("\n").map((line) => prefix + line).join("\n");
}

export const bold = style("1");
export const dim = style("2");
export const good = style("32");
export const warn = style("33");

function style(code: string): (text: string) => string {
  return (text) => coloured ? `\x1b[${code}m${text}\x1b[0m` : text;
}
