/** A channel of whose changes guests are told. */

import type { WorldOptions } from "./world.ts";

/** `guests`: hybrid-vsock sockets. The mark for file browsers is each guest's own, so the shares are not equal. */
export function telling(guests: readonly string[]): WorldOptions {
  return {
    channels: { docs: { more: { notify: { guests, port: 3401 } } } },
    unequal: ["docs"],
  };
}
