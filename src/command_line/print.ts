/** Output for whoever called the program. */

import { displayText } from "../../ffi/byte_string.ts";
import { exitCode } from "./exit_codes.ts";

/** As `Deno.stdout`. */
interface Stream {
  writeSync(bytes: Uint8Array): number;
}

/**
 * Writes the whole text. A reader that has gone (`--help | head -1`) is no failure of ours; what cannot be written for
 * another reason (a full disk) ends the program, for whoever called it would take a part for all.
 */
export function print(stream: Stream, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return;
    if (stream === Deno.stdout) {
      const reason = error instanceof Error ? error.message : String(error);
      print(Deno.stderr, `cannot write to standard output: ${displayText(reason)}\n`);
    }
    Deno.exit(exitCode("internal"));
  }
}
