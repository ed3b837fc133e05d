/** Runs programs. Each one carries a mark in its environment by which a sweep finds it (scratch.ts). */

import { SCRATCH_VARIABLE, scratchPath } from "./scratch.ts";

export interface CommandOptions {
  readonly cwd?: string;
  readonly stdin?: Uint8Array<ArrayBuffer>;
  readonly env?: Readonly<Record<string, string>>;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: Uint8Array<ArrayBuffer>;
  readonly stderr: string;
}

/** The environment that marks a process as started by this test process; Deno asks nobody for a newer one. */
export function marked(env: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { ...env, DENO_NO_UPDATE_CHECK: "1", [SCRATCH_VARIABLE]: scratchPath() };
}

/** Runs a program to its end. */
export async function run(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const child = new Deno.Command(command, {
    args: [...args],
    env: marked(options.env),
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  }).spawn();
  if (options.stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(options.stdin);
    await writer.close();
  }
  const { code, stdout, stderr } = await child.output();
  return { code, stdout, stderr: new TextDecoder().decode(stderr) };
}

/** The same; throws with what the program said if it fails. */
export async function must(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const result = await run(command, args, options);
  if (result.code === 0) return result.stdout;
  throw new Error(
    `${command} ${args.join(" ").slice(0, 200)} ended with ${result.code}: ${result.stderr.trim()}`,
  );
}
