/** A program with the gate's command line that only says what it was asked to do. */

import { invocationOrExit } from "../../src/command_line/start.ts";
import { GATE } from "../../src/gate/options.ts";

Deno.stdout.writeSync(new TextEncoder().encode(invocationOrExit(GATE).command));
