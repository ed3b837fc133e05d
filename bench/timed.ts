/** How long commands take. */

import { marked } from "../tests/support/command.ts";

/** Runs a program whose output nobody reads; the seconds that it took. Throws where it fails. */
export async function secondsOf(command: string, args: readonly string[]): Promise<number> {
  const begin = performance.now();
  const { code, stderr } = await new Deno.Command(command, {
    args: [...args],
    env: marked(),
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  const seconds = (performance.now() - begin) / 1000;
  if (code === 0) return seconds;
  throw new Error(`${command} ended with ${code}: ${new TextDecoder().decode(stderr).trim()}`);
}
