/** `clamd-vclient`: scans files in a guest as they are written. */

import "../command_line/last_resort.ts"; // before what may fail
import type { Reactor } from "../../ffi/reactor.ts";
import { exitForUsage, optionsOrExit } from "../command_line/start.ts";
import { type Begun, runDaemon, type StillStarting } from "../daemon/daemon.ts";
import type { Logger } from "../logging/logging.ts";
import { usageProblem, VCLIENT } from "./options.ts";
import { startClient } from "./start.ts";

if (import.meta.main) {
  const options = optionsOrExit(VCLIENT);
  const problem = usageProblem(options);
  if (problem !== undefined) exitForUsage(VCLIENT.name, problem);
  const start = (reactor: Reactor, log: Logger, stillStarting: StillStarting, begun: Begun) =>
    startClient(options, reactor, log, stillStarting, begun);
  const reactor = { lingers: true };
  Deno.exit(await runDaemon({ name: "vclient", debug: options.debug, reactor, start }));
}
