/** A Unix socket that leads to another one as through a network: bytes arrive, descriptors do not. */

import { scratchDirectory } from "./scratch.ts";

export class ForwardedSocket implements AsyncDisposable {
  readonly path = `${scratchDirectory("forwarded")}/clamd.ctl`;
  readonly #listener = Deno.listen({ transport: "unix", path: this.path });
  readonly #connections = new Set<Promise<void>>();

  constructor(private readonly target: string) {
    this.#accept();
  }

  async #accept(): Promise<void> {
    // Ends when the listener is closed.
    for await (const connection of this.#listener) {
      const passing = this.#pass(connection).catch(() => {}); // either side went away
      this.#connections.add(passing);
      passing.then(() => this.#connections.delete(passing));
    }
  }

  async #pass(near: Deno.UnixConn): Promise<void> {
    using _ = near;
    using far = await Deno.connect({ transport: "unix", path: this.target });
    await Promise.allSettled([
      near.readable.pipeTo(far.writable),
      far.readable.pipeTo(near.writable),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await Promise.all(this.#connections);
  }
}
