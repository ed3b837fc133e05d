/** Why something could not be done to what lies in a share, in words for whoever can change it. */

import { SystemError } from "../../ffi/errno.ts";

/** Not with the name of what the call was about, which may be one of the daemon's own. */
export function refusal(error: Error): string {
  if (!(error instanceof SystemError)) return `${error.message} (unexpected)`;
  return error.is("EPERM") ? `${error.reason}: ${FLAGS}` : error.reason;
}

/** What is left where the daemon has the capabilities that it needs, without which no channel runs. */
const FLAGS = "it or its directory may be immutable or append-only (lsattr(1), chattr(1))";
