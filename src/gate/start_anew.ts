/** What a start anew hands over to the program that it starts: in the environment, a variable once for each name. */

import { type Start, startVariables } from "../../ffi/process.ts";
import type { SystemError } from "../../ffi/errno.ts";

const SERVED = "VIRTIOFS_GATE_SERVED";
const UNTOLD = "VIRTIOFS_GATE_UNTOLD";

/** Names of channels. */
export interface HandedOver {
  readonly served: readonly string[];
  /** With changes that a guest was not told of. */
  readonly untold: readonly string[];
}

/** Nothing at a first start. */
export function handedOver(): HandedOver {
  return { served: startVariables(SERVED), untold: startVariables(UNTOLD) };
}

/** Returns only where that fails, with the reason. */
export function startAnew(start: Start, { served, untold }: HandedOver): SystemError {
  return start.repeat({ [SERVED]: served, [UNTOLD]: untold });
}
