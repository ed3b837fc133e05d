/** How much memory is in use. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What is left after a collection, in MiB. */
export function usedMiB(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  const { heapUsed, external } = Deno.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}
