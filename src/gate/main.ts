/** `virtiofs-gate`: shares files between virtual machines, scanned first. */

import "../command_line/last_resort.ts"; // before what may fail
import { outliveFileSizeLimit } from "../../ffi/process.ts";
import { invocationOrExit } from "../command_line/start.ts";
import { revokeAllPermissions } from "../service_manager/permissions.ts";
import { GATE } from "./options.ts";
import { run } from "./run.ts";
import { verify } from "./verify.ts";

if (import.meta.main) {
  const invocation = invocationOrExit(GATE);
  outliveFileSizeLimit();
  switch (invocation.command) {
    case "run":
      Deno.exit(await run(invocation.options));
      break;
    case "verify":
      revokeAllPermissions(); // it needs none
      Deno.exit(verify(invocation.options));
  }
}
