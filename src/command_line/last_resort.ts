/**
 * To be imported before anything else: whatever is thrown and caught by nobody from then on ends the program with one
 * line (I9) and the documented exit code.
 */

import { oneLine } from "../logging/one_line.ts";
import { exitCode } from "./exit_codes.ts";
import { print } from "./print.ts";

function end(event: Event, error: unknown): never {
  event.preventDefault();
  // The log's own way may be what has failed.
  const priority = Deno.stderr.isTerminal() ? "" : "<2>";
  print(Deno.stderr, `${priority}ended by a failure that nobody foresaw: ${inWords(error)}\n`);
  Deno.exit(exitCode("internal"));
}

globalThis.addEventListener("error", (event) => end(event, event.error));
globalThis.addEventListener("unhandledrejection", (event) => end(event, event.reason));

/** With where it happened, for whoever mends it. */
function inWords(error: unknown): string {
  const text = error instanceof Error ? error.stack ?? error.message : String(error);
  return oneLine(text.replaceAll(/\n\s*/g, " | "));
}
