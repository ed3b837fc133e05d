/** The heap of everything that is not JavaScript: the runtime and SQLite allocate there. */

import { libc } from "./libc.ts";

/** Gives pages that are free back to the kernel: malloc_trim(3). */
export function trimNativeHeap(): void {
  libc.malloc_trim(0n);
}
