/** The small C programs that stand beside ours, built when they are needed. */

import { run } from "../tests/support/command.ts";
import { scratchDirectory } from "../tests/support/scratch.ts";
import { CannotRun } from "./case.ts";

export type ReferenceName = "guest" | "publish" | "arm_watches" | "instream_client";

let seeds = 0;
let folder: string | undefined;
const built = new Map<ReferenceName, string>();

/** The program's path. Throws CannotRun where it cannot be built. */
export async function build(name: ReferenceName): Promise<string> {
  const known = built.get(name);
  if (known !== undefined) return known;
  folder ??= scratchDirectory("reference");
  const source = new URL(`./reference/${name}.c`, import.meta.url).pathname;
  const program = `${folder}/${name}`;
  try {
    const { code, stderr } = await run("gcc", ["-O2", "-pthread", "-o", program, source]);
    if (code !== 0) throw new CannotRun(`gcc fails for ${source}: ${stderr.trim()}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new CannotRun("needs gcc: install it");
    throw error;
  }
  built.set(name, program);
  return program;
}

/** One that was not used before: clamd remembers what was clean, so that no content may come twice. */
export function nextSeed(): number {
  return ++seeds;
}

/** Runs a program; the numbers that it printed. */
export async function numbersOf(
  program: string,
  args: readonly (string | number)[],
): Promise<number[]> {
  const { code, stdout, stderr } = await run(program, args.map(String));
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}: ${stderr}`);
  return new TextDecoder().decode(stdout).split(/\s+/).filter((word) => word !== "").map(Number);
}
